/** Which rules of a file are about somebody, or about an address with a port. */
import { type Addr, parseAddr } from '../../base/netip/index.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { Inventory } from '../compile/inventory.ts';
import { Lowering } from '../compile/program.ts';
import { containsAddr } from '../compile/resolve.ts';
import type { NetworkRule, RuleTarget } from '../file/model.ts';
import type { ProtocolPorts } from '../file/port.ts';
import type { Selector } from '../file/selector.ts';
import { parsePolicyText } from '../file/text.ts';
import { selectSources } from '../reason/index.ts';
import { relationOf } from './reach.ts';

export interface PreviewQuestion {
  readonly type: 'user' | 'ipport';
  /** A login or another selector; or `100.64.0.2:443`. */
  readonly for: string;
}

export interface PreviewRow {
  /** Sources as the rule writes them. */
  readonly users: readonly string[];
  /** What the rule opens, as `destination:ports`. */
  readonly ports: readonly string[];
  /** From 1. */
  readonly line: number;
}

/** Rules of `acls` and `grants` in file order. Without machines, each user and tag of the file is imagined to have one. */
export function previewReport(
  text: string,
  inventory: Inventory,
  { type, for: subject }: PreviewQuestion,
): Result<readonly PreviewRow[], string> {
  const parsed = parsePolicyText(text);
  if (!parsed.accepted) return err(parsed.refusal ?? 'the file cannot be read');
  const relation = relationOf(parsed, inventory);
  const { tailnet } = relation;
  const { program, index, resolver } = tailnet;
  const lowering = new Lowering(program.file, program.directory, program.services);
  const rules = [...(parsed.file.acls ?? []), ...(parsed.file.grants ?? [])];
  const covers = (selectors: readonly Selector[], addr: Addr) =>
    containsAddr(resolver.resolve(lowering.principals(selectors, [])), addr, index);
  if (type === 'user') {
    const sources = selectSources(relation, subject);
    if (!sources.ok) return sources;
    const addresses = sources.value.map(({ addr }) => addr);
    const found = rules.filter(({ src }) => addresses.some((addr) => covers(src, addr)));
    return ok(found.map((rule) => rowOf(rule, rule.targets)));
  }
  const asked = addressWithPort(subject);
  if (asked === undefined) {
    return err(`${subject}: write an address with a port, such as 100.64.0.2:443`);
  }
  const { addr, port } = asked;
  const hasOwner = index.ownerOf(addr)?.ownerId !== undefined;
  const reaches = ({ dst, ports }: RuleTarget): boolean =>
    ports.some(({ ports: ranges }) =>
      ranges.some(({ first, last }) => first <= port && port <= last),
    ) &&
    (covers(dst, addr) ||
      (hasOwner && dst.some((each) => each.kind === 'autogroup' && each.name === 'self')));
  return ok(
    rules.flatMap((rule) => {
      const targets = rule.targets.filter((target) => reaches(target));
      return targets.length === 0 ? [] : [rowOf(rule, targets)];
    }),
  );
}

function rowOf(rule: NetworkRule, targets: readonly RuleTarget[]): PreviewRow {
  return {
    users: rule.src.map(({ text }) => text),
    ports: targets.flatMap(({ dst, ports }) =>
      dst.map(({ text }) => `${text}:${ports.map(portsText).join(',')}`),
    ),
    line: rule.at.line,
  };
}

function portsText({ protocol, ports }: ProtocolPorts): string {
  const ranges = ports.map(({ first, last }) =>
    first === 0 && last === 65_535 ? '*' : first === last ? `${first}` : `${first}-${last}`,
  );
  return `${protocol === undefined ? '' : `${protocol}/`}${ranges.join(',')}`;
}

function addressWithPort(text: string): { readonly addr: Addr; readonly port: number } | undefined {
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const addr = parseAddr(v6 ?? v4 ?? '');
  const port = Number(digits);
  return addr.ok && port <= 65_535 ? { addr: addr.value, port } : undefined;
}
