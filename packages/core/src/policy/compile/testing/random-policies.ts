/** Random policies, inventories and changes for properties. */
import fc from 'fast-check';
import { nodeOf } from '../fixture.test-data.ts';
import type { Inventory, InventoryNode, NodeChange } from '../inventory.ts';

export const users: Inventory['users'] = [
  { id: 'alice', login: 'alice@example.com', roles: ['admin'] },
  { id: 'bob', login: 'bob@example.com', roles: [] },
  { id: 'eve', login: 'eve@elsewhere.org', roles: [], isShared: true },
];

const tag = fc.constantFrom('tag:web', 'tag:db', 'tag:router', 'tag:exit');
const route = fc.constantFrom(
  '10.0.0.0/16',
  '192.168.0.0/24',
  '0.0.0.0/0',
  '::/0',
  '100.64.0.0/29',
  '8.8.8.0/24',
);
const selector = fc.constantFrom(
  '*',
  'alice@example.com',
  'bob@example.com',
  'group:dev',
  'tag:web',
  'tag:db',
  'tag:router',
  'autogroup:member',
  'autogroup:tagged',
  'autogroup:admin',
  'autogroup:shared',
  'autogroup:danger-all',
  '100.64.0.2',
  '100.64.0.0/29',
  '10.0.0.0/8',
  'office',
);
const person = fc.constantFrom(
  'alice@example.com',
  'group:dev',
  'autogroup:member',
  'autogroup:admin',
);
function isSourceOnly(text: string): boolean {
  return text === 'autogroup:shared' || text === 'autogroup:danger-all';
}

const destination = fc.oneof(
  selector.filter((text) => !isSourceOnly(text)),
  fc.constantFrom('autogroup:internet', '8.8.8.8'),
);
const postureNames = fc.option(fc.constant(['posture:mac']), { nil: undefined });

const portRule = fc.record({
  src: fc.array(selector, { minLength: 1, maxLength: 3 }),
  dst: fc.array(destination, { minLength: 1, maxLength: 3 }),
  ip: fc.constantFrom(['*'], ['22'], ['tcp:80', 'udp:53']),
  via: fc.option(fc.array(tag, { minLength: 1, maxLength: 2 }), { nil: undefined }),
  srcPosture: postureNames,
});
const selfRule = fc.record({
  src: fc.array(person, { minLength: 1, maxLength: 2 }),
  dst: fc.constant(['autogroup:self']),
  ip: fc.constant(['22']),
  app: fc.constant({ 'tailscale.com/cap/drive': [{}] }),
  srcPosture: postureNames,
});
const appRule = fc.record({
  src: fc.array(selector, { minLength: 1, maxLength: 2 }),
  dst: fc.array(
    selector.filter((text) => !isSourceOnly(text)),
    { minLength: 1, maxLength: 2 },
  ),
  app: fc.constantFrom({ 'example.com/cap/x': [{ a: 1 }] }, { 'tailscale.com/cap/relay': [{}] }),
  srcPosture: postureNames,
});
const sshRule = fc.record({
  action: fc.constantFrom('accept', 'check'),
  src: fc.array(person, { minLength: 1, maxLength: 2 }),
  dst: fc.constantFrom(['tag:web'], ['autogroup:self'], ['tag:db', 'autogroup:self']),
  users: fc.constantFrom(['root'], ['localpart:*@example.com']),
});
export const policy: fc.Arbitrary<object> = fc.record({
  grants: fc.array(fc.oneof(portRule, portRule, selfRule, appRule), { maxLength: 5 }),
  ssh: fc.array(sshRule, { maxLength: 2 }),
  postures: fc.constant({ 'posture:mac': ["node:os == 'macos'"] }),
});

export const node: fc.Arbitrary<InventoryNode> = fc
  .record({
    n: fc.integer({ min: 1, max: 7 }),
    user: fc.constantFrom('alice', 'bob', 'eve'),
    tags: fc.oneof(fc.constant([]), fc.uniqueArray(tag, { minLength: 1, maxLength: 2 })),
    routes: fc.oneof(fc.constant([]), fc.uniqueArray(route, { maxLength: 2 })),
    os: fc.constantFrom('macos', 'linux'),
  })
  .map(({ n, user, tags, routes, os }) =>
    nodeOf(`n${n}`, n, { user, tags, routes, posture: { 'node:os': os } }),
  );
export const change: fc.Arbitrary<NodeChange> = fc.oneof(
  node.map((value) => ({ kind: 'put', node: value }) as const),
  node.map(({ id }) => ({ kind: 'remove', id }) as const),
);

export function distinct(nodes: readonly InventoryNode[]): readonly InventoryNode[] {
  return [...new Map(nodes.map((value) => [value.id, value])).values()];
}
