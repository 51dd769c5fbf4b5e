import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  generateKeyPair,
  startControlClient,
} from '../../packages/server/src/coordination/noise/index.ts';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import {
  capabilityVersion,
  fetchControlKey,
  openNoise,
  upgrade,
} from '../tailnet/driver/control-session.ts';
import { PosternServer } from '../tailnet/postern-server.ts';

/** What a hostile network may send, against a whole process: it lives, answers, and its memory is bounded. */

let server: PosternServer;
let controlKey: Uint8Array;
/** With everything open at once; a garbage collector may be behind. */
const growthMax = 160 * 1024 * 1024;
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

beforeAll(async () => {
  server = await PosternServer.start({
    withoutRelay: true,
    // The proxy of these tests is this machine: sources are whatever it says.
    config: { trustedProxies: ['127.0.0.1'] },
  });
  await server.applyPolicy({ grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] });
  controlKey = await fetchControlKey(server.url);
}, 60_000);
afterAll(() => server.stop());

function below(count: number): number {
  return (randomBytes(4).readUInt32LE() % count) | 0;
}

function fromSomewhere(): Record<string, string> {
  return { 'x-forwarded-for': `10.${below(256)}.${below(256)}.${below(256)}` };
}

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024;
}

/** Somebody who means well is served as ever, and nothing was a defect. */
async function expectWell(name: string): Promise<void> {
  const one = await ControlClient.connect({ url: server.url, machine: newMachine(name) });
  const answer = await one.register({ authKey: await server.createKey() });
  expect(answer.Error).toBe('');
  one.follow();
  await one.until((map) => map.self !== undefined);
  one.close();
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect(server.errors).not.toContain('"fault"');
}

async function inBatches(count: number, atOnce: number, once: () => Promise<void>): Promise<void> {
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, () => once().catch(() => undefined)));
  }
}

function noise(): ReturnType<typeof openNoise> {
  return openNoise({
    url: server.url,
    machine: generateKeyPair(),
    controlKey,
    version: capabilityVersion,
    headers: fromSomewhere(),
  });
}

function closed(stream: Duplex, withinMs = 3_000): Promise<unknown> {
  stream.on('error', () => undefined).resume();
  const over = new Promise((resolve) => {
    stream.once('close', resolve);
  });
  return Promise.race([over, sleep(withinMs)]).finally(() => stream.destroy());
}

test('handshakes: damaged, cut, random or followed by garbage', async () => {
  const before = await residentBytes();
  let upgraded = 0;
  await inBatches(4_000, 50, async () => {
    const machine = generateKeyPair();
    const started = startControlClient({
      version: capabilityVersion,
      machine,
      control: controlKey,
    });
    if (!started.ok) throw new Error(started.error);
    const initiation = new Uint8Array(started.value.initiation);
    const kind = below(4);
    if (kind === 0) initiation[below(initiation.length)] = below(256);
    const sent =
      kind === 1
        ? initiation.slice(0, below(initiation.length))
        : kind === 2
          ? randomBytes(below(400))
          : initiation;
    const [socket] = await upgrade(server.url, sent, fromSomewhere());
    upgraded += 1;
    socket.write(randomBytes(below(9_000)));
    await closed(socket, 300);
  });
  // Those that were whole, and damages that hit what was there already.
  expect(upgraded).toBeGreaterThan(800);
  await expectWell('after-handshakes');
  expect((await residentBytes()) - before).toBeLessThan(growthMax);
}, 180_000);

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** `POST /machine/map` as literal header fields. */
const requestHeaders = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x44, 12]),
  Buffer.from('/machine/map', 'latin1'),
  Buffer.from([0x41, 1]),
  Buffer.from('c', 'latin1'),
]);

const floods: Readonly<Record<string, (i: number) => Buffer>> = {
  settings: () => frame(4, 0, 0, Buffer.from([0, 1, 0, 0, 16, 0])),
  ping: () => frame(6, 0, 0, Buffer.alloc(8)),
  'rapid reset': (i) =>
    Buffer.concat([
      frame(1, 4, 2 * i + 1, requestHeaders),
      frame(3, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])),
    ]),
  continuation: (i) =>
    i === 0 ? frame(1, 0, 1, requestHeaders) : frame(9, 0, 1, randomBytes(200)),
  window: () => frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
  'requests that never end': (i) => frame(1, 4, 2 * i + 1, requestHeaders),
  random: () => frame(below(12), below(256), below(20), randomBytes(below(300))),
  'no frames': () => randomBytes(500),
};

test.each(Object.keys(floods))(
  'HTTP/2 inside of Noise: a flood of %s',
  async (name) => {
    const before = await residentBytes();
    const make = floods[name] ?? (() => Buffer.alloc(0));
    await inBatches(30, 10, async () => {
      const stream = await noise();
      stream.on('error', () => undefined);
      stream.write(Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0))]));
      for (let i = 0; i < 5_000 && !stream.destroyed; i += 1) {
        const wrote = stream.write(make(i));
        if (!wrote)
          await Promise.race([new Promise((done) => stream.once('drain', done)), sleep(200)]);
      }
      await closed(stream, 500);
    });
    await expectWell(`after-${name.replaceAll(' ', '-')}`);
    expect((await residentBytes()) - before).toBeLessThan(growthMax);
  },
  120_000,
);

test('bodies that never end, from machines that nobody knows, hold bounded memory', async () => {
  const before = await residentBytes();
  const open: ControlClient[] = [];
  const piece = Buffer.alloc(16_384, 0x20);
  for (let i = 0; i < 60; i += 1) {
    const one = await ControlClient.connect({ url: server.url, machine: newMachine(`hold-${i}`) });
    open.push(one);
    for (let each = 0; each < 30; each += 1) {
      const stream = one.session.upload('/machine/register');
      stream.on('error', () => undefined).resume();
      for (let sent = 0; sent < 60; sent += 1) stream.write(piece);
    }
  }
  // 1.7 GB were offered.
  await sleep(5_000);
  expect((await residentBytes()) - before).toBeLessThan(growthMax);
  await expectWell('beside-held-bodies');
  for (const one of open) one.close();
}, 120_000);

test('connections of machines that nobody knows are bounded, and a machine that joins stays', async () => {
  const stays = await ControlClient.connect({ url: server.url, machine: newMachine('stays') });
  await stays.register({ authKey: await server.createKey() });
  stays.follow();
  await stays.until((map) => map.self !== undefined);
  const open: Duplex[] = [];
  let ended = 0;
  for (let i = 0; i < 1_400; i += 1) {
    const stream = await noise();
    stream.on('error', () => undefined).on('close', () => (ended += 1));
    stream.resume();
    open.push(stream);
  }
  await expect.poll(() => ended, { timeout: 10_000 }).toBeGreaterThanOrEqual(350);
  expect(stays.netmap.isOver).toBe(false);
  await expectWell('beside-strangers');
  for (const stream of open) stream.destroy();
  stays.close();
}, 120_000);
