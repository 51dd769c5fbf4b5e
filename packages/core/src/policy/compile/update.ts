/** What a change of one node makes stale. */
import { addrEquals, prefixEquals } from '../../base/netip/index.ts';
import type { IndexedNode } from './node-index.ts';
import type { Principals } from './program.ts';

export interface Dirt {
  /** Keys of node sets whose members or whose members' addresses changed. */
  readonly keys: ReadonlySet<string>;
  /** Keys of all sets that the node was or is in. */
  readonly nodeKeys: ReadonlySet<string>;
  readonly routes: boolean;
  readonly postures: boolean;
}

export function dirtOf(before: IndexedNode | undefined, after: IndexedNode | undefined): Dirt {
  const was = before?.keys ?? [];
  const is = after?.keys ?? [];
  const nodeKeys = new Set([...was, ...is]);
  const isSame = before !== undefined && after !== undefined && hasSameAddresses(before, after);
  const changed = [...nodeKeys].filter((key) => !was.includes(key) || !is.includes(key));
  return {
    keys: isSame ? new Set(changed) : nodeKeys,
    nodeKeys,
    routes: !hasSameRoutes(before, after),
    postures: !isSame || changed.length > 0 || !hasSamePosture(before, after),
  };
}

/** Whether what the principals resolve to may have changed. */
export function isDirty(principals: Principals, dirt: Dirt): boolean {
  if (principals.hasAny && dirt.routes) return true;
  if (principals.keys.some((key) => dirt.keys.has(key))) return true;
  if (principals.postures.length === 0 || !dirt.postures) return false;
  return (
    principals.hasAny ||
    principals.hasDangerAll ||
    principals.literals.length > 0 ||
    principals.keys.some((key) => dirt.nodeKeys.has(key))
  );
}

function hasSameAddresses(a: IndexedNode, b: IndexedNode): boolean {
  const [x, y] = [a.node.addresses, b.node.addresses];
  return (
    x.length === y.length &&
    x.every((addr, i) => {
      const other = y[i];
      return other !== undefined && addrEquals(addr, other);
    })
  );
}

function hasSameRoutes(a: IndexedNode | undefined, b: IndexedNode | undefined): boolean {
  const [x, y] = [a?.subnetRoutes ?? [], b?.subnetRoutes ?? []];
  return (
    x.length === y.length &&
    x.every((route, i) => {
      const other = y[i];
      return other !== undefined && prefixEquals(route, other);
    })
  );
}

function hasSamePosture(a: IndexedNode | undefined, b: IndexedNode | undefined): boolean {
  const [x, y] = [a?.node.postureAttributes, b?.node.postureAttributes];
  if (x === y) return true;
  if (x === undefined || y === undefined || x.size !== y.size) return false;
  for (const [key, value] of x) if (y.get(key) !== value) return false;
  return true;
}
