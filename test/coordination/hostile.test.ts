import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PendingJoins } from '../../packages/server/src/coordination/joining/pending.ts';
import { coordinationLimits } from '../../packages/server/src/coordination/limits.ts';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import type { Rig } from './rig.ts';
import { operator, startRig, value } from './rig.ts';

let rig: Rig;
let stateDir: string;
let said = '';
const open: ControlClient[] = [];

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-hostile-'));
  rig = await startRig({ stateDir, log: (line) => (said += line) });
});

afterAll(async () => {
  for (const client of open) client.close();
  await rig.close();
  await rm(stateDir, { recursive: true, force: true });
});

async function client(hostname: string): Promise<ControlClient> {
  const connected = await ControlClient.connect({ url: rig.url, machine: newMachine(hostname) });
  open.push(connected);
  return connected;
}

test('what a machine calls itself is text on its sign-in page, and the page loads and runs nothing', async () => {
  const one = await client('<script>alert(1)</script>"&');
  const { AuthURL: url = '' } = await one.register();
  const page = await fetch(url.replace(/^http:\/\/[^/]+/, rig.url));
  const html = await page.text();
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;');
  expect(html).not.toContain('<script');
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
});

test('links that nobody gave out show nothing, whatever is asked', async () => {
  for (const id of ['0'.repeat(32), 'F'.repeat(32), '../key', '%2e%2e', 'a'.repeat(9_000)]) {
    const page = await fetch(`${rig.url}/register/${id}`);
    expect([400, 404, 414, 431]).toContain(page.status);
  }
});

test('any JSON to any machine path is answered, and nothing breaks', async () => {
  const authKey = await rig.preAuthKey();
  const one = await client('fuzzer');
  expect((await one.register({ authKey })).Error).toBe('');
  const names = ['Version', 'NodeKey', 'OldNodeKey', 'Hostinfo', 'Auth', 'Followup', 'Expiry'];
  const more = ['Endpoints', 'DiscoKey', 'Compress', 'OmitPeers', 'ReadOnly', 'Ephemeral'];
  const member = fc.constantFrom(...names, ...more);
  const key = fc.constantFrom(one.nodeKey, `nodekey:${'f'.repeat(64)}`, 'nodekey:', '');
  const leaf = fc.oneof(key, fc.jsonValue({ maxDepth: 4 }));
  const info = fc.dictionary(
    fc.constantFrom('Hostname', 'RoutableIPs', 'RequestTags', 'NetInfo', 'OS', 'Services'),
    fc.jsonValue(),
  );
  const body = fc.dictionary(member, fc.oneof(leaf, info)).map((fields) => ({
    ...fields,
    // A stream would stay open; its reading is the same.
    Stream: false,
  }));
  const paths = [
    'register',
    'map',
    'update-health',
    'set-device-attr',
    'audit-log',
    'feature/query',
    'id-token',
    'set-dns',
    'tka/init/begin',
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), body, async (at, fields) => {
      // A followed link that waits is answered when somebody decides: not here.
      const { status } = await one.session.post(`/machine/${at}`, fields);
      expect([200, 400, 401, 403, 404, 501]).toContain(status);
    }),
    { numRuns: 300 },
  );
  expect((await fetch(`${rig.url}/health`)).status).toBe(200);
  expect(said).not.toContain('"fault"');
});

test('sign-ins that wait are bounded, in number and for each machine', () => {
  const pending = new PendingJoins();
  const join = (machine: number, node: number) =>
    pending.open(
      {
        machineKey: `mkey:${machine}`,
        nodeKey: `nodekey:${node}`,
        hostinfo: undefined,
        ephemeral: false,
      },
      0,
    );
  for (let i = 0; i < 50; i += 1) join(0, i);
  expect(pending.size).toBe(coordinationLimits.pendingPerMachine);
  for (let i = 0; i < 3 * coordinationLimits.pendingMax; i += 1) join(i, 0);
  expect(pending.size).toBe(coordinationLimits.pendingMax);
  expect(pending.list(coordinationLimits.pendingMsMax)).toEqual([]);
});

test('a role that an operator gives counts at once for machines that are connected', async () => {
  await rig.applyPolicy('{"grants": [{"src": ["autogroup:admin"], "dst": ["*"], "ip": ["*"]}]}');
  const [admin, member] = await Promise.all([client('chief'), client('worker')]);
  await admin.register({ authKey: await rig.preAuthKey({ login: 'chief@example.com' }) });
  await member.register({ authKey: await rig.preAuthKey({ login: 'worker@example.com' }) });
  for (const each of [admin, member]) {
    await each.update({ endpoints: [] });
    each.follow();
    await each.until((map) => map.self !== undefined);
  }
  expect(admin.netmap.peers.size).toBe(0);
  const role = { kind: 'user.role', login: 'chief@example.com' } as const;
  value(await rig.control.execute({ ...role, role: 'admin' }, operator));
  await admin.until((map) => [...map.peers.values()].some(({ Name }) => Name.includes('worker')));
  value(await rig.control.execute(role, operator));
  await admin.until((map) => map.peers.size === 0);
});
