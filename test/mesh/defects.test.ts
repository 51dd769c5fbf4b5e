/**
 * The 23 defects of the mesh that this one is compatible with: each has a test that shows it absent. Those of the registry
 * and of group keys (8, 14 to 17) are in registry-defects.test.ts; 20 is in the tests that it names.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect as connectTls } from 'node:tls';
import { text } from 'node:stream/consumers';
import { parseConfig } from '@postern/core/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAgentSource } from '../../packages/server/src/adapters/mesh-identity/index.ts';
import { planMesh } from '../../packages/server/src/app/mesh/plan.ts';
import {
  createResolver,
  nginxServerProxy,
  ownLifetimeMsMax,
  parseGatewayDomain,
  readTarget,
} from '../../packages/server/src/mesh/index.ts';
import {
  at,
  callee,
  caller,
  type Canary,
  type MeshNode,
  startCanary,
  startNode,
  trust,
} from './world.ts';

let canary: Canary;
let server: MeshNode;
let client: MeshNode;

beforeAll(async () => {
  canary = await startCanary((message, response) => {
    message.resume();
    response.writeHead(message.url === '/health' ? 299 : 404, ['x-seen', message.url ?? '']);
    response.end();
  });
  const backend = { kind: 'tcp', host: '127.0.0.1', port: canary.port } as const;
  server = await startNode({
    simulator: callee,
    services: [{ port: 443, protocol: 'http', backend }],
    auth: true,
  });
  const fixed = { [`${callee.app.appId}:443`]: [at(server.portOf('mesh-inbound'))] };
  client = await startNode({ simulator: caller, fixed });
});
afterAll(async () => {
  await client?.plane.close(0);
  await server?.plane.close(0);
  await canary?.close();
});

async function call(path: string, headers: Record<string, string>, method = 'GET') {
  const sent = request({
    host: '127.0.0.1',
    port: client.outboundPort,
    path,
    method,
    headers,
    agent: false,
  });
  sent.end();
  const [message] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: message.statusCode, body: await text(message) };
}
const target = { 'x-dstack-target-app': callee.app.appId };

describe('identity and attestation', () => {
  test('1: evidence over our own key is asked for, always', async () => {
    const asked: { usageRaTls: boolean; notBeforeMs: number; notAfterMs: number }[] = [];
    const source = createAgentSource({
      name: 'x',
      nowMs: () => 0,
      agent: {
        getTlsKey: async (ask) => {
          asked.push(ask);
          return { ok: false, error: { message: 'enough' } };
        },
      },
    });
    await source.issue(new AbortController().signal);
    expect(asked[0]?.usageRaTls).toBe(true);
    // 6: an hour at most, and not ten years.
    expect((asked[0]?.notAfterMs ?? 0) - (asked[0]?.notBeforeMs ?? 0)).toBe(ownLifetimeMsMax);
  });
  test('2: without a grant nobody is let in, and there is no "any"', async () => {
    const { createMeshDecider } = await import('../../packages/server/src/app/mesh/decide.ts');
    const decide = createMeshDecider({ policy: () => undefined, mappings: () => [] });
    const [open] = server.plane.peers().length > 0 ? server.plane.peers() : [undefined];
    if (open === undefined) await call('/x', target);
    const peer = server.plane.peers()[0]?.peer;
    if (peer === undefined) throw new Error('a peer is connected');
    expect(await decide({ peer, port: 443, method: 'GET', path: '/' })).toMatchObject({
      allowed: false,
    });
  });
  test('3 and 4: the instance is held before anything is sent', async () => {
    const before = canary.bytes();
    const answer = await call('/x', { ...target, 'x-dstack-target-instance': '00' });
    expect(answer.status).toBe(502);
    expect(answer.body).toContain('target_instance_mismatch');
    expect(canary.bytes()).toBe(before);
  });
  test('5: a root that the agent returns is no anchor', () => {
    expect(trust.kmsRoots).toEqual([]);
    const parsed = parseConfig({ mesh: {} });
    expect('config' in parsed && parsed.config.mesh?.trust.kmsRootsFile).toBeUndefined();
  });
  test('7: names by the gateway always have the s, so that it passes TLS through unread', async () => {
    const gateway = parseGatewayDomain('example.com');
    if (!gateway.ok) throw new Error(gateway.error);
    const resolve = createResolver({ fixed: new Map(), gateway: gateway.value });
    const address = { appId: callee.app.appId, instanceId: undefined, port: 8080 };
    for (const { host } of await resolve(address)) expect(host).toContain('-8080s.');
  });
});

describe('spoofing and exposure', () => {
  test('9: a header says nothing about who is calling, at no door', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.portOf('mesh-auth')}/auth`, {
      headers: { 'x-dstack-app-id': caller.app.appId },
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('x-dstack-app-id')).toBeNull();
  });
  test('10: no file is served by any door', async () => {
    for (const path of ['/vpc/0/shared_key', '/vpc/0/pre_auth_key', '/shared_key']) {
      expect((await call(path, {})).status).toBe(400);
    }
  });
  test('11: a forgotten target reaches no agent, and doors are on loopback', async () => {
    for (const path of ['/GetTlsKey', '/get_key', '/GetQuote', '/Info']) {
      expect((await call(path, {}, 'POST')).status).toBe(400);
    }
    const parsed = parseConfig({ mesh: { auth: { enabled: true } } });
    const mesh = 'config' in parsed ? parsed.config.mesh : undefined;
    const plan = mesh === undefined ? undefined : planMesh(mesh, {});
    const hosts = plan?.ok === true ? [...plan.value.doors.outbound, ...plan.value.doors.auth] : [];
    expect(hosts.map(({ host }) => host)).toEqual(['127.0.0.1', '::1', '127.0.0.1', '::1']);
  });
  test('12: what is no hex never becomes part of a host, and plain HTTP to a peer does not exist', async () => {
    expect(readTarget(['x-dstack-target-app', 'evil.example/?']).ok).toBe(false);
    const plain = await call('/y', { ...target, 'x-dstack-target-use-tls': 'false' });
    expect(plain.status).toBe(404);
    expect(client.plane.peers().every(({ peer }) => peer.kind === 'ra-tls')).toBe(true);
  });
  test('13: keys that others may read are refused (held in parts.test.ts), and facts show no key', () => {
    expect(JSON.stringify(server.plane.facts())).not.toContain('PRIVATE');
  });
});

describe('data', () => {
  test('18: the status of the other end comes back', async () => {
    expect((await call('/nothing', target)).status).toBe(404);
  });
  test('19: OPTIONS goes through, and so do /health and /auth of the other end', async () => {
    expect((await call('/health', target)).status).toBe(299);
    expect((await call('/auth', target)).status).toBe(404);
    expect((await call('/x', target, 'OPTIONS')).status).toBe(404);
  });
  test('20: streams, switches, gRPC and databases: http, grpc, tunnel and mariadb tests', () => {
    const parsed = parseConfig({
      mesh: {
        inbound: ['http', 'h2c', 'tcp'].map((protocol) => ({
          port: 1,
          backend: '127.0.0.1:1',
          protocol,
        })),
      },
    });
    expect('config' in parsed).toBe(true);
  });
  test('21: TLS 1.3 alone, here and in the nginx file', async () => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: server.portOf('mesh-inbound'),
      maxVersion: 'TLSv1.2',
      rejectUnauthorized: false,
    });
    await expect(once(socket, 'secureConnect')).rejects.toThrow();
    const file = nginxServerProxy({
      outbound: 'a:1',
      auth: 'a:2',
      backend: 'a:3',
      listenPlain: '80',
      listenTls: '443',
      port: 443,
      certificateFile: '/c',
      keyFile: '/k',
      rootsFile: '/r',
    });
    expect(file).toContain('ssl_protocols TLSv1.3;');
    expect(file).not.toContain('ssl_ciphers');
  });
  test('22: connections are kept, and what happens is counted', async () => {
    const before = server.plane.facts().counters.inboundPeers;
    for (let i = 0; i < 3; i += 1) await call('/again', target);
    expect(server.plane.facts().counters.inboundPeers).toBe(before);
    expect(client.plane.facts().counters.outboundRequests).toBeGreaterThan(2);
  });
  test('23: a direct way is used where one is known, without any gateway', async () => {
    const resolve = createResolver({
      fixed: new Map([[`${callee.app.appId}:443`, [at(1)]]]),
      gateway: undefined,
    });
    const address = { appId: callee.app.appId, instanceId: undefined, port: 443 };
    expect(await resolve(address)).toEqual([at(1)]);
  });
});
