/** Listeners that an engine brings: the API of ours, and callers behind a router whom another one knows. */
import { afterEach, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { everyKey, granting, startGateway } from '../conformance/gateway.ts';
import { startTailscaleApi } from '../fakes/tailscale-api.ts';
import { freePort } from '../fakes/free-port.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function gateway(options: Parameters<typeof startGateway>[0]): Promise<TestGateway> {
  const started = await startGateway(options);
  open.push(() => started.stop());
  return started;
}

describe('the control listener', () => {
  test('answers the API of the embedded engine, to keys and to tokens with scopes', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const net = await gateway({
      config: {
        engine: {
          url: `http://${address}`,
          address,
          stunAddress: 'off',
          derpAddress: 'off',
          apiAddress: '127.0.0.1:0',
        },
      },
      policy: everyKey,
    });
    const key = await net.key('terraform', { admin: true });
    const base = `http://${net.address('control')}/api/v2`;
    const call = (token: string, path: string, init: RequestInit = {}) =>
      fetch(`${base}/${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
    const acl = await call(key, 'tailnet/-/acl');
    expect(await acl.text()).toBe(everyKey);
    const body = JSON.stringify({ keyType: 'client', scopes: ['all:read'] });
    const made = await call(key, 'tailnet/-/keys', { method: 'POST', body });
    const client = (await made.json()) as { id: string; key: string };
    const form = new URLSearchParams({ client_id: client.id, client_secret: client.key });
    const given = await fetch(`${base}/oauth/token`, { method: 'POST', body: form });
    const { access_token: token } = (await given.json()) as { access_token: string };
    expect((await call(token, 'tailnet/-/devices')).status).toBe(200);
    expect((await call(token, 'tailnet/-/acl', { method: 'POST', body: '{}' })).status).toBe(403);
    expect((await fetch(`http://${net.address('control')}/api/v1/nodes`)).status).toBe(404);
    // The secret of a client is no key of the gateway.
    const models = await fetch(`${net.url}/v1/models`, {
      headers: { authorization: `Bearer ${client.key}` },
    });
    expect(models.status).toBe(401);
  });

  test('is left out where nobody asked for it and its port is taken', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const engine = { url: `http://${address}`, address, stunAddress: 'off', derpAddress: 'off' };
    const first = await gateway({ config: { engine } });
    const address2 = `127.0.0.1:${await freePort()}`;
    const second = await gateway({
      config: { engine: { ...engine, url: `http://${address2}`, address: address2 } },
    });
    const listening = [first, second].map((each) => each.address('control')).filter(Boolean);
    // Whoever else has port 8000 here, too.
    expect(listening.length).toBeLessThanOrEqual(1);
  });
});

describe('the routed listener', () => {
  test('knows callers by the engine, refuses others, and says 503 while the engine is away', async () => {
    const api = await startTailscaleApi();
    open.push(() => api.close());
    const net = await gateway({
      config: {
        engine: { kind: 'tailscale', join: 'off', tailscale: { url: api.url } },
        routed: { from: '127.0.0.2', address: '127.0.0.1:0' },
      },
      policy: granting({ 'alice@example.com': { models: ['**'] } }),
      env: { TS_API_KEY: api.key },
    });
    const url = `http://${net.address('routed')}`;
    const stranger = await fetch(`${url}/whoami`);
    expect(stranger.status).toBe(401);
    const create = { reusable: true, ephemeral: false, preauthorized: true, tags: [] };
    const headers = { authorization: `Bearer ${api.key}` };
    const body = JSON.stringify({ keyType: 'auth', capabilities: { devices: { create } } });
    const keys = `${api.url}/api/v2/tailnet/-/keys`;
    const made = await fetch(keys, { method: 'POST', headers, body });
    const { key } = (await made.json()) as { key: string };
    api.join(key, { hostname: 'laptop', addresses: ['127.0.0.1'] });
    await expect
      .poll(async () => (await fetch(`${url}/whoami`)).status, { timeout: 5_000 })
      .toBe(200);
    expect(await (await fetch(`${url}/whoami`)).json()).toMatchObject({
      caller: { id: 'alice@example.com' },
    });
    await api.close();
    await expect
      .poll(async () => (await fetch(`${url}/whoami`)).status, { timeout: 8_000 })
      .toBe(503);
    await api.listen();
    await expect
      .poll(async () => (await fetch(`${url}/whoami`)).status, { timeout: 8_000 })
      .toBe(200);
    const foreign = await fetch(`${url}/whoami`, { headers: { origin: 'http://evil.example' } });
    expect(foreign.status).toBe(403);
  });
});
