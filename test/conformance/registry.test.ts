import { describe, expect, test } from 'vitest';
import type { TestGateway } from './gateway.ts';
import { ask, bearer, chat, closers, gpu, registry } from './registry-fixture.ts';

describe('the routes of DStack VPC', () => {
  test('answer with the shapes of the original, to whoever may join', async () => {
    const to = await registry();
    const may = bearer(await to.key('box', { join: ['mongodb'] }));
    expect(await ask(to, '/api/ping')).toMatchObject({ status: 200, body: { text: 'pong' } });
    expect(await ask(to, '/health')).toMatchObject({ status: 200, body: { text: 'OK' } });
    expect(await ask(to, '/api/discover/mongodb', may)).toMatchObject({
      status: 200,
      body: { nodes: [], count: 0, node_type: 'mongodb' },
    });
    expect(await ask(to, '/api/discover/mongodb?compat=original', may)).toMatchObject({
      status: 404,
      body: { error: 'No mongodb nodes found' },
    });
    const update =
      '/api/nodes/update?uuid=u-1&node_type=mongodb&tailscale_ip=100.64.0.9&hostname=node1.dstack.internal';
    const node = { uuid: 'u-1', tailscale_ip: '100.64.0.9', hostname: 'node1.dstack.internal' };
    const first = await ask(to, update, { ...may, method: 'POST' });
    expect(first.body).toEqual({
      message: 'Node information updated successfully',
      node: { ...node, node_type: 'mongodb' },
      status: 'created',
    });
    expect(first.headers.get('cache-control')).toBe('no-store');
    expect((await ask(to, update, { ...may, method: 'POST' })).body['status']).toBe('updated');
    expect((await ask(to, '/api/discover/mongodb', may)).body).toEqual({
      nodes: [node],
      count: 1,
      node_type: 'mongodb',
    });
    expect((await ask(to, '/api/nodes', may)).body).toEqual({
      nodes: [{ ...node, node_type: 'mongodb' }],
      count: 1,
    });
  });

  test('give a machine one key for itself, and the key that all share', async () => {
    const to = await registry({
      url: 'http://127.0.0.1:1',
      address: '127.0.0.1:0',
      stunAddress: 'off',
      derpAddress: 'off',
      join: 'off',
    });
    const may = bearer(await to.key('box', { join: ['*'] }));
    const register = '/api/register?instance_id=u-1&node_name=node1';
    const [one, two] = [
      await ask(to, register, may),
      await ask(to, register, { ...may, method: 'POST' }),
    ];
    expect(one).toMatchObject({ status: 200, body: { server_url: 'http://127.0.0.1:1' } });
    expect(one.headers.get('cache-control')).toBe('no-store');
    expect(one.body['pre_auth_key']).toMatch(/^pstauth-/);
    expect(two.body['pre_auth_key']).not.toBe(one.body['pre_auth_key']);
    expect(two.body['shared_key']).toBe(one.body['shared_key']);
    expect(Buffer.from(String(one.body['shared_key']), 'base64')).toHaveLength(64);
    const { body } = await to.control('GET', '/api/v1/network/keys');
    expect(body['items'] ?? body['data']).toMatchObject([
      { tags: ['tag:node'], reusable: false, ephemeral: false, pre_approved: true },
      { tags: ['tag:node'] },
    ]);
    expect(JSON.stringify(to.log)).not.toContain(String(one.body['shared_key']));
    expect((await ask(to, '/api/register?node_name=n', may)).status).toBe(400);
  });

  test('say so where no engine can admit anybody', async () => {
    const to = await registry();
    const may = bearer(await to.key('box', { join: ['*'] }));
    expect(await ask(to, '/api/register?instance_id=u&node_name=n', may)).toMatchObject({
      status: 503,
      body: { error: expect.stringContaining('No network engine') },
    });
  });

  test('believe no header that says which app it is, and no key that is not for joining', async () => {
    const to = await registry();
    const header = { 'x-dstack-app-id': 'a'.repeat(40) };
    for (const path of [
      '/api/nodes',
      '/api/discover/x',
      '/api/register?instance_id=u&node_name=n',
    ]) {
      expect(await ask(to, path, header), path).toMatchObject({
        status: 401,
        body: { error: 'Unauthorized' },
      });
      const other = bearer(await to.key(`other${path.length}`));
      expect(await ask(to, path, { ...header, ...other }), path).toMatchObject({
        status: 403,
        body: { error: 'Forbidden' },
      });
    }
  });

  test('refuse what they cannot read, foreign nodes and foreign types', async () => {
    const to = await registry();
    const [one, two] = [await to.key('one', { join: ['x'] }), await to.key('two', { join: ['*'] })];
    const post = async (query: string, key: string) =>
      (await ask(to, `/api/nodes/update?${query}`, { ...bearer(key), method: 'POST' })).status;
    const node = 'uuid=u&node_type=x&tailscale_ip=100.64.0.9&hostname=n';
    expect(await post(node, one)).toBe(200);
    expect(await post(node, two)).toBe(403);
    expect(await post(node.replace('=x', '=y'), one)).toBe(403);
    expect(await post(`${node}&uuid=v`, one)).toBe(400);
    expect(await post(node.replace('100.64.0.9', '169.254.169.254'), one)).toBe(400);
    expect(await post(node.replace('uuid=u&', ''), one)).toBe(400);
    expect((await ask(to, '/api/nodes/update', bearer(one))).status).toBe(405);
    expect((await ask(to, '/api/nodes?limit=0', bearer(one))).status).toBe(400);
    expect((await ask(to, '/api/v1/keys', bearer(one))).status).toBe(404);
  });
});

