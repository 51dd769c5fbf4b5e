/** Random policies over one small tailnet in which every kind of selector means something. For tests. */
import * as fc from 'fast-check';
import { parseAddr, parsePrefix } from '../../../base/netip/index.ts';
import { assert } from '../../../base/assert.ts';
import type { Inventory, InventoryNode } from '../../compile/inventory.ts';
import { parsePolicyValue } from '../../file/parse.ts';
import type { PolicyFile, PostureValue } from '../../file/model.ts';

function node(
  id: string,
  address: number,
  owner: { readonly user?: string; readonly tags?: readonly string[] },
  routes: readonly string[] = [],
  advertised: readonly string[] = routes,
  attributes: Readonly<Record<string, PostureValue>> = {},
): InventoryNode {
  const prefixes = (texts: readonly string[]): InventoryNode['approvedRoutes'] =>
    texts.map((text) => {
      const prefix = parsePrefix(text);
      assert(prefix.ok, text);
      return prefix.value;
    });
  const addresses = [`100.64.0.${address}`, `fd7a:115c:a1e0::${address}`].map((text) => {
    const addr = parseAddr(text);
    assert(addr.ok, text);
    return addr.value;
  });
  return {
    id,
    hostname: id,
    addresses,
    userId: owner.user,
    tags: owner.tags ?? [],
    advertisedRoutes: prefixes(advertised),
    approvedRoutes: prefixes(routes),
    postureAttributes: new Map(Object.entries(attributes)),
  };
}

/** Three members with four machines, a guest, tagged machines, two routers (one route not approved), an exit node. */
export const smallTailnet: Inventory = {
  users: [
    { id: 'u1', login: 'alice@example.com', roles: ['owner', 'admin'] },
    { id: 'u2', login: 'bob@example.com', roles: [] },
    { id: 'u3', login: 'carol@example.com', roles: ['auditor'] },
    { id: 'u4', login: 'guest@elsewhere.net', roles: [], isShared: true },
  ],
  nodes: [
    node('alice-laptop', 1, { user: 'u1' }, [], [], {
      'node:os': 'macos',
      'node:osVersion': '15.2',
    }),
    node('alice-phone', 2, { user: 'u1' }, [], [], { 'node:os': 'ios' }),
    node('bob-laptop', 3, { user: 'u2' }, [], [], { 'node:os': 'linux', 'custom:tier': 2 }),
    node('carol-laptop', 4, { user: 'u3' }),
    node('guest-laptop', 5, { user: 'u4' }),
    node('web', 6, { tags: ['tag:web'] }),
    node('db', 7, { tags: ['tag:db', 'tag:prod'] }),
    node('router', 8, { tags: ['tag:router'] }, ['10.0.0.0/16'], ['10.0.0.0/16', '10.9.0.0/16']),
    node('router-v6', 9, { user: 'u1' }, ['2001:db8::/48', '8.8.8.0/24']),
    node('exit', 10, { tags: ['tag:exit'] }, ['0.0.0.0/0', '::/0']),
  ],
};

const tags = ['tag:web', 'tag:db', 'tag:prod', 'tag:router', 'tag:exit', 'tag:unused'] as const;
const users = [
  'alice@example.com',
  'bob@example.com',
  'carol@example.com',
  'nobody@example.com',
] as const;
const groups = ['group:dev', 'group:ops'] as const;
const literals = [
  '100.64.0.3',
  '100.64.0.0/29',
  'fd7a:115c:a1e0::7',
  '100.99.0.1',
  '10.0.2.0/24',
  '10.0.0.0/8',
  '10.0.2.7',
  '192.168.1.0/24',
  '8.8.8.8',
  '2001:db8::1',
  'db-host',
  'lan',
  'ipset:mixed',
] as const;
const anySource = [
  '*',
  'autogroup:member',
  'autogroup:tagged',
  'autogroup:admin',
  'user:*@example.com',
] as const;
const onlySource = ['autogroup:shared', 'autogroup:danger-all'] as const;
const ports = ['*', '22', '80', '443', '80-443', '5432', '1000-2000'] as const;
const grantPorts = [
  '*',
  '22',
  '443',
  'tcp:22',
  'tcp:80-443',
  'tcp:*',
  'udp:53',
  'icmp:*',
  'sctp:9',
  '47:*',
  'tcp:5432',
] as const;
const people = [
  'alice@example.com',
  'bob@example.com',
  'group:dev',
  'autogroup:member',
  'autogroup:admin',
] as const;

