import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callee, caller, type MeshNode, startNode, stranger } from './world.ts';

let node: MeshNode;
let base = '';

beforeAll(async () => {
  node = await startNode({
    simulator: callee,
    auth: true,
    decide: async ({ peer, port, method, path }) =>
      peer.appId === caller.app.appId &&
      port === 443 &&
      (path === undefined || (path === '/open' && method === 'GET'))
        ? { allowed: true, id: 'grant' }
        : { allowed: false, id: 'deny', reason: 'path' },
  });
  base = `http://127.0.0.1:${node.portOf('mesh-auth')}`;
});
afterAll(() => node.plane.close(0));

function leafOf(machine: typeof caller, changes: Record<string, unknown> = {}): string {
  const { chain } = machine.tlsKey({
    subject: 'x',
    altNames: [],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 1_800_000,
    ...changes,
  });
  return encodeURIComponent(chain[0] ?? '');
}

const ask = (headers: Record<string, string>) => fetch(`${base}/auth`, { headers });

describe('/auth for nginx', () => {
  test('says who holds a certificate that it judged in full', async () => {
    const answer = await ask({ 'x-client-verify': 'SUCCESS', 'x-client-cert': leafOf(caller) });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-dstack-app-id')).toBe(caller.app.appId);
    expect(answer.headers.get('x-postern-identity')).toMatch(/^ey/);
  });
  test('401 where nginx did not verify, or passed nothing, or passed it twice', async () => {
    const cert = leafOf(caller);
    for (const headers of [
      {},
      { 'x-client-verify': 'NONE', 'x-client-cert': cert },
      { 'x-client-verify': 'FAILED:x', 'x-client-cert': cert },
      { 'x-client-cert': cert },
      { 'x-client-verify': 'SUCCESS' },
      { 'x-client-verify': 'SUCCESS', 'x-client-cert': 'garbage' },
      { 'x-client-verify': 'SUCCESS', 'x-client-cert': `${cert}${cert}` },
    ] as Record<string, string>[]) {
      expect((await ask(headers)).status).toBe(401);
    }
  });
  test('401 for a certificate without evidence, of an unknown app, or that has ended', async () => {
    for (const cert of [
      leafOf(caller, { usageRaTls: false }),
      leafOf(stranger),
      leafOf(caller, { notBeforeMs: Date.now() - 7_200_000, notAfterMs: Date.now() - 3_700_000 }),
    ]) {
      const answer = await ask({ 'x-client-verify': 'SUCCESS', 'x-client-cert': cert });
      expect(answer.status).toBe(401);
    }
  });
  test('the policy decides by method, path and port', async () => {
    const base = { 'x-client-verify': 'SUCCESS', 'x-client-cert': leafOf(caller) };
    const with_ = (more: Record<string, string>) => ask({ ...base, ...more });
    const open = { 'x-original-method': 'GET', 'x-original-uri': '/open?x=1' };
    expect((await with_(open)).status).toBe(200);
    expect((await with_({ ...open, 'x-original-method': 'POST' })).status).toBe(403);
    expect((await with_({ ...open, 'x-original-port': '8443' })).status).toBe(403);
    for (const uri of ['/open/../admin', '//open', '/open%2f..', '/%2e%2e/open']) {
      expect((await with_({ ...open, 'x-original-uri': uri })).status).toBe(401);
    }
  });
  test('health and keys are open, and nothing else is there', async () => {
    expect((await fetch(`${base}/health`)).status).toBe(200);
    const keys = (await (await fetch(`${base}/.well-known/jwks.json`)).json()) as {
      keys: object[];
    };
    expect(keys.keys[0]).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA' });
    expect((await fetch(`${base}/other`)).status).toBe(404);
    const foreign = await fetch(`${base}/auth`, { headers: { origin: 'https://evil.example' } });
    expect(foreign.status).toBe(403);
  });
});
