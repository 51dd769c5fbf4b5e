/** Further tests of a policy: who can and who cannot reach something, over everyone whom the words could mean. */
import { formatAddr } from '../../base/netip/index.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { parseGrantPorts } from '../file/port.ts';
import { isSameFamily, type SourceAtom, type TargetAtom } from './atoms.ts';
import { isClosed, type Opening, openingOf, subtractOpening } from './opening.ts';
import type { Relation } from './relation.ts';
import { formatRuleRef, ruleRefs } from './rule-refs.ts';
import { selectSources, selectTargets } from './selection.ts';

/**
 * `allow`: every source reaches every target on all these ports. `deny`: no source reaches any on any of them.
 * `only`: of all sources there are, none but these reaches any target on any of them.
 */
export interface Assertion {
  readonly expect: 'allow' | 'deny' | 'only';
  /** Selectors, names of machines or addresses. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** As in the `ip` field of a grant; `*` where it is left out. */
  readonly ports?: readonly string[];
}

export interface AssertionOutcome {
  readonly assertion: Assertion;
  readonly passed: boolean;
  /** The first pair that contradicts it, or why it cannot be asked. */
  readonly why: string | undefined;
}

/** Postures are those of the machines in the world, imagined ones in every class. */
export function checkAssertions(
  relation: Relation,
  assertions: readonly Assertion[],
): readonly AssertionOutcome[] {
  return assertions.map((assertion) => {
    const checked = check(relation, assertion);
    const why = checked.ok ? checked.value : checked.error;
    return { assertion, passed: why === undefined, why };
  });
}

function check(relation: Relation, assertion: Assertion): Result<string | undefined, string> {
  const asked = portsOf(assertion.ports ?? ['*']);
  if (!asked.ok) return asked;
  const from = selectAll(assertion.from, (text) => selectSources(relation, text));
  if (!from.ok) return from;
  const to = selectAll(assertion.to, (text) => selectTargets(relation, text));
  if (!to.ok) return to;
  const sources =
    assertion.expect === 'only'
      ? relation.atoms.sources.filter((atom) => !from.value.has(atom))
      : [...from.value];
  for (const source of sources) {
    for (const target of to.value) {
      if (!isSameFamily(source, target)) continue;
      const why = contradiction(relation, assertion, asked.value, source, target);
      if (why !== undefined) return ok(why);
    }
  }
  return ok(undefined);
}

function contradiction(
  relation: Relation,
  { expect }: Assertion,
  asked: readonly Opening[],
  source: SourceAtom,
  target: TargetAtom,
): string | undefined {
  const { opening } = relation.access(source, target);
  const ends = `${source.label} (${formatAddr(source.addr)}) to ${target.label} (${formatAddr(target.addr)})`;
  if (expect === 'allow') {
    const isShort = asked.some((wanted) => !isClosed(subtractOpening(wanted, opening)));
    return isShort ? `not open from ${ends}` : undefined;
  }
  const isOpen = asked.some((wanted) => sharesPorts(wanted, opening));
  if (!isOpen) return undefined;
  const ids = relation.rulesBetween(source, target);
  const rules = ruleRefs(relation.tailnet.program.file, ids).map(formatRuleRef).join(', ');
  return `open from ${ends} by ${rules}`;
}

/** Whether the two have a port in common. Pings alone do not count: any open port lets them in. */
function sharesPorts(wanted: Opening, opening: Opening): boolean {
  const rest = subtractOpening(opening, wanted);
  return (
    rest.tcp.join() !== opening.tcp.join() ||
    rest.udp.join() !== opening.udp.join() ||
    rest.sctp.join() !== opening.sctp.join() ||
    rest.protocols.length !== opening.protocols.length ||
    (isOnlyPing(wanted) && opening.icmp)
  );
}

function isOnlyPing({ tcp, udp, sctp, protocols, icmp }: Opening): boolean {
  return icmp && tcp.length + udp.length + sctp.length + protocols.length === 0;
}

function portsOf(texts: readonly string[]): Result<readonly Opening[], string> {
  const openings: Opening[] = [];
  for (const text of texts) {
    const ports = parseGrantPorts(text);
    if (!ports.ok) return err(ports.error);
    const ranges = ports.value.ports.map(({ first, last }) => ({ First: first, Last: last }));
    openings.push(openingOf({ protocol: ports.value.protocol, ports: ranges }));
  }
  return ok(openings);
}

function selectAll<Atom>(
  texts: readonly string[],
  select: (text: string) => Result<readonly Atom[], string>,
): Result<ReadonlySet<Atom>, string> {
  const all = new Set<Atom>();
  for (const text of texts) {
    const selected = select(text);
    if (!selected.ok) return selected;
    for (const atom of selected.value) all.add(atom);
  }
  return ok(all);
}