const some = <T>(values: readonly T[], max = 3): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: max });

const source = some([...tags, ...users, ...groups, ...literals, ...anySource, ...onlySource]);
const target = some([
  ...tags,
  ...users,
  ...groups,
  ...literals,
  ...anySource,
  'autogroup:internet',
]);
const posture = fc.option(some(['posture:mac', 'posture:new', 'posture:tier'], 2), {
  nil: undefined,
  freq: 4,
});
const capability = fc.constantFrom(
  { 'example.com/cap/a': [{ role: 'admin' }] },
  { 'example.com/cap/a': [{ role: 'reader' }], 'example.com/cap/b': [{}] },
  { 'example.com/cap/a': [{ role: 'admin' }, { role: 'reader' }] },
);

function compact(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

const networkGrant = fc.record({
  src: source,
  dst: target,
  ip: some(grantPorts),
  srcPosture: posture,
  via: fc.option(some(['tag:router', 'tag:exit', 'tag:web'], 1), { nil: undefined, freq: 6 }),
});
const appGrant = fc.record({
  src: source,
  dst: target.map((list) => list.filter((text) => text !== 'autogroup:internet')),
  ip: fc.option(some(grantPorts), { nil: undefined }),
  app: capability,
});
const selfGrant = fc.record({
  src: some(people),
  dst: fc.constant(['autogroup:self']),
  ip: some(grantPorts),
  srcPosture: posture,
});

/** One grant that the service accepts. */
export const anyGrant: fc.Arbitrary<Record<string, unknown>> = fc
  .oneof({ weight: 4, arbitrary: networkGrant }, { weight: 2, arbitrary: appGrant }, selfGrant)
  .map(compact);

const aclTarget = fc
  .tuple(
    fc.constantFrom(...tags, ...users, ...groups, ...literals, ...anySource),
    fc.constantFrom(...ports),
  )
  .map(([host, port]) => (/^[0-9a-f]*:.*:/.test(host) ? `[${host}]:${port}` : `${host}:${port}`));

export const anyAcl: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    action: fc.constant('accept'),
    src: source,
    dst: fc.array(aclTarget, { minLength: 1, maxLength: 3 }),
    proto: fc.constantFrom(undefined, undefined, 'tcp', 'udp'),
    srcPosture: posture,
  })
  .map(compact);

export const anySshRule: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record({
    action: fc.constantFrom('accept', 'check'),
    src: some(people),
    dst: some([...tags, 'autogroup:self'], 2),
    users: some(['root', 'autogroup:nonroot', 'ubuntu', 'localpart:*@example.com'], 3),
  }),
  fc.record({
    action: fc.constant('accept'),
    src: some(tags),
    dst: some(tags, 2),
    users: some(['root', 'autogroup:nonroot', 'ubuntu'], 2),
  }),
);

/** What every random policy defines. */
export const names: Readonly<Record<string, unknown>> = {
  groups: {
    'group:dev': ['alice@example.com', 'bob@example.com'],
    'group:ops': ['carol@example.com'],
  },
  hosts: { 'db-host': '100.64.0.7', lan: '192.168.0.0/16' },
  ipsets: { 'ipset:mixed': ['add 10.0.0.0/16', 'remove 10.0.2.0/24', 'add 100.64.0.2-100.64.0.4'] },
  tagOwners: Object.fromEntries(tags.map((tag) => [tag, ['autogroup:admin']])),
  postures: {
    'posture:mac': ["node:os == 'macos'"],
    'posture:new': ["node:osVersion >= '15.0'", "node:os IN ['macos', 'windows']"],
    'posture:tier': ['custom:tier >= 2'],
  },
};

export const anyPolicy: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    grants: fc.option(fc.array(anyGrant, { maxLength: 5 }), { nil: undefined, freq: 9 }),
    acls: fc.option(fc.array(anyAcl, { maxLength: 3 }), { nil: undefined }),
    ssh: fc.array(anySshRule, { maxLength: 3 }),
  })
  .map((rules) => compact({ ...names, ...rules }));

/** The typed file of a policy that must be accepted. */
export function fileOf(value: unknown): PolicyFile {
  const parsed = parsePolicyValue(value);
  assert(parsed.accepted, `policy refused: ${parsed.refusal ?? ''}`);
  return parsed.file;
}
