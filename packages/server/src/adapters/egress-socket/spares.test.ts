import { connect, createServer, type OnReadOpts, type Socket } from 'node:net';
import { assert, ok, type Result } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import { afterEach, expect, test } from 'vitest';
import { pause, until } from '../../../../../test/fakes/until.ts';
import { type CallSignal, Leaving } from '../../http/index.ts';
import { socketEgressLimitsWith } from './limits.ts';
import { Pool } from './pool.ts';
import type { Wire } from './wire.ts';

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A pool to a server that only listens, and how often it was dialled. */
async function rig(keepAliveMs = 60_000) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined).resume());
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const seen = { dials: 0, refuses: false };
  const dial = async (
    _signal: CallSignal,
    onread?: OnReadOpts,
  ): Promise<Result<Socket, Refusal>> => {
    seen.dials += 1;
    if (seen.refuses) return refuse('upstream_unavailable', 'nobody is there');
    const to = { host: '127.0.0.1', port };
    const socket = connect(onread === undefined ? to : { ...to, onread });
    return await new Promise((resolve) => socket.once('connect', () => resolve(ok(socket))));
  };
  const pool = new Pool({ dial }, socketEgressLimitsWith({ keepAliveMs }));
  closing.push(() => {
    pool.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { pool, seen, sockets };
}

/** As a call does: what is kept, or a connection of its own. */
async function taken(pool: Pool): Promise<Wire> {
  const warm = pool.take(performance.now());
  if (warm !== undefined) return warm;
  const dialed = await pool.dial(new Leaving());
  assert(dialed.ok, 'the server listens');
  return dialed.value;
}

async function inUse(pool: Pool, count: number): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- one after the other, as calls come
  for (let at = 0; at < count; at += 1) await taken(pool);
}

test('a few calls open no connection but their own', async () => {
  const { pool, seen } = await rig();
  await inUse(pool, 16);
  await pause(30);
  expect([pool.open, seen.dials]).toEqual([16, 16]);
});

test('among many the next call finds a connection open, and there are never more than two ahead', async () => {
  const { pool, seen } = await rig();
  await inUse(pool, 17);
  await until(() => pool.open === 19);
  await pause(30);
  const warm = pool.take(performance.now());
  expect([warm?.isOpen, warm?.reused, seen.dials]).toEqual([true, true, 19]);
  await until(() => pool.open === 20);
  await pause(30);
  expect([pool.open, seen.dials]).toEqual([20, 20]);
});

test('what nobody used is closed like everything else that is kept', async () => {
  const { pool, sockets } = await rig(40);
  await inUse(pool, 20);
  await until(() => pool.open > 20);
  await until(() => pool.open === 20);
  await until(() => sockets.size === 20);
});

test('a server that takes no more connections is no reason to fail, nor to ask again by itself', async () => {
  const { pool, seen } = await rig();
  await inUse(pool, 16);
  seen.refuses = true;
  expect(pool.take(performance.now())).toBeUndefined();
  await until(() => seen.dials === 18);
  await pause(30);
  expect([pool.open, seen.dials]).toEqual([16, 18]);
});

test('nothing is left of them when the pool is closed', async () => {
  const { pool, sockets, seen } = await rig();
  await inUse(pool, 17);
  pool.close();
  await until(() => sockets.size === 0);
  const { dials } = seen;
  pool.take(performance.now());
  await pause(30);
  expect(seen.dials).toBe(dials);
});
