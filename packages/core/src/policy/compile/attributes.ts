/** Node attributes: `nodeAttrs` and the options of the file that clients read from their own capabilities. */
import type { Prefix } from '../../base/netip/index.ts';
import type { NodeAttrRule } from '../file/model.ts';
import type { JsonData } from '../file/source.ts';
import type { IndexedNode } from './node-index.ts';
import { Lowering, type Principals, type Program } from './program.ts';
import type { WireCapMap } from './wire.ts';

const randomizeClientPort = 'randomize-client-port';
const disableIpv4 = 'disable-ipv4';

export interface AttributeRule {
  readonly rule: NodeAttrRule;
  readonly target: Principals;
}

/** Looks the targets up once for all nodes. */
export function lowerAttributes(program: Program): readonly AttributeRule[] {
  const lowering = new Lowering(program.file, program.directory, program.services);
  return program.file.nodeAttrs.map((rule) => ({
    rule,
    target: lowering.principals(rule.target, []),
  }));
}

/** Attributes of one node. Attributes named twice stand once; values of `app` add up. */
export function attributesOf(
  program: Program,
  rules: readonly AttributeRule[],
  indexed: IndexedNode,
): WireCapMap {
  const { options } = program.file;
  const found = new Map<string, readonly JsonData[] | null>();
  if (options.randomizeClientPort) found.set(randomizeClientPort, null);
  if (options.disableIpv4) found.set(disableIpv4, null);
  if (options.oneCgnatRoute !== '' && indexed.node.postureAttributes.get('node:os') === 'macos') {
    found.set(`one-cgnat?v=${options.oneCgnatRoute === 'mac-always'}`, null);
  }
  for (const { rule, target } of rules) {
    if (!isTarget(target, indexed)) continue;
    for (const { text } of rule.attrs) found.set(text, found.get(text) ?? null);
    for (const { name, values } of rule.app) {
      found.set(name, [...(found.get(name) ?? []), ...values.map(({ value }) => value)]);
    }
  }
  return Object.fromEntries(found);
}

/** Pools from which a node may get its address: those of the first entry that targets it and has any. */
export function ipPoolOf(rules: readonly AttributeRule[], indexed: IndexedNode): readonly Prefix[] {
  for (const { rule, target } of rules) {
    if (rule.ipPool.length > 0 && isTarget(target, indexed)) return rule.ipPool;
  }
  return [];
}

function isTarget(target: Principals, indexed: IndexedNode): boolean {
  if (target.hasAny || target.keys.some((key) => indexed.keys.includes(key))) return true;
  return target.literals.some(({ set }) =>
    indexed.node.addresses.some((addr) => set.containsAddr(addr)),
  );
}
