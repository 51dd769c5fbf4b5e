/** Evidence for one TLS session, between two proxies and against everybody who would relay it. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { connect as connectTcp, createServer as createTcp, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  connect as connectTls,
  createServer as createTls,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { ok } from '@postern/core/base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Simulator } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type { Service, SessionProof } from '../../packages/server/src/mesh/index.ts';
import {
  at,
  callee,
  caller,
  type Canary,
  fixedSource,
  machine,
  type MeshNode,
  type NodeOptions,
  startCanary,
  startNode,
} from './world.ts';

let canary: Canary;
let before = 0;
const nodes: MeshNode[] = [];
const ends: (() => void)[] = [];
beforeAll(async () => {
  canary = await startCanary();
});
beforeEach(() => {
  before = canary.bytes();
});
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  for (const node of nodes.splice(0)) await node.plane.close(0);
});
afterAll(() => canary?.close());

function proofOf(simulator: Simulator, mode: SessionProof['mode'] = 'required'): SessionProof {
  return { mode, prove: async (reportData) => ok(simulator.attestation(reportData)) };
}

async function start(options: NodeOptions): Promise<MeshNode> {
  const node = await startNode(options);
  nodes.push(node);
  return node;
}

function service(protocol: Service['protocol'] = 'http'): Service {
  return { port: 443, protocol, backend: { kind: 'tcp', host: '127.0.0.1', port: canary.port } };
}

const target = `${callee.app.appId}:443`;

async function pair(
  server: Partial<NodeOptions>,
  client: Partial<NodeOptions>,
  protocol: Service['protocol'] = 'http',
) {
  const serving = await start({ simulator: callee, services: [service(protocol)], ...server });
  const calling = await start({
    simulator: caller,
    fixed: { [target]: [at(serving.portOf('mesh-inbound'))] },
    ...client,
  });
  return { server: serving, client: calling };
}

async function ask(client: MeshNode): Promise<{ status: number | undefined; body: string }> {
  const sent = request({
    host: '127.0.0.1',
    port: client.outboundPort,
    agent: false,
    headers: { 'x-dstack-target-app': callee.app.appId },
  });
  sent.end();
  // The event has the message alone.
  const [message] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: message.statusCode, body: await text(message) };
}

const bound = (node: MeshNode) => node.plane.peers().map(({ peer }) => peer.sessionBound);

describe('two proxies', () => {
  for (const [serverMode, clientMode, isBound] of [
    ['required', 'required', true],
    ['offered', 'required', true],
    ['required', 'offered', true],
    ['offered', 'offered', true],
    ['offered', undefined, undefined],
    [undefined, 'offered', undefined],
  ] as const) {
    test(`agree where both can: ${serverMode ?? 'off'} and ${clientMode ?? 'off'}`, async () => {
      const { server, client } = await pair(
        serverMode === undefined ? {} : { session: proofOf(callee, serverMode) },
        clientMode === undefined ? {} : { session: proofOf(caller, clientMode) },
      );
      expect(await ask(client)).toEqual({ status: 200, body: 'ok' });
      expect(bound(server)).toEqual([isBound]);
      expect(bound(client)).toEqual([isBound]);
    });
  }

  for (const [serverMode, clientMode] of [
    ['required', undefined],
    [undefined, 'required'],
  ] as const) {
    test(`do not talk where one asks for it and the other cannot: ${serverMode ?? 'off'}, ${clientMode ?? 'off'}`, async () => {
      const { client } = await pair(
        serverMode === undefined ? {} : { session: proofOf(callee, serverMode) },
        clientMode === undefined ? {} : { session: proofOf(caller, clientMode) },
      );
      expect((await ask(client)).status).toBe(502);
      expect(canary.bytes()).toBe(before);
    });
  }

  test('carry raw TCP after it, to the last byte, also where the server speaks first', async () => {
    const greeter = createTcp((socket) => {
      socket.write('hello ');
      socket.pipe(socket);
    });
    greeter.listen(0, '127.0.0.1');
    await once(greeter, 'listening');
    ends.push(() => greeter.close());
    // A TCP server has an address of this form.
    const { port } = greeter.address() as AddressInfo;
    const serving = await start({
      simulator: callee,
      session: proofOf(callee),
      services: [{ port: 443, protocol: 'tcp', backend: { kind: 'tcp', host: '127.0.0.1', port } }],
    });
    const calling = await start({
      simulator: caller,
      session: proofOf(caller),
      fixed: { [target]: [at(serving.portOf('mesh-inbound'))] },
      forwards: [
        {
          bind: { host: '127.0.0.1', port: 0 },
          address: { appId: callee.app.appId, instanceId: undefined, port: 443 },
        },
      ],
    });
    const socket = connectTcp(calling.portOf('mesh-forward'), '127.0.0.1');
    socket.end('world');
    expect(await text(socket)).toBe('hello world');
  });

  test('carry HTTP/2 after it, with trailers', async () => {
    const backend = createHttp2((message, response) => {
      message.resume();
      response.addTrailers({ 'x-end': 'yes' });
      response.end('ok');
    });
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    ends.push(() => backend.close());
    // A TCP server has an address of this form.
    const { port } = backend.address() as AddressInfo;
    const serving = await start({
      simulator: callee,
      session: proofOf(callee),
      services: [{ port: 443, protocol: 'h2c', backend: { kind: 'tcp', host: '127.0.0.1', port } }],
    });
    const calling = await start({
      simulator: caller,
      session: proofOf(caller),
      fixed: { [target]: [at(serving.portOf('mesh-inbound'))] },
    });
    const session = connectHttp2(calling.outbound);
    ends.push(() => session.destroy());
    const stream = session.request({ 'x-dstack-target-app': callee.app.appId });
    let trailers: Record<string, unknown> = {};
    stream.on('trailers', (fields: Record<string, unknown>) => (trailers = fields));
    expect(await text(stream)).toBe('ok');
    expect(trailers['x-end']).toBe('yes');
    expect(bound(serving)).toEqual([true]);
  });

  test('prove anew for each connection: no report data is used twice', async () => {
    const seen = new Set<string>();
    let made = 0;
    const counting: SessionProof = {
      mode: 'required',
      prove: async (reportData) => {
        made += 1;
        seen.add(Buffer.from(reportData).toString('hex'));
        return ok(caller.attestation(reportData));
      },
    };
    const { client } = await pair(
      { session: proofOf(callee) },
      { session: counting, limits: { requestsPerConnectionMax: 1 } },
    );
    for (let i = 0; i < 4; i += 1) expect((await ask(client)).status).toBe(200);
    expect(seen.size).toBe(made);
    expect(made).toBeGreaterThan(0);
  });
});

describe('a server whose evidence is not of this session gets no byte', () => {
  async function refused(session: SessionProof, code: string, more: Partial<NodeOptions> = {}) {
    const { client } = await pair({ session, ...more }, { session: proofOf(caller) });
    const answer = await ask(client);
    expect(answer.status).toBe(502);
    expect(answer.body).toContain(code);
    expect(canary.bytes()).toBe(before);
  }

  test('evidence of another machine, over the right data', () =>
    // The certificate and its key were taken to a machine that runs something else.
    refused(proofOf(machine('cc')), 'app_not_allowed'));
  test('evidence of another instance of the same app', () =>
    refused(proofOf(machine('bb', 'dd')), 'session_of_another'));
  test('evidence that was made before, for another session', () => {
    const old = callee.attestation(new Uint8Array(64).fill(1));
    return refused({ mode: 'required', prove: async () => ok(old) }, 'report_data_unexpected');
  });
  test('no evidence, garbage, and more of it than there may be', async () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(100).fill(7)]) {
      await refused({ mode: 'required', prove: async () => ok(bytes) }, 'session_unproven');
    }
    await refused(
      { mode: 'required', prove: async () => ok(new Uint8Array(300_000)) },
      'session_unproven',
    );
  });
});

describe('a caller whose evidence is not of this session reaches no backend', () => {
  for (const [what, session, code] of [
    ['another machine', proofOf(machine('cc')), 'app_not_allowed'],
    ['another instance', proofOf(machine('aa', 'dd')), 'session_of_another'],
  ] as const) {
    test(what, async () => {
      const { server, client } = await pair({ session: proofOf(callee) }, { session });
      expect((await ask(client)).status).not.toBe(200);
      expect(canary.bytes()).toBe(before);
      await expect.poll(() => server.records.map(({ why }) => why).join()).toContain(code);
    });
  }
});

/** Somebody who has the key of a machine's certificate, and passes everything on to that machine. */
async function relay(
  stolen: { readonly keyPem: string; readonly chain: readonly string[] },
  toPort: number,
  protocol: string,
): Promise<{ readonly port: number; readonly passed: () => number }> {
  let passed = 0;
  const own = { key: stolen.keyPem, cert: stolen.chain.slice(0, 2).join('') };
  const server: TlsServer = createTls(
    { ...own, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [protocol] },
    (victim: TLSSocket) => {
      const inner = connectTls({
        ...relayAs,
        host: '127.0.0.1',
        port: toPort,
        rejectUnauthorized: false,
        ALPNProtocols: [protocol],
        checkServerIdentity: () => undefined,
      });
      for (const each of [victim, inner]) each.on('error', () => undefined);
      victim.on('data', (piece: Buffer) => (passed += piece.length));
      victim.pipe(inner).pipe(victim);
      victim.on('close', () => inner.destroy());
      inner.on('close', () => victim.destroy());
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => server.close());
  // A TCP server has an address of this form.
  return { port: (server.address() as AddressInfo).port, passed: () => passed };
}

const usages = {
  subject: 'x',
  altNames: [],
  usageRaTls: true,
  usageServerAuth: true,
  usageClientAuth: true,
  notBeforeMs: Date.now() - 60_000,
  notAfterMs: Date.now() + 1_800_000,
} as const;
const relayKey = caller.tlsKey(usages);
const relayAs = { key: relayKey.keyPem, cert: relayKey.chain.slice(0, 2).join('') };

describe('evidence that is relayed from another machine', () => {
  test('is believed where the certificate alone counts, which is why there is a stronger mode', async () => {
    const stolen = callee.tlsKey(usages);
    const source = fixedSource(stolen.keyPem, stolen.chain.join(''));
    const serving = await start({ simulator: callee, services: [service()], source });
    const between = await relay(stolen, serving.portOf('mesh-inbound'), 'http/1.1');
    const client = await start({ simulator: caller, fixed: { [target]: [at(between.port)] } });
    expect((await ask(client)).status).toBe(200);
    expect(between.passed()).toBeGreaterThan(0);
  });

  test('is refused where evidence is of the session, and no byte of a request comes by', async () => {
    const stolen = callee.tlsKey(usages);
    const source = fixedSource(stolen.keyPem, stolen.chain.join(''));
    const session = proofOf(callee);
    const serving = await start({ simulator: callee, services: [service()], source, session });
    const between = await relay(
      stolen,
      serving.portOf('mesh-inbound'),
      'postern-session-1/http/1.1',
    );
    const client = await start({
      simulator: caller,
      session: proofOf(caller),
      fixed: { [target]: [at(between.port)] },
    });
    const answer = await ask(client);
    expect(answer.status).toBe(502);
    // Each end sees that the other's evidence is of another session; whoever is first closes.
    expect(answer.body).toMatch(/report_data_unexpected|session_unproven/);
    expect(canary.bytes()).toBe(before);
    expect(serving.plane.facts().counters.inboundRequests).toBe(0);
  });
});