/** Everything that a watcher was told so far, as `event node` lines. */
async function watch(
  to: TestGateway,
  query: string,
  secret: string,
): Promise<{ told: () => string[]; close: () => void }> {
  const ended = new AbortController();
  closers.push(() => Promise.resolve(ended.abort()));
  const response = await fetch(`http://${to.address('control')}/api/v1/registry/watch${query}`, {
    headers: bearer(secret),
    signal: ended.signal,
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  let text = '';
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) text += decoder.decode(piece, { stream: true });
  };
  read().catch(() => undefined);
  const frame = /event: (\w+)\ndata: (\{.*\})\n\n/gu;
  return {
    told: () =>
      [...text.matchAll(frame)].map(([, kind = '', data = '{}']) => {
        const { uuid = '' } = JSON.parse(data) as { uuid?: string };
        return `${kind} ${uuid}`.trim();
      }),
    close: () => ended.abort(),
  };
}

describe('the watch', () => {
  test('tells who is there, who joins and who is gone, of the type that was asked for', async () => {
    const to = await registry();
    const join = await to.key('box', { join: ['*'] });
    const beat = (uuid: string, type: string, lease: number) =>
      ask(
        to,
        `/api/nodes/update?uuid=${uuid}&node_type=${type}&tailscale_ip=100.64.0.9&hostname=${uuid}&lease_seconds=${lease}`,
        { ...bearer(join), method: 'POST' },
      );
    await beat('a', 'instant', 60);
    const [all, some] = [await watch(to, '', join), await watch(to, '?type=thinking', join)];
    await expect.poll(() => [all.told(), some.told()]).toEqual([['joined a', 'ready'], ['ready']]);
    await beat('b', 'thinking', 1);
    await expect.poll(all.told).toEqual(['joined a', 'ready', 'joined b']);
    await expect.poll(some.told, { timeout: 5_000 }).toHaveLength(3);
    expect(some.told().slice(0, 2)).toEqual(['ready', 'joined b']);
    expect(some.told()[2]).toMatch(/^\w+ b$/u);
    some.close();
    await beat('c', 'thinking', 60);
    await expect.poll(() => all.told().at(-1)).toBe('joined c');
    expect(some.told()).toHaveLength(3);
  });

  test('is refused to whoever may not join, and where it asks for what there is not', async () => {
    const to = await registry();
    const [join, other] = [await to.key('box', { join: ['x'] }), await to.key('other')];
    const at = '/api/v1/registry/watch';
    expect((await ask(to, at)).status).toBe(401);
    expect((await ask(to, at, bearer(other))).status).toBe(403);
    expect((await ask(to, `${at}?types=x`, bearer(join))).status).toBe(400);
    expect((await ask(to, `${at}?type=%00`, bearer(join))).status).toBe(400);
    expect((await ask(to, at, { ...bearer(join), method: 'POST' })).status).toBe(405);
  });
});

describe('a provider that follows the registry', () => {
  test('serves within two seconds of a box that joins, and sends nothing where a lease is over', async () => {
    const to = await registry();
    const [join, caller] = [await to.key('box', { join: ['instant'] }), await to.key('caller')];
    const beat = (uuid: string, port: number, lease: number) =>
      ask(
        to,
        `/api/nodes/update?uuid=${uuid}&node_type=instant&tailscale_ip=127.0.0.1&hostname=${uuid}&port=${port}&lease_seconds=${lease}`,
        { ...bearer(join), method: 'POST' },
      );
    expect((await chat(to, caller)).status).toBe(404);
    const a = await gpu('box-a');
    expect((await beat('a', a.port, 60)).status).toBe(200);
    await expect
      .poll(() => chat(to, caller), { timeout: 2_000, interval: 50 })
      .toMatchObject({ status: 200, text: expect.stringContaining('box-a') });
    const b = await gpu('box-b');
    expect((await beat('b', b.port, 1)).status).toBe(200);
    const until = performance.now() + 900;
    while (b.asked() === 0 && performance.now() < until) await chat(to, caller);
    expect(b.asked()).toBeGreaterThan(0);
    // It is well, but nobody hears of it any more.
    await new Promise((done) => setTimeout(done, 1_100));
    const asked = b.asked();
    for (let i = 0; i < 10; i += 1) expect((await chat(to, caller)).text).toContain('box-a');
    expect(b.asked()).toBe(asked);
  });

  test('asks another one where a box with open connections goes silent, when its lease is over', async () => {
    const to = await registry();
    const [join, caller] = [await to.key('box', { join: ['instant'] }), await to.key('caller')];
    const beat = (uuid: string, port: number, lease: number) =>
      ask(
        to,
        `/api/nodes/update?uuid=${uuid}&node_type=instant&tailscale_ip=127.0.0.1&hostname=${uuid}&port=${port}&lease_seconds=${lease}`,
        { ...bearer(join), method: 'POST' },
      );
    const [a, b] = [await gpu('box-a'), await gpu('box-b')];
    expect((await beat('a', a.port, 2)).status).toBe(200);
    expect((await beat('b', b.port, 60)).status).toBe(200);
    await expect.poll(() => chat(to, caller), { timeout: 2_000 }).toMatchObject({ status: 200 });
    a.fallSilent();
    const before = a.asked();
    const startMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 12 }, () => chat(to, caller)));
    expect(a.asked()).toBeGreaterThan(before);
    for (const { status, text } of answers) {
      expect(status, text).toBe(200);
      expect(text).toContain('box-b');
    }
    // The lease, and the looks of the registry and of the gateway; the answer would be waited for for minutes.
    expect(performance.now() - startMs).toBeLessThan(6_000);
  });
});
