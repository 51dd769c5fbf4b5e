/** Atoms by the words of a question: a selector of the policy, the name of a machine, or an address. */
import { containsAddr } from '../compile/resolve.ts';
import { slotsOf } from '../compile/node-set.ts';
import { Lowering } from '../compile/program.ts';
import { ipSetOfPrefixes, IpSet } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { parseSelector, type Selector } from '../file/selector.ts';
import { isSameFamily, type SourceAtom, type TargetAtom } from './atoms.ts';
import type { PacketKind } from './opening.ts';
import type { Relation } from './relation.ts';
import type { Packet } from './wire-check.ts';

const nowhere = { pointer: '', line: 0, column: 0 };

/** Sources that a word names. An error where it names nothing in this world. */
export function selectSources(
  relation: Relation,
  text: string,
): Result<readonly SourceAtom[], string> {
  const { tailnet, atoms } = relation;
  const byName = atoms.sources.filter(
    ({ slot }) => slot !== undefined && isNamed(relation, slot, text),
  );
  if (byName.length > 0) return ok(byName);
  const selector = parseSelector(text, nowhere);
  if (!selector.ok) return selector;
  const resolved = tailnet.resolver.resolve(loweringOf(relation).principals([selector.value], []));
  const found = atoms.sources.filter(({ addr }) => containsAddr(resolved, addr, tailnet.index));
  return found.length > 0 ? ok(found) : err(`${goQuote(text)} names nothing`);
}

/** Targets that a word names: own addresses of machines, and addresses behind routers. */
export function selectTargets(
  relation: Relation,
  text: string,
): Result<readonly TargetAtom[], string> {
  const { atoms } = relation;
  const byName = atoms.targets.filter(({ slot, isOwn }) => isOwn && isNamed(relation, slot, text));
  if (byName.length > 0) return ok(byName);
  const selector = parseSelector(text, nowhere);
  if (!selector.ok) return selector;
  const found = targetsOfSelector(relation, selector.value);
  return found.length > 0 ? ok(found) : err(`${goQuote(text)} names nothing`);
}

function targetsOfSelector(relation: Relation, selector: Selector): readonly TargetAtom[] {
  const { tailnet, atoms } = relation;
  const lowering = loweringOf(relation);
  if (selector.kind === 'any') return atoms.targets;
  if (selector.kind === 'prefix') {
    const set = ipSetOfPrefixes([selector.prefix]);
    return atoms.targets.filter(({ addr }) => set.containsAddr(addr));
  }
  const { keys, literals } = lowering.principals([selector], []);
  const slots = new Set(slotsOf(tailnet.index.union(keys)));
  const written = IpSet.unionAll(literals.map(({ set }) => set));
  return atoms.targets.filter(
    ({ slot, isOwn, addr }) => (isOwn && slots.has(slot)) || written.containsAddr(addr),
  );
}

function loweringOf({ tailnet: { program } }: Relation): Lowering {
  return new Lowering(program.file, program.directory, program.services);
}

function isNamed({ tailnet }: Relation, slot: number, text: string): boolean {
  const node = tailnet.index.at(slot)?.node;
  return node !== undefined && (node.id === text || node.hostname === text);
}

/** The packet that a question in words means: the first source and target of one family. */
export function packetBetween(
  relation: Relation,
  from: string,
  to: string,
  { protocol, port }: PacketKind,
): Result<Packet, string> {
  const sources = selectSources(relation, from);
  if (!sources.ok) return sources;
  const targets = selectTargets(relation, to);
  if (!targets.ok) return targets;
  for (const source of sources.value) {
    const target = targets.value.find((candidate) => isSameFamily(source, candidate));
    if (target !== undefined)
      return ok({ source: source.addr, target: target.addr, protocol, port });
  }
  return err(`${goQuote(from)} and ${goQuote(to)} have no family of addresses in common`);
}
