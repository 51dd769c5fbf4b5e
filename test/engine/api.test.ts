import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tailscaleEngine } from '../../packages/server/src/adapters/engine-tailscale/index.ts';
import type { NetworkEngine } from '../../packages/server/src/control/engine/index.ts';
import { capabilitiesOf } from '../../packages/server/src/control/engine/index.ts';
import { createKey } from '../../packages/server/src/control/index.ts';
import { approvePolicyPlan } from '../../packages/server/src/control/policy/index.ts';
import { operator } from '../coordination/rig.ts';
import { startApi } from './api-server.ts';
import { describeEngine, value } from './contract.ts';
import { secretOf, surroundings } from './surroundings.ts';

describeEngine('the embedded engine through its own API v2', async () => {
  const api = await startApi();
  const around = surroundings();
  const engine = tailscaleEngine({
    ...around,
    base: new URL(api.url),
    credential: { kind: 'key', key: secretOf(api.adminKey) },
  });
  // What takes access away waits for a second person when a program asks for it, and goes when it is sent again.
  const setPolicy: NetworkEngine['setPolicy'] = async (text, ifMatch) => {
    const set = await engine.setPolicy(text, ifMatch);
    const plan = set.ok ? undefined : /postern approve (\w+)/.exec(set.error.message)?.[1];
    if (plan === undefined) return set;
    await approvePolicyPlan(api.policy, plan, operator);
    return engine.setPolicy(text, ifMatch);
  };
  const { embedded, tailscale } = capabilitiesOf;
  const capabilities = new Set([...tailscale].filter((each) => embedded.has(each)));
  return {
    ...api,
    engine: { ...engine, setPolicy, capabilities },
    close: async () => {
      await around.close();
      await api.close();
    },
  };
});

