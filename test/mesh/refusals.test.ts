import { request } from 'node:http';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTls } from 'node:tls';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCollateral } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import {
  distinguishedName,
  issueCertificate,
  keyUsage,
  pemOf,
  SigningKey,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { der } from '@postern/core/base/der';
import { parseCertificate } from '@postern/core/attest/x509';
import { revokedOf, type MeshTrust } from '../../packages/server/src/mesh/index.ts';
import {
  at,
  callee,
  caller,
  type Canary,
  fixedSource,
  machine,
  type MeshNode,
  type NodeOptions,
  policy,
  sourceOf,
  startCanary,
  startNode,
  stranger,
  trust,
} from './world.ts';

let canary: Canary;
const nodes: MeshNode[] = [];

beforeAll(async () => {
  canary = await startCanary();
});
afterAll(() => canary.close());
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.plane.close(0);
});
let before = 0;
beforeEach(() => {
  before = canary.bytes();
});

async function start(options: NodeOptions): Promise<MeshNode> {
  const node = await startNode(options);
  nodes.push(node);
  return node;
}

const service = () => ({
  port: 443,
  protocol: 'http' as const,
  backend: { kind: 'tcp' as const, host: '127.0.0.1', port: canary.port },
});

async function ask(node: MeshNode, headers: Record<string, string> = {}) {
  const sent = request({
    host: '127.0.0.1',
    port: node.outboundPort,
    method: 'POST',
    path: '/secret',
    agent: false,
    headers: { 'x-dstack-target-app': callee.app.appId, ...headers },
  });
  sent.end('the secret');
  const [message] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: message.statusCode, body: await text(message) };
}

/** A pair of machines with something wrong about one of them. */
async function pair(changes: {
  readonly server?: Partial<NodeOptions>;
  readonly client?: Partial<NodeOptions>;
}) {
  const server = await start({ simulator: callee, services: [service()], ...changes.server });
  const client = await start({
    simulator: caller,
    fixed: { [`${callee.app.appId}:443`]: [at(server.portOf('mesh-inbound'))] },
    ...changes.client,
  });
  return { server, client };
}

const codes = (node: MeshNode): string => node.records.map(({ why }) => why).join('; ');
const usages = { usageRaTls: true, usageServerAuth: true, usageClientAuth: true };

/** A certificate with somebody's evidence over a key that is not the one of the evidence. */
function swappedKey(victim: typeof callee) {
  const { chain } = victim.tlsKey({ subject: 'x', altNames: [], ...usages });
  const body = (chain[0] ?? '').replaceAll(/-----[^-]+-----|\s/g, '');
  const leaf = parseCertificate(new Uint8Array(Buffer.from(body, 'base64')));
  if (!leaf.ok) throw new Error('a certificate');
  const key = new SigningKey(new Uint8Array(32).fill(7), 'thief');
  const evidence = leaf.value.extensions.get('1.3.6.1.4.1.62397.1.8');
  if (evidence === undefined) throw new Error('evidence');
  const own = issueCertificate(
    {
      subject: distinguishedName('x'),
      spki: key.spki,
      serial: 9,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 1_800_000,
      usages: [keyUsage.digitalSignature],
      extensions: [
        {
          oid: '2.5.29.37',
          value: der.sequence(der.oid('1.3.6.1.5.5.7.3.1'), der.oid('1.3.6.1.5.5.7.3.2')),
        },
        { oid: '1.3.6.1.4.1.62397.1.8', value: evidence.value },
      ],
    },
    { name: distinguishedName('x'), key },
  );
  return fixedSource(pemOf('PRIVATE KEY', key.pkcs8()), pemOf('CERTIFICATE', own));
}

