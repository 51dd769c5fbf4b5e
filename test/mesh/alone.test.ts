/** `postern mesh run`: the mesh without a gateway, and what it shows of itself. */
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { JsonValue } from '@postern/core/base';
import { runMesh } from '@postern/server/app/mesh';
import { resolveSettings } from '@postern/server/app/settings';
import { createLogger } from '@postern/server/observe';
import { afterEach, expect, test } from 'vitest';
import { cli } from '../e2e/process.ts';
import { freePorts, simulatedMachine } from './process.ts';
import { caller } from './world.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  // oxlint-disable-next-line no-await-in-loop -- what was begun last ends first
  for (const end of ends.splice(0).toReversed()) await end();
});

interface Alone {
  readonly stateDir: string;
  readonly kinds: readonly string[];
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

async function alone(config: Record<string, JsonValue> = {}, into?: string): Promise<Alone> {
  const machine = await simulatedMachine(caller);
  ends.push(() => machine.close());
  const stateDir = into ?? machine.stateDir;
  const [outbound = 0] = await freePorts(1);
  const file = path.join(machine.stateDir, 'mesh.hujson');
  const mesh = { ...machine.mesh, outbound: { address: `127.0.0.1:${outbound}` } };
  await writeFile(file, JSON.stringify({ ...config, mesh }));
  const lines: string[] = [];
  const started = await runMesh({
    settings: resolveSettings({ state: stateDir, config: file }, {}),
    logger: createLogger({ level: 'info', format: 'json', write: (line) => lines.push(line) }),
    nowMs: () => Date.now(),
    version: '0.0.0-test',
    tomlFile: undefined,
  });
  if (!started.ok) throw new Error(started.error);
  const { listeners, stop } = started.value;
  ends.push(stop);
  return { stateDir, kinds: listeners.map(({ kind }) => kind), lines, stop };
}

type Where = http.RequestOptions;

async function ask(where: Where): Promise<{ status: number | undefined; body: string }> {
  const message = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http
      .request({ agent: false, ...where }, resolve)
      .on('error', reject)
      .end();
  });
  return { status: message.statusCode, body: await text(message) };
}

const socketOf = (stateDir: string): string => path.join(stateDir, 'run', 'control.sock');

test('status and peers are shown to its own user, metrics too, and nothing is changed over the socket', async () => {
  const { stateDir, kinds } = await alone();
  expect(kinds).toEqual(['mesh-outbound', 'control-socket']);
  const status = await cli(['mesh', 'status'], { stateDir });
  expect([status.code, status.err]).toEqual([0, '']);
  expect(status.out).toMatch(/^certificate +by .*\n[^]*^mesh-outbound +127\.0\.0\.1:\d+ +0$/m);
  expect((await cli(['mesh', 'peers'], { stateDir })).out).toContain('no connection is open');
  const socketPath = socketOf(stateDir);
  const metrics = await ask({ socketPath, path: '/metrics' });
  expect(metrics.body).toMatch(
    /^postern_mesh_requests_total\{edge="outbound",outcome="sent"\} 0$/m,
  );
  expect(metrics.body).toMatch(/^postern_mesh_certificate_expiry_timestamp_seconds \d{10}/m);
  const refused = await ask({ socketPath, path: '/api/v1/mesh/forwards', method: 'POST' });
  expect([refused.status, JSON.parse(refused.body)]).toMatchObject([
    405,
    { error: { message: expect.stringContaining('only looked at') } },
  ]);
  expect((await ask({ socketPath, path: '/api/v1/keys' })).status).toBe(404);
});

test('metrics are on TCP where the configuration opens them, and there is nothing else', async () => {
  const [port = 0] = await freePorts(1);
  const { kinds } = await alone({
    telemetry: { openMetrics: true },
    listeners: { admin: { address: `127.0.0.1:${port}` } },
  });
  expect(kinds).toEqual(['mesh-outbound', 'control-socket', 'admin']);
  expect((await ask({ port, path: '/metrics' })).body).toContain('postern_mesh_peers');
  expect((await ask({ port, path: '/api/v1/mesh' })).status).toBe(404);
  const forwarded = { 'x-forwarded-for': '203.0.113.9' };
  expect((await ask({ port, path: '/metrics', headers: forwarded })).status).toBe(403);
  expect((await ask({ port, path: '/metrics', headers: { host: 'evil.example' } })).status).toBe(
    403,
  );
});

test('a socket that a gateway has is left to it, and the mesh runs', async () => {
  const first = await alone();
  const second = await alone({}, first.stateDir);
  expect(second.kinds).toEqual(['mesh-outbound']);
  expect(second.lines.join('')).toContain('nothing is shown on control-socket');
  await second.stop();
  expect((await ask({ socketPath: socketOf(first.stateDir), path: '/api/v1/mesh' })).status).toBe(
    200,
  );
});
