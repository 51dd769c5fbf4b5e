/** A whole Postern with a mesh, as operators see it: metrics, records, traces, revocation, changed configuration. */
import { request } from 'node:http';
import { createServer } from 'node:http';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startGateway, type TestGateway } from '../conformance/gateway.ts';
import { cli } from '../e2e/process.ts';
import { freePorts, type SimulatedMachine, simulatedMachine } from './process.ts';
import {
  at,
  callee,
  caller,
  type Canary,
  type MeshNode,
  startCanary,
  startNode,
  stranger,
} from './world.ts';

const app = callee.app.appId;
const policy = JSON.stringify({
  tagOwners: { 'tag:app': [] },
  grants: [
    {
      src: ['tag:app'],
      dst: ['*'],
      app: { 'postern.dev/cap/mesh': [{ apps: ['*'], ports: [443], paths: ['/api/**'] }] },
    },
  ],
});

interface Collected {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
}

let machine: SimulatedMachine;
let server: TestGateway;
let node: MeshNode;
let strange: MeshNode;
let canary: Canary;
let config: Record<string, unknown>;
let inbound = 0;
let outboundPort = 0;
const spans: Collected[] = [];
const seenTraces: (string | undefined)[] = [];
const collector = createServer((message, response) => {
  void text(message).then((body) => {
    // OTLP as JSON has this shape.
    const sent = JSON.parse(body) as {
      resourceSpans: { scopeSpans: { spans: Collected[] }[] }[];
    };
    for (const one of sent.resourceSpans)
      for (const scope of one.scopeSpans) spans.push(...scope.spans);
    response.end('{}');
  });
});

beforeAll(async () => {
  machine = await simulatedMachine(callee);
  const [one = 0, outbound = 0] = await freePorts(2);
  inbound = one;
  outboundPort = outbound;
  await new Promise<void>((done) => collector.listen(0, '127.0.0.1', done));
  const address = collector.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  canary = await startCanary((message, response) => {
    message.resume();
    const trace = message.headers['traceparent'];
    seenTraces.push(typeof trace === 'string' ? trace : undefined);
    response.end('ok');
  });
  config = {
    identities: {
      map: [caller, callee].map((each) => ({ app: each.app.appId, as: ['tag:app'] })),
    },
    telemetry: { traces: { endpoint: `http://127.0.0.1:${port}/v1/traces`, sample: 1 } },
    mesh: {
      ...machine.mesh,
      outbound: {
        address: `127.0.0.1:${outbound}`,
        targets: { [`${app}:443`]: [`127.0.0.1:${inbound}`] },
      },
      inbound: [
        { port: 443, address: `127.0.0.1:${inbound}`, backend: `127.0.0.1:${canary.port}` },
      ],
    },
  };
  server = await startGateway({ stateDir: machine.stateDir, policy, config });
  const fixed = { [`${app}:443`]: [at(inbound)] };
  node = await startNode({ simulator: caller, fixed });
  strange = await startNode({ simulator: stranger, fixed });
}, 120_000);

afterAll(async () => {
  await node?.plane.close(0);
  await strange?.plane.close(0);
  await server?.stop();
  await canary?.close();
  collector.close();
  await machine?.close();
});

function call(
  from: Pick<MeshNode, 'outboundPort'>,
  target: string,
  more: Record<string, string> = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port: from.outboundPort,
      path: target,
      headers: { 'x-dstack-target-app': app, ...more },
      agent: false,
    });
    sent.once('error', reject);
    sent.once('response', (message) => {
      message.resume().once('end', () => resolve(message.statusCode ?? 0));
    });
    sent.end();
  });
}

/** Connections of the caller that are open at the way in. */
async function callers(): Promise<{ readonly serial: string }[]> {
  const { body } = await server.control('GET', '/api/v1/mesh/peers');
  // The operation answers with this shape.
  const peers = body['peers'] as { serial: string; app_id: string }[];
  return peers.filter((peer) => peer.app_id === caller.app.appId);
}

async function metric(name: string): Promise<string[]> {
  const sent = request({
    socketPath: path.join(machine.stateDir, 'run', 'control.sock'),
    path: '/metrics',
    headers: { host: 'localhost' },
    agent: false,
  });
  sent.end();
  const body = await new Promise<string>((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (message) => void text(message).then(resolve));
  });
  return body.split('\n').filter((line) => line.startsWith(name));
}