describe('a server that is not whom was asked for gets no byte', () => {
  async function refused(
    server: Partial<NodeOptions>,
    code: string,
    client: Partial<NodeOptions> = {},
    headers: Record<string, string> = {},
  ) {
    const world = await pair({ server, client });
    const answer = await ask(world.client, headers);
    expect(answer.status).toBe(502);
    expect(answer.body).toContain(code);
    expect(answer.body).toContain('Nothing was sent');
    expect(canary.bytes()).toBe(before);
    expect(world.server.plane.facts().counters.inboundRequests).toBe(0);
  }

  test('the right one does', async () => {
    const { client } = await pair({});
    expect(await ask(client)).toEqual({ status: 200, body: 'ok' });
    expect(canary.bytes()).toBeGreaterThan(before);
  });
  test('another app of the same KMS', () => refused({ simulator: caller }, 'target_app_mismatch'));
  test('an app that no policy names', () => refused({ simulator: stranger }, 'app_not_allowed'));
  test('another instance than the one asked for', () =>
    refused({}, 'target_instance_mismatch', {}, { 'x-dstack-target-instance': 'dd'.repeat(20) }));
  test('another version of the app', () => {
    const old = machine('bb');
    const simulator = new (Object.getPrototypeOf(old).constructor)({
      seed: 'mesh',
      app: { ...old.app, composeHash: 'b0'.repeat(32) },
      nowMs: Date.now,
    });
    return refused({ simulator }, 'compose_not_allowed');
  });
  test('an expired certificate', () =>
    refused(
      {
        source: sourceOf(callee, { nowMs: () => Date.now() - 7_200_000 }),
        nowMs: () => Date.now() - 7_200_000,
      },
      'certificate_expired',
    ));
  test('a certificate that lives longer than an hour', () => {
    const { keyPem, chain } = callee.tlsKey({
      subject: 'x',
      altNames: [],
      ...usages,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 315_360_000_000,
    });
    return refused({ source: fixedSource(keyPem, chain.join('')) }, 'certificate_lifetime_refused');
  });
  test('a certificate of the KMS without evidence', () => {
    const { keyPem, chain } = callee.tlsKey({
      subject: 'x',
      altNames: [],
      ...usages,
      usageRaTls: false,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 1_800_000,
    });
    return refused({ source: fixedSource(keyPem, chain.join('')) }, 'trust_not_configured');
  });
  test('a stale patch level', () =>
    refused({}, 'tcb_status_refused', {
      collateral: () =>
        createCollateral(callee.pki, {
          issuedAtMs: Date.now() - 86_400_000,
          nextUpdateMs: Date.now() + 86_400_000,
          editTcbInfo: (document) => ({
            ...document,
            tcbLevels: (document['tcbLevels'] as object[]).map((level) => ({
              ...level,
              tcbStatus: 'OutOfDate',
            })),
          }),
        }),
    }));
  test('old evidence with another key: a replayed quote, a swapped key', () =>
    refused({ source: swappedKey(callee) }, 'key_binding_invalid'));
  test('evidence of a machine that is not ours', () =>
    refused({}, 'device_not_allowed', {
      trust: () => ({ ...trust, appraisal: { ...policy, devices: ['00'.repeat(32)] } }),
    }));
  test('hardware that no pinned root vouches for', () =>
    refused({}, 'root_not_pinned', {
      trust: () => ({ ...trust, anchors: { ...trust.anchors, intel: new Set() } }),
    }));
  for (const [kind, lists] of [
    ['app', { apps: [callee.app.appId] }],
    ['instance', { instances: [callee.app.instanceId.toUpperCase()] }],
    ['device', { devices: [callee.deviceId] }],
  ] as const) {
    test(`a revoked ${kind}`, () =>
      refused({}, `${kind}_revoked`, { trust: () => ({ ...trust, revoked: revokedOf(lists) }) }));
  }
  test('a revoked serial number, however it is written', () =>
    refused(
      {
        source: (() => {
          const { keyPem, chain } = callee.tlsKey({
            subject: 'x',
            altNames: [],
            ...usages,
            notBeforeMs: Date.now() - 60_000,
            notAfterMs: Date.now() + 1_800_000,
          });
          const body = (chain[0] ?? '').replaceAll(/-----[^-]+-----|\s/g, '');
          const leaf = parseCertificate(new Uint8Array(Buffer.from(body, 'base64')));
          serial = leaf.ok ? leaf.value.serialHex : '';
          return fixedSource(keyPem, chain.join(''));
        })(),
      },
      'serial_revoked',
      {
        trust: () => ({
          ...trust,
          revoked: revokedOf({ serials: [`00:${serial}`.toUpperCase()] }),
        }),
      },
    ));
  let serial = '';
  test('evidence that another machine relays: without its key there is no handshake', async () => {
    const { chain } = callee.tlsKey({ subject: 'x', altNames: [], ...usages });
    const key = new SigningKey(new Uint8Array(32).fill(8), 'relay');
    const source = fixedSource(pemOf('PRIVATE KEY', key.pkcs8()), chain.join(''));
    await expect(start({ simulator: callee, source })).rejects.toThrow('not the one');
  });
});

