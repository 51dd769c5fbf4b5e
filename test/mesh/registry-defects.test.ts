/** Those of the 23 defects that belong to the registry and to the keys that it gives: 8 and 14 to 17. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { everyKey, keysAsTags, startGateway, type TestGateway } from '../conformance/gateway.ts';

let stateDir: string;
let to: TestGateway;
let one: string;
let other: string;

const config = {
  engine: { url: 'http://127.0.0.1:1', stunAddress: 'off', derpAddress: 'off' },
  identities: keysAsTags('caller'),
  registry: { address: '127.0.0.1:0', networks: ['100.64.0.0/10'] },
};

const start = (): Promise<TestGateway> =>
  startGateway({
    stateDir,
    policy: everyKey,
    config,
    env: { POSTERN_COORDINATION_ADDR: '127.0.0.1:0' },
  });

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-defects-'));
  to = await start();
  [one, other] = [await to.key('one', { join: ['*'] }), await to.key('other', { join: ['etcd'] })];
}, 120_000);
afterAll(async () => {
  await to?.stop();
  await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
});

async function ask(
  target: string,
  secret: string | undefined,
  method = 'GET',
  more: Record<string, string> = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`http://${to.address('control')}${target}`, {
    method,
    headers: { ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }), ...more },
  });
  // The routes answer with objects.
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body };
}

const update = (uuid: string, type: string, ip = '100.64.0.9', hostname = uuid): string =>
  `/api/nodes/update?uuid=${uuid}&node_type=${type}&tailscale_ip=${ip}&hostname=${hostname}`;
const found = async (type: string): Promise<unknown> =>
  (await ask(`/api/discover/${type}`, one)).body['nodes'];

test('8: a hostname makes nobody a backend: a type is what a caller with the right to it registered', async () => {
  // The original took whoever joined under a name with the right prefix, and a header for who is asking.
  expect((await ask(update('x', 'backend'), undefined, 'POST')).status).toBe(401);
  const bare = { 'x-dstack-app-id': 'aa'.repeat(20) };
  expect((await ask(update('x', 'backend'), undefined, 'POST', bare)).status).toBe(401);
  const named = await ask(update('x', 'backend', '100.64.0.9', 'etcd-backend-1'), other, 'POST');
  expect(named.status).toBe(403);
  expect(await found('backend')).toEqual([]);
});

test('14: what is registered outlives the process, is owned, and is where the network is', async () => {
  expect((await ask(update('e-1', 'etcd'), one, 'POST')).status).toBe(200);
  expect((await ask(update('e-2', 'etcd', '100.64.0.10'), other, 'POST')).status).toBe(200);
  // Another one of the type takes none of them away.
  expect(await found('etcd')).toHaveLength(2);
  expect((await ask(update('e-1', 'etcd', '100.64.0.66'), other, 'POST')).status).toBeGreaterThan(
    399,
  );
  for (const ip of ['8.8.8.8', '127.0.0.1', '169.254.169.254', 'fe80::1', 'nonsense']) {
    expect((await ask(update('e-3', 'etcd', ip), one, 'POST')).status).toBe(400);
  }
  expect((await ask(update('e-3', 'etcd', '100.64.0.9', 'a%2Fb%0A'), one, 'POST')).status).toBe(
    400,
  );
  const before = await found('etcd');
  await to.stop();
  to = await start();
  expect(await found('etcd')).toEqual(before);
});

test('15: the key that is shared is one, also for those that ask first and at once', async () => {
  const asked = await Promise.all(
    Array.from({ length: 6 }, (_, i) =>
      ask(`/api/register?instance_id=n-${i}&node_name=n${i}`, one),
    ),
  );
  expect(new Set(asked.map(({ body }) => body['shared_key'])).size).toBe(1);
  // One for each type: members of one cannot read what those of another share.
  const typed = await ask('/api/register?instance_id=t-1&node_name=t1&node_type=mongodb', one);
  expect(typed.status).toBe(200);
  expect(typed.body['shared_key']).not.toBe(asked[0]?.body['shared_key']);
});

test('16: a key to join is for one machine, tagged, and short-lived, and its making is on the record', async () => {
  const keys = await Promise.all([
    ask('/api/register?instance_id=k-1&node_name=k1', one),
    ask('/api/register?instance_id=k-2&node_name=k2', one),
  ]);
  expect(keys[0]?.body['pre_auth_key']).not.toBe(keys[1]?.body['pre_auth_key']);
  const { body } = await to.control('GET', '/api/v1/network/keys');
  const listed = (Array.isArray(body['items']) ? body['items'] : []) as Record<string, unknown>[];
  expect(listed.length).toBeGreaterThan(1);
  for (const key of listed) {
    expect(key['reusable']).toBe(false);
    expect(key['tags']).toEqual(['tag:node']);
    const lifeMs = Date.parse(String(key['expires_at'])) - Date.parse(String(key['created_at']));
    expect(lifeMs).toBeLessThanOrEqual(600_000);
  }
  expect((await ask('/api/register?instance_id=k-3&node_name=k3', undefined)).status).toBe(401);
});

test('17: machines get addresses that belong to nobody else, and other ranges are warned of', async () => {
  const warned = (from: TestGateway): boolean =>
    JSON.stringify(from.log).includes('outside of 100.64.0.0/10');
  expect(warned(to)).toBe(false);
  const wrong = await startGateway({
    policy: everyKey,
    config: { ...config, engine: { ...config.engine, ipv4: '100.128.0.0/10' } },
    env: { POSTERN_COORDINATION_ADDR: '127.0.0.1:0' },
  });
  expect(warned(wrong)).toBe(true);
  await wrong.stop();
});