describe('what happens at the edges', () => {
  test('is counted in metrics, with labels of ours alone', async () => {
    expect(await call(node, '/api/data')).toBe(200);
    expect(await call(node, '/secret')).toBe(403);
    expect(await call(strange, '/api/data')).toBe(502);
    expect(await metric('postern_mesh_requests_total{')).toContain(
      'postern_mesh_requests_total{edge="inbound",outcome="allowed"} 1',
    );
    expect(await metric('postern_mesh_requests_total{')).toContain(
      'postern_mesh_requests_total{edge="inbound",outcome="denied"} 1',
    );
    expect(await metric('postern_mesh_refusals_total{')).toEqual([
      'postern_mesh_refusals_total{reason="app_not_allowed"} 1',
    ]);
    expect(await metric('postern_mesh_certificate_expiry')).toHaveLength(1);
  });

  test('is a span at each proxy, in the trace of the caller', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    seenTraces.length = 0;
    expect(await call(node, '/api/traced', { traceparent })).toBe(200);
    // The way out of this machine does not trace; it hands the caller's on.
    const mine = await vi.waitFor(
      () => {
        const found = spans.find((span) => span.traceId === traceId);
        if (found === undefined) throw new Error('not yet');
        return found;
      },
      { timeout: 8_000, interval: 100 },
    );
    expect(mine).toMatchObject({ name: 'GET mesh inbound', parentSpanId: 'b7ad6b7169203331' });
    expect(seenTraces).toEqual([`00-${traceId}-${mine.spanId}-01`]);
    expect(
      await call(node, '/api/traced', { traceparent: `00-${traceId}-b7ad6b7169203331-00` }),
    ).toBe(200);
    expect(seenTraces[1]).toBe(`00-${traceId}-b7ad6b7169203331-00`);
  });

  test('is one trace through both proxies: the way out above the way in', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    seenTraces.length = 0;
    expect(await call({ outboundPort }, '/api/both', { traceparent })).toBe(200);
    const both = await vi.waitFor(
      () => {
        const found = spans.filter((span) => span.traceId === traceId);
        if (found.length < 2) throw new Error('not yet');
        return found;
      },
      { timeout: 8_000, interval: 100 },
    );
    const [out, into] = ['GET mesh outbound', 'GET mesh inbound'].map((name) =>
      both.find((span) => span.name === name),
    );
    expect(out?.parentSpanId).toBe('00f067aa0ba902b7');
    expect(into?.parentSpanId).toBe(out?.spanId);
    expect(seenTraces).toEqual([`00-${traceId}-${into?.spanId ?? ''}-01`]);
  });

  test('is on the record: who, where and by which decision, counted by the minute', async () => {
    await server.control('POST', '/api/v1/audit/checkpoint');
    const status = await server.control('GET', '/api/v1/mesh');
    expect(status.body['counters']).toMatchObject({ inboundDenied: 1, refused_app_not_allowed: 1 });
  });
});

describe('a revocation in the journal', () => {
  test('cuts what is open at once, refuses handshakes, and can be taken back', async () => {
    expect(await call(node, '/api/data')).toBe(200);
    const open = async (): Promise<number> => (await callers()).length;
    expect(await open()).toBeGreaterThan(0);
    const target = { by: 'peer', kind: 'app', id: caller.app.appId };
    const made = await server.control('POST', '/api/v1/revocations', { target, reason: 'drill' });
    expect(made.status).toBe(201);
    expect(made.body['target']).toEqual(target);
    await vi.waitFor(async () => expect(await open()).toBe(0), { timeout: 2_000 });
    expect(await call(node, '/api/data')).toBe(502);
    expect(await metric('postern_mesh_cut_total')).toEqual(['postern_mesh_cut_total 1']);
    const lifted = await server.control('DELETE', `/api/v1/revocations/${String(made.body['id'])}`);
    expect(lifted.status).toBe(200);
    await vi.waitFor(async () => expect(await call(node, '/api/data')).toBe(200), {
      timeout: 8_000,
      interval: 300,
    });
  });

  test('is one command, by whatever name a tool printed, and its opposite is another', async () => {
    await vi.waitFor(async () => expect(await call(node, '/api/data')).toBe(200), {
      timeout: 8_000,
      interval: 300,
    });
    const [peer] = await callers();
    const serial = `00:${(peer?.serial ?? '').toUpperCase()}`;
    const run = (...words: string[]) =>
      cli(['mesh', 'revoke', 'serial', serial, ...words], machine);
    const revoked = await run('--reason', 'drill');
    expect(revoked.err).toBe('');
    expect(revoked.out).toContain('is revoked');
    expect(await call(node, '/api/data')).toBe(502);
    expect((await run('--lift')).out).toContain('no longer revoked');
    expect((await run('--lift')).code).toBe(1);
    await vi.waitFor(async () => expect(await call(node, '/api/data')).toBe(200), {
      timeout: 8_000,
      interval: 300,
    });
  }, 120_000);

  test('names nothing that no peer can be', async () => {
    for (const id of ['', 'zz', 'AA'.repeat(20), 'aa'.repeat(21)]) {
      const target = { by: 'peer', kind: 'app', id };
      expect((await server.control('POST', '/api/v1/revocations', { target })).status).toBe(400);
    }
  });
});

test('a changed configuration is in force without a restart', async () => {
  const file = path.join(machine.stateDir, 'postern.hujson');
  // The file holds what `config` has.
  const next = JSON.parse(await readFile(file, 'utf8')) as { mesh: Record<string, unknown> };
  next.mesh['revoked'] = { apps: [caller.app.appId] };
  await writeFile(file, JSON.stringify(next));
  await vi.waitFor(async () => expect(await call(node, '/api/data')).toBe(502), {
    timeout: 8_000,
    interval: 200,
  });
});