describe('a caller that is not believed reaches no backend', () => {
  async function cut(
    client: Partial<NodeOptions>,
    code: string,
    server: Partial<NodeOptions> = {},
  ) {
    const world = await pair({ client, server });
    const answer = await ask(world.client).catch(() => ({ status: 0 }));
    expect(answer.status).not.toBe(200);
    expect(canary.bytes()).toBe(before);
    await expect.poll(() => codes(world.server)).toContain(code);
    expect(world.server.plane.facts().counters.inboundRequests).toBe(0);
  }
  const trustOf = (changes: Partial<MeshTrust>) => ({ trust: () => ({ ...trust, ...changes }) });

  test('an app that no policy names', () => cut({ simulator: stranger }, 'app_not_allowed'));
  test('a swapped key', () => cut({ source: swappedKey(caller) }, 'key_binding_invalid'));
  test('an expired certificate, of a caller whose clock went wrong', () => {
    const nowMs = () => Date.now() - 7_200_000;
    const lenient = trustOf({ clockSkewMsMax: 14_400_000 });
    return cut({ source: sourceOf(caller, { nowMs }), nowMs, ...lenient }, 'certificate_expired');
  });
  test('a revoked app', () =>
    cut({}, 'app_revoked', trustOf({ revoked: revokedOf({ apps: [caller.app.appId] }) })));
  test('nobody without a certificate', async () => {
    const { server } = await pair({});
    const socket = connectTls({
      host: '127.0.0.1',
      port: server.portOf('mesh-inbound'),
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect(canary.bytes()).toBe(before);
    expect(codes(server)).toContain('certificate_missing');
  });
  test('whom no grant lets in: default deny, before the backend', async () => {
    const { client } = await pair({
      server: {
        decide: async ({ peer, port, method, path }) =>
          peer.appId === caller.app.appId && port === 443 && method === 'GET' && path === '/open'
            ? { allowed: true, id: 'grant' }
            : { allowed: false, id: 'deny', reason: 'method' },
      },
    });
    const answer = await ask(client);
    expect(answer.status).toBe(403);
    expect(canary.bytes()).toBe(before);
  });
});

test('what is revoked while its connection is open is cut at the next look', async () => {
  let revoked = trust.revoked;
  const { server, client } = await pair({ server: { trust: () => ({ ...trust, revoked }) } });
  expect((await ask(client)).status).toBe(200);
  expect(server.plane.peers().length).toBe(1);
  revoked = revokedOf({ instances: [caller.app.instanceId] });
  server.plane.sweep();
  await expect.poll(() => server.plane.peers().length).toBe(0);
  expect(server.plane.facts().cut).toBe(1);
});

test('an address that fails is left out for a while and then tried again', async () => {
  const { client } = await pair({
    client: { fixed: { [`${callee.app.appId}:443`]: [at(9)] } },
  });
  for (let i = 0; i < 3; i += 1) expect((await ask(client)).status).toBe(502);
  expect((await ask(client)).status).toBe(503);
  expect(client.plane.facts().ejected.length).toBe(1);
});

test('the second address serves where the first one is somebody else', async () => {
  const wrong = await start({ simulator: caller, services: [service()] });
  const right = await start({ simulator: callee, services: [service()] });
  const client = await start({
    simulator: caller,
    fixed: {
      [`${callee.app.appId}:443`]: [
        at(wrong.portOf('mesh-inbound')),
        at(right.portOf('mesh-inbound')),
      ],
    },
  });
  expect((await ask(client)).status).toBe(200);
  expect(wrong.plane.facts().counters.inboundRequests).toBe(0);
});
