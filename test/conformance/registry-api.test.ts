import { describe, expect, test } from 'vitest';
import type { TestGateway } from './gateway.ts';
import type { Answer } from './registry-fixture.ts';
import { ask, bearer, chat, gpu, registry } from './registry-fixture.ts';

const api = '/api/v1/registry';

async function call(
  to: TestGateway,
  key: string,
  what: string,
  body?: Record<string, unknown>,
): Promise<Answer> {
  const [method = '', path = ''] = what.split(' ');
  return ask(to, `${api}${path}`, {
    ...bearer(key),
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const node = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  node_type: 'instant',
  hostname: 'gpu-1.mesh.internal',
  addresses: ['100.64.0.9'],
  port: 8_000,
  metadata: { gpu: 'l4' },
  ...more,
});

describe('the JSON API of the registry', () => {
  test('registers, shows, renews, pages and forgets', async () => {
    const to = await registry();
    const key = await to.key('box', { join: ['*'] });
    const first = await call(to, key, 'PUT /nodes/u-1', node());
    expect(first).toMatchObject({
      status: 200,
      body: {
        created: true,
        node: {
          uuid: 'u-1',
          ...node(),
          health: { state: 'unknown' },
          lease_seconds: 30,
          owner: expect.stringContaining('key:'),
        },
      },
    });
    expect((await call(to, key, 'PUT /nodes/u-1', node())).body['created']).toBe(false);
    for (const uuid of ['u-2', 'u-3']) {
      expect((await call(to, key, `PUT /nodes/${uuid}`, node())).status).toBe(200);
    }
    const one = await call(to, key, 'GET /discover/instant?limit=2');
    expect(one.body).toMatchObject({ count: 2, next: 'u-2' });
    const two = await call(to, key, 'GET /discover/instant?limit=2&after=u-2');
    expect(two.body).toMatchObject({ count: 1, nodes: [{ uuid: 'u-3' }] });
    expect(two.body).not.toHaveProperty('next');
    expect((await call(to, key, 'GET /discover/nobody')).body).toEqual({ nodes: [], count: 0 });
    expect((await call(to, key, 'GET /nodes?limit=1')).body).toMatchObject({
      next: 'instant/u-1',
    });
    expect((await call(to, key, 'GET /types')).body).toEqual({
      types: [{ node_type: 'instant', nodes: 3 }],
    });
    expect((await call(to, key, 'POST /nodes/u-1/heartbeat')).body).toMatchObject({ uuid: 'u-1' });
    expect((await call(to, key, 'DELETE /nodes/u-1')).body).toEqual({ left: true });
    expect((await call(to, key, 'GET /nodes/u-1')).status).toBe(404);
    expect(await call(to, key, 'POST /nodes/u-1/heartbeat')).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    });
  });

  test('is for who may join, each for its own types and its own nodes', async () => {
    const to = await registry();
    const [a, b, other] = [
      await to.key('a', { join: ['instant'] }),
      await to.key('b', { join: ['*'] }),
      await to.key('other'),
    ];
    expect((await ask(to, `${api}/nodes`)).status).toBe(401);
    expect((await call(to, other, 'GET /nodes')).status).toBe(403);
    expect((await call(to, a, 'PUT /nodes/u', node())).status).toBe(200);
    expect((await call(to, a, 'PUT /nodes/v', node({ node_type: 'thinking' }))).status).toBe(403);
    expect((await call(to, b, 'PUT /nodes/u', node())).status).toBe(403);
    expect((await call(to, b, 'POST /nodes/u/heartbeat')).status).toBe(403);
    expect((await call(to, b, 'DELETE /nodes/u')).status).toBe(403);
    expect((await call(to, a, 'GET /types/thinking/key')).status).toBe(403);
    const key = await call(to, a, 'GET /types/instant/key');
    expect(key.body).toMatchObject({ node_type: 'instant', epoch: expect.any(Number) });
    expect(key.headers.get('cache-control')).toBe('no-store');
    expect(JSON.stringify(to.log)).not.toContain(String(key.body['key']));
  });

  test('refuses what it cannot read, and names the parameter', async () => {
    const to = await registry();
    const key = await to.key('box', { join: ['*'] });
    const param = async (what: string, body?: Record<string, unknown>): Promise<unknown> => {
      const { status, body: said } = await call(to, key, what, body);
      return [status, (said['error'] as { param?: string }).param];
    };
    expect(await param('PUT /nodes/u', node({ colour: 'red' }))).toEqual([400, undefined]);
    expect(await param('PUT /nodes/u', node({ addresses: ['169.254.169.254'] }))).toEqual([
      400,
      'addresses',
    ]);
    expect(await param('PUT /nodes/u', node({ addresses: ['8.8.8.8'] }))).toEqual([
      400,
      'addresses',
    ]);
    expect(await param('PUT /nodes/u', node({ lease_seconds: 0 }))).toEqual([400, 'lease_seconds']);
    expect(await param('PUT /nodes/-', node())).toEqual([400, 'uuid']);
    expect(await param('GET /nodes?limit=2000')).toEqual([400, 'limit']);
    expect(await param('GET /nodes?limit=1&limit=2')).toEqual([400, undefined]);
    expect(await param('GET /types?x=1')).toEqual([400, undefined]);
    const wrong = await call(to, key, 'PATCH /nodes/u', {});
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'DELETE, GET, PUT']);
    expect((await call(to, key, 'GET /what')).status).toBe(404);
  });

  test('tells a machine where to join, with a key of its own, or why there is none', async () => {
    const engine = {
      url: 'http://127.0.0.1:1',
      address: '127.0.0.1:0',
      stunAddress: 'off',
      derpAddress: 'off',
      join: 'off',
    };
    const to = await registry(engine);
    const key = await to.key('box', { join: ['instant'] });
    const ask1 = { uuid: 'u', node_name: 'gpu-1', node_type: 'instant' };
    const joined = await call(to, key, 'POST /join', ask1);
    expect(joined.body).toMatchObject({
      login_server: 'http://127.0.0.1:1',
      auth_key: expect.stringMatching(/^pstauth-/),
      group_key: { node_type: 'instant' },
    });
    expect((await call(to, key, 'POST /join', { ...ask1, with_key: false })).body).toMatchObject({
      login_server: 'http://127.0.0.1:1',
      auth_key: null,
    });
    expect((await call(to, key, 'POST /join', { ...ask1, node_type: 'other' })).status).toBe(403);
    const without = await registry();
    const may = await without.key('box', { join: ['instant'] });
    expect((await call(without, may, 'POST /join', ask1)).body).toMatchObject({
      login_server: null,
      auth_key: null,
      why_no_key: expect.stringContaining('No network engine'),
    });
  });

  test('describes itself', async () => {
    const to = await registry();
    const key = await to.key('box', { join: ['*'] });
    const { body } = await call(to, key, 'GET /openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0' });
    expect(Object.keys(body['paths'] as object)).toContain(`${api}/nodes/{uuid}/heartbeat`);
  });
});

