/** A small tailnet for tests: three people, two services, a router, an exit node. */
import { parseAddr, parsePrefix } from '../../base/netip/index.ts';
import { parsePolicyValue } from '../file/index.ts';
import type { Inventory, InventoryNode } from './inventory.ts';
import { compileTailnet, type Tailnet } from './tailnet.ts';

function must<T>(parsed: { ok: true; value: T } | { ok: false; error: string }): T {
  if (parsed.ok) return parsed.value;
  throw new Error(parsed.error);
}

export interface NodeOptions {
  readonly user?: string;
  readonly tags?: readonly string[];
  readonly routes?: readonly string[];
  readonly approved?: readonly string[];
  readonly posture?: Readonly<Record<string, string | number | boolean>>;
}

/** A node with the addresses `100.64.0.<n>` and `fd7a:115c:a1e0::<n>`. */
export function nodeOf(id: string, n: number, options: NodeOptions): InventoryNode {
  return {
    id,
    hostname: id,
    addresses: [`100.64.0.${n}`, `fd7a:115c:a1e0::${n}`].map((text) => must(parseAddr(text))),
    userId: options.user,
    tags: options.tags ?? [],
    advertisedRoutes: (options.routes ?? []).map((text) => must(parsePrefix(text))),
    approvedRoutes: (options.approved ?? options.routes ?? []).map((text) =>
      must(parsePrefix(text)),
    ),
    postureAttributes: new Map(Object.entries(options.posture ?? {})),
  };
}

export const inventory: Inventory = {
  users: [
    { id: 'alice', login: 'alice@example.com', roles: ['admin'] },
    { id: 'bob', login: 'bob@example.com', roles: [] },
    { id: 'eve', login: 'eve@elsewhere.org', roles: [], isShared: true },
  ],
  nodes: [
    nodeOf('laptop', 1, {
      user: 'alice',
      posture: { 'node:os': 'macos', 'node:tsVersion': '1.60.0' },
    }),
    nodeOf('phone', 2, { user: 'alice', posture: { 'node:os': 'ios' } }),
    nodeOf('desk', 3, { user: 'bob', posture: { 'node:os': 'linux', 'node:tsVersion': '1.9.0' } }),
    nodeOf('guest', 4, { user: 'eve' }),
    nodeOf('web', 5, { tags: ['tag:web'] }),
    nodeOf('db', 6, { tags: ['tag:db'] }),
    nodeOf('router', 7, {
      tags: ['tag:router'],
      routes: ['10.0.0.0/16', '10.9.0.0/24'],
      approved: ['10.0.0.0/16'],
    }),
    nodeOf('exit', 8, { tags: ['tag:exit'], routes: ['0.0.0.0/0', '::/0'] }),
  ],
};

export const names: object = {
  groups: { 'group:dev': ['alice@example.com', 'bob@example.com'] },
  tagOwners: { 'tag:web': [], 'tag:db': [], 'tag:router': [], 'tag:exit': [] },
  hosts: { office: '10.0.1.0/24' },
};

export function tailnetOf(policy: object, over: Inventory = inventory): Tailnet {
  const parsed = parsePolicyValue({ ...names, ...policy });
  if (!parsed.accepted) throw new Error(parsed.refusal);
  return compileTailnet(parsed.file, over);
}

/** A rule on one line: sources, destinations with ports, protocols. */
export function shown(tailnet: Tailnet, id: string): readonly string[] {
  return tailnet.filterOf(id).map(({ SrcIPs, DstPorts, IPProto, CapGrant }) => {
    const ports = (DstPorts ?? []).map(({ IP, Ports }) => `${IP}:${Ports.First}-${Ports.Last}`);
    const caps = (CapGrant ?? []).map(
      ({ Dsts, CapMap }) => `${Dsts.join('+')}=${JSON.stringify(CapMap)}`,
    );
    const proto = IPProto === undefined ? '' : ` proto ${IPProto.join('+')}`;
    return `${SrcIPs.join(' ')} > ${[...ports, ...caps].join(' ')}${proto}`;
  });
}