describe('the API v2 of the embedded engine', () => {
  let api: Awaited<ReturnType<typeof startApi>>;
  beforeAll(async () => {
    api = await startApi();
  }, 120_000);
  afterAll(() => api.close());

  interface Answer {
    readonly status: number;
    // What a test looks at is judged by its expectations.
    readonly json: ReturnType<typeof JSON.parse>;
    readonly headers: Headers;
  }
  const call = async (
    method: string,
    path: string,
    options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const { token = api.adminKey, body, headers } = options;
    const answer = await fetch(`${api.url}/api/v2/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return {
      status: answer.status,
      json: JSON.parse(await answer.text()),
      headers: answer.headers,
    };
  };
  const tokenOf = async (client: { id: string; key: string }, scope = ''): Promise<Answer> => {
    const form = new URLSearchParams({ client_id: client.id, client_secret: client.key, scope });
    return call('POST', 'oauth/token', { body: form.toString() });
  };
  const clientOf = async (scopes: string[], tags: string[] = []) =>
    (await call('POST', 'tailnet/-/keys', { body: { keyType: 'client', scopes, tags } })).json as {
      id: string;
      key: string;
    };

  test('nobody, somebody else’s token and keys that do not administer stay out, in its own words', async () => {
    const path = 'tailnet/-/devices';
    for (const [token, status, message] of [
      ['', 401, /administrator/],
      ['tskey-api-k1-x', 401, /./],
      ['pst_000000000000000000000000000000000000', 401, /typo/],
      ['pstoauth-e30.00', 401, /not made here/],
      [api.plainKey, 403, /does not administer/],
    ] as const) {
      const answer = await call('GET', path, { token });
      expect(answer).toMatchObject({
        status,
        json: { status, message: expect.stringMatching(message) },
      });
    }
    const basic = Buffer.from(`${api.adminKey}:`).toString('base64');
    const answer = await call('GET', path, { headers: { authorization: `Basic ${basic}` } });
    expect(answer.status).toBe(200);
  });

  test('a client gets tokens with its scopes, which end with it', async () => {
    const client = await clientOf(['devices:core:read', 'dns']);
    const { json, status } = await tokenOf(client);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'devices:core:read dns',
    });
    const token: string = json.access_token;
    expect((await call('GET', 'tailnet/-/devices', { token })).status).toBe(200);
    expect((await call('GET', 'tailnet/-/dns/preferences', { token })).status).toBe(200);
    expect((await call('GET', 'tailnet/-/acl', { token })).json).toMatchObject({
      status: 403,
      message: 'This needs the scope policy_file:read.',
    });
    expect((await call('DELETE', 'device/n1', { token })).status).toBe(403);
    expect((await call('POST', 'tailnet/-/keys', { token, body: {} })).status).toBe(403);
    await call('DELETE', `tailnet/-/keys/${client.id}`);
    expect((await call('GET', 'tailnet/-/devices', { token })).json.message).toMatch(/revoked/);
    expect((await tokenOf(client)).status).toBe(401);
  });

  test('a token for less has less, and for more is refused', async () => {
    const client = await clientOf(['all:read']);
    const less = await tokenOf(client, 'users:read');
    const token: string = less.json.access_token;
    expect((await call('GET', 'tailnet/-/users', { token })).status).toBe(200);
    expect((await call('GET', 'tailnet/-/devices', { token })).status).toBe(403);
    expect((await tokenOf(client, 'users')).status).toBe(403);
    expect((await tokenOf({ id: client.id, key: api.adminKey })).status).toBe(401);
  });

  test('a changed token is no token, and the secret of a client is none either', async () => {
    const client = await clientOf(['devices:core:read']);
    const token: string = (await tokenOf(client)).json.access_token;
    const [body = '', mac = ''] = token.slice('pstoauth-'.length).split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const wider = Buffer.from(JSON.stringify({ ...claims, s: ['all'] })).toString('base64url');
    for (const forged of [
      `pstoauth-${wider}.${mac}`,
      `pstoauth-${body}.${mac.replace(/^./, 'z')}`,
    ]) {
      expect((await call('GET', 'tailnet/-/devices', { token: forged })).status).toBe(401);
    }
    const direct = await call('GET', 'tailnet/-/devices', { token: client.key });
    expect(direct.json.message).toMatch(/exchange it for a token/);
  });

  test('keys that somebody else made do what the policy says, as do the clients that they make', async () => {
    const by = { actor: { principal: 'tailnet:bob@example.com', channel: 'admin' } } as const;
    const made = value(
      await createKey(api.rig.control, { name: 'bobs', scope: { admin: true }, boundTo: [] }, by),
    );
    const token = made.secret.reveal();
    expect((await call('GET', 'tailnet/-/devices', { token })).status).toBe(403);
    api.permitted.add('node.list').add('key.create');
    expect((await call('GET', 'tailnet/-/devices', { token })).status).toBe(200);
    expect((await call('POST', 'tailnet/-/acl', { token, body: '{}' })).status).toBe(403);
    const wide = { keyType: 'client', scopes: ['all'] };
    const client = (await call('POST', 'tailnet/-/keys', { token, body: wide })).json;
    const held: string = (await tokenOf(client)).json.access_token;
    expect((await call('GET', 'tailnet/-/devices', { token: held })).status).toBe(200);
    expect((await call('GET', 'tailnet/-/acl', { token: held })).status).toBe(403);
    api.permitted.clear();
    expect((await call('GET', 'tailnet/-/devices', { token: held })).status).toBe(403);
  });

  test('a client that makes keys makes them with its tags, and clients that are no wider', async () => {
    const client = await clientOf(['auth_keys', 'oauth_keys'], ['tag:ci']);
    const token: string = (await tokenOf(client)).json.access_token;
    const create = (tags: string[]) =>
      call('POST', 'tailnet/-/keys', {
        token,
        body: { capabilities: { devices: { create: { preauthorized: true, tags } } } },
      });
    expect((await create(['tag:ci'])).json.key).toMatch(/^pstauth-/);
    expect((await create(['tag:gpu'])).json.message).toMatch(/invalid or not permitted/);
    expect((await create([])).status).toBe(400);
    const wider = { keyType: 'client', scopes: ['policy_file'] };
    expect((await call('POST', 'tailnet/-/keys', { token, body: wider })).status).toBe(403);
  });

  test('a policy over another than the one in force is 412; no match is needed to write over it', async () => {
    const path = 'tailnet/-/acl';
    const before = await call('GET', path);
    const policy = { ...before.json, tagOwners: { 'tag:x': [] } };
    const stale = await call('POST', path, { body: policy, headers: { 'if-match': '"0123"' } });
    expect(stale).toMatchObject({ status: 412, json: { status: 412 } });
    const etag = before.headers.get('etag') ?? '';
    const set = await call('POST', path, { body: policy, headers: { 'if-match': etag } });
    expect(set).toMatchObject({ status: 200, json: policy });
    expect(set.headers.get('etag')).not.toBe(etag);
    expect((await call('POST', path, { body: policy })).status).toBe(200);
  });

  test('validation answers 200 with a message, of a policy and of tests alone', async () => {
    const path = 'tailnet/-/acl/validate';
    expect((await call('POST', path, { body: { grants: [] } })).json).toEqual({});
    const wrong = await call('POST', path, {
      body: { grants: [{ src: ['tag:none'], dst: ['*'], ip: ['*'] }] },
    });
    expect(wrong).toMatchObject({
      status: 200,
      json: { message: expect.stringContaining('tag:none') },
    });
    const tests = [{ src: 'alice@example.com', deny: ['100.64.0.1:22'] }];
    expect((await call('POST', path, { body: tests })).json.message).toBeTypeOf('string');
  });

  test('what it cannot do is 501 with a sentence; what is not there is 404', async () => {
    await api.join(await api.rig.preAuthKey(), { hostname: 'one' });
    const [{ nodeId, id }] = (await call('GET', 'tailnet/-/devices')).json.devices;
    for (const [path, body] of [
      [`device/${nodeId}/ip`, { ipv4: '100.64.9.9' }],
      [`device/${id}/key`, { keyExpiryDisabled: true }],
      [`device/${id}/authorized`, { authorized: false }],
    ] as const) {
      expect((await call('POST', path, { body })).status).toBe(501);
    }
    const changed = await call('PATCH', 'tailnet/-/settings', {
      body: { devicesApprovalOn: true },
    });
    expect(changed.json).toMatchObject({
      status: 501,
      message: expect.stringContaining('engine.deviceApproval'),
    });
    expect(
      (await call('PATCH', 'tailnet/-/settings', { body: { devicesApprovalOn: false } })).status,
    ).toBe(200);
    for (const path of [
      'tailnet/-/webhooks',
      'tailnet/x/devices',
      'device/n999',
      '..',
      'tailnet/-/toString',
    ]) {
      expect((await call('GET', path)).status).toBe(404);
    }
    expect((await call('POST', 'tailnet/-/keys', { body: '[1' })).status).toBe(400);
  });

  test('every change has its line in the journal under who asked', async () => {
    const [{ nodeId }] = (await call('GET', 'tailnet/-/devices')).json.devices;
    await call('POST', `device/${nodeId}/name`, { body: { name: 'renamed.mesh.internal' } });
    const device = await call('GET', `device/${nodeId}?fields=all`);
    expect(device.json).toMatchObject({ name: 'renamed.mesh.internal', advertisedRoutes: [] });
    const filtered = await call('GET', 'tailnet/-/devices?os=linux&hostname=one');
    expect(filtered.json.devices).toHaveLength(1);
    expect((await call('GET', 'tailnet/-/devices?os=plan9')).json.devices).toEqual([]);
  });
});