describe('health', () => {
  test('a node that says it does not serve is passed over, and taken back when it does', async () => {
    const to = await registry();
    const [key, caller] = [await to.key('box', { join: ['*'] }), await to.key('caller')];
    const [a, b] = [await gpu('box-a'), await gpu('box-b')];
    for (const [uuid, port] of [['a', a.port] as const, ['b', b.port] as const]) {
      const claim = node({ addresses: ['127.0.0.1'], port });
      expect((await call(to, key, `PUT /nodes/${uuid}`, claim)).status).toBe(200);
    }
    await expect
      .poll(() => chat(to, caller), { timeout: 2_000, interval: 50 })
      .toMatchObject({ status: 200 });
    const sick = await call(to, key, 'POST /nodes/a/heartbeat', {
      healthy: false,
      why: 'nobody listens on 8000',
    });
    expect(sick.status).toBe(200);
    expect((await call(to, key, 'GET /nodes/a')).body).toMatchObject({
      health: { state: 'failing', why: 'nobody listens on 8000' },
    });
    const asked = a.asked();
    for (let i = 0; i < 10; i += 1) expect((await chat(to, caller)).text).toContain('box-b');
    expect(a.asked()).toBe(asked);
    expect((await call(to, key, 'GET /discover/instant')).body['count']).toBe(2);
    expect((await call(to, key, 'GET /discover/instant?health=passing')).body['count']).toBe(1);
    await call(to, key, 'POST /nodes/a/heartbeat', { healthy: true });
    await expect
      .poll(async () => [await chat(to, caller), a.asked() > asked][1], { timeout: 2_000 })
      .toBe(true);
  });

  test('the server looks itself where the configuration says so, and takes a node back', async () => {
    const rule = { kind: 'http', path: '/v1/models', everySeconds: 1, failures: 1 };
    const to = await registry({}, { health: { '*': rule } });
    const key = await to.key('box', { join: ['*'] });
    const box = await gpu('box');
    const claim = node({ addresses: ['127.0.0.1'], port: box.port });
    await call(to, key, 'PUT /nodes/a', claim);
    const health = async () => (await call(to, key, 'GET /nodes/a')).body['health'];
    await expect.poll(health, { timeout: 4_000 }).toEqual({ state: 'passing' });
    box.be(true);
    await expect
      .poll(health, { timeout: 4_000 })
      .toEqual({ state: 'failing', why: 'GET /v1/models answered 500' });
    box.be(false);
    await expect.poll(health, { timeout: 4_000 }).toEqual({ state: 'passing' });
    box.die();
    await expect.poll(health, { timeout: 4_000 }).toMatchObject({ state: 'failing' });
  });
});
