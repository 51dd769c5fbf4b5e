/** New access, by whatever part of the file it comes. */
import { isExitRoute, prefixCovers } from '../../base/netip/index.ts';
import type { NetworkRule, PolicyFile, Selector, SshRule } from '../file/index.ts';
import type { JsonData } from '../file/index.ts';
import { type AccessChange, canonicalText } from '../reason/index.ts';
import { type ChangeContext, targetsOf } from './context.ts';
import { type ChangeFinding, describeChange, placeOf, placeOfRule } from './finding.ts';

/** Findings of one kind shown. The semantic difference of the plan has them all. */
const shownMax = 20;

export function wideningFindings(context: ChangeContext): readonly ChangeFinding[] {
  const added = context.comparison.changes.filter(({ change }) => change === 'added');
  return [
    ...crownJewelFindings(context, added),
    ...accessFindings(context, added),
    ...wideSelectorFindings(context),
    ...approverFindings(context),
  ];
}

function ofChange(
  code: ChangeFinding['code'],
  severity: ChangeFinding['severity'],
  message: string,
  { witness }: AccessChange,
): ChangeFinding {
  return { code, severity, message, at: placeOfRule('candidate', witness.rules[0]), witness };
}

function crownJewelFindings(
  { comparison, request }: ChangeContext,
  added: readonly AccessChange[],
): readonly ChangeFinding[] {
  return request.protection.crownJewels.flatMap(({ name, to }) => {
    const targets = new Set([...targetsOf(comparison.after, to)].map(({ id }) => id));
    return added
      .filter((change) => change.targetAtoms.some((id) => targets.has(id)))
      .slice(0, shownMax)
      .map((change) =>
        ofChange(
          'crown_jewel',
          'hold',
          `${name} would be open to more: ${describeChange(change)}`,
          change,
        ),
      );
  });
}

/** Access that comes without a new rule was perhaps not seen by whoever reads the change. */
function accessFindings(
  { before, after, request }: ChangeContext,
  added: readonly AccessChange[],
): readonly ChangeFinding[] {
  const known = new Set(rulesOf(before).map(ruleText));
  const texts = new Map(rulesOf(after).map((rule) => [rule.id, ruleText(rule)]));
  const definitions = changedDefinitions(before, after);
  return added.slice(0, shownMax).map((change) => {
    const ids = change.witness.rules.map(({ id }) => id);
    const isIndirect = ids.length > 0 && ids.every((id) => known.has(texts.get(id) ?? ''));
    if (isIndirect) {
      const cause = definitions.length > 0 ? definitions.join(', ') : 'what a name stands for';
      const message = `no rule changes, yet ${describeChange(change)}, because of ${cause}`;
      return ofChange('indirect_widening', 'hold', message, change);
    }
    const isAgent = request.actor.kind === 'agent';
    const who = isAgent ? 'an agent may not add access by itself: ' : '';
    return ofChange('new_access', isAgent ? 'hold' : 'note', who + describeChange(change), change);
  });
}

function rulesOf(file: PolicyFile): readonly (NetworkRule | SshRule)[] {
  return [...(file.grants ?? []), ...(file.acls ?? []), ...file.ssh];
}

/** What a rule says, without its place. */
function ruleText(rule: NetworkRule | SshRule): string {
  const words = (selectors: readonly Selector[]): readonly string[] =>
    selectors.map(({ text }) => text).sort();
  const posture = rule.srcPosture?.map(({ text }) => text) ?? null;
  const common = { src: words(rule.src), dst: words(rule.dst), posture };
  if ('action' in rule) {
    const users = rule.users.map((user) => canonicalText({ ...user }));
    return canonicalText({ ...common, action: rule.action, users });
  }
  const targets: JsonData = rule.targets.map(({ dst, ports }) => ({
    dst: words(dst),
    ports: ports.map(({ protocol, ports: ranges }) => ({
      protocol: protocol ?? null,
      ranges: ranges.map(({ first, last }) => [first, last]),
    })),
  }));
  const app = rule.app.map(({ name, values }) => ({
    name,
    values: values.map(({ value }) => value),
  }));
  return canonicalText({ ...common, targets, app, via: rule.via.map(({ text }) => text) });
}

/** Names whose meaning differs between the files. */
function changedDefinitions(before: PolicyFile, after: PolicyFile): readonly string[] {
  const changed: string[] = [];
  const compare = <T>(
    was: ReadonlyMap<string, T>,
    is: ReadonlyMap<string, T>,
    textOf: (value: T) => string,
  ): void => {
    for (const [name, value] of is) {
      const old = was.get(name);
      if (old !== undefined && textOf(old) !== textOf(value)) changed.push(name);
    }
  };
  compare(before.groups, after.groups, ({ members }) =>
    members
      .map(({ text }) => text)
      .sort()
      .join(),
  );
  compare(before.hosts, after.hosts, ({ prefix }) => `${prefix.addr.key}/${prefix.bits}`);
  compare(before.ipsets, after.ipsets, ({ steps }) =>
    steps.map(({ verb, text }) => `${verb} ${text}`).join(),
  );
  compare(before.postures, after.postures, ({ conditions }) =>
    conditions.map(({ text }) => text).join(),
  );
  const defaults = [before, after].map((file) =>
    file.defaultSrcPosture.map(({ text }) => text).join(),
  );
  if (defaults[0] !== defaults[1]) changed.push('defaultSrcPosture');
  return changed;
}

const wideAutogroups: ReadonlySet<string> = new Set(['danger-all', 'shared', 'internet']);

/** New rules with words that mean everyone, the whole internet, or people of other tailnets. */
function wideSelectorFindings({ before, after }: ChangeContext): readonly ChangeFinding[] {
  const known = new Set(rulesOf(before).map(ruleText));
  return rulesOf(after)
    .filter((rule) => !known.has(ruleText(rule)))
    .flatMap((rule): readonly ChangeFinding[] => {
      const wide = [...rule.src, ...rule.dst].find(
        (selector) =>
          selector.kind === 'any' ||
          (selector.kind === 'autogroup' && wideAutogroups.has(selector.name)) ||
          (selector.kind === 'prefix' && selector.prefix.bits === 0),
      );
      if (wide === undefined) return [];
      const isAll =
        rule.src.some(({ kind }) => kind === 'any') && rule.dst.some(({ kind }) => kind === 'any');
      const message = isAll
        ? 'a new rule opens everything to everyone: its src and its dst are both "*"'
        : `a new rule uses ${wide.text}, which means far more than it names`;
      const at = placeOf('candidate', rule.at);
      return [{ code: 'wide_selector', severity: 'hold', message, at, witness: undefined }];
    });
}

/** Machines that may offer routes or the internet to all without being asked, and could not before. */
function approverFindings({ before, after }: ChangeContext): readonly ChangeFinding[] {
  const findings: ChangeFinding[] = [];
  for (const { prefix, approvers, at } of after.autoApprovers.routes) {
    const was = before.autoApprovers.routes
      .filter((route) => prefixCovers(route.prefix, prefix))
      .flatMap((route) => route.approvers.map(({ text }) => text));
    const gained = approvers.map(({ text }) => text).filter((text) => !was.includes(text));
    if (gained.length === 0) continue;
    const scope = isExitRoute(prefix)
      ? 'any route at all'
      : `routes in ${at.pointer.split('/').at(-1)?.replaceAll('~1', '/') ?? ''}`;
    const message = `${gained.join(', ')} would have ${scope} approved without anyone looking`;
    findings.push({
      code: 'auto_approver',
      severity: 'hold',
      message,
      at: placeOf('candidate', at),
      witness: undefined,
    });
  }
  const exits = before.autoApprovers.exitNode.map(({ text }) => text);
  for (const approver of after.autoApprovers.exitNode) {
    if (exits.includes(approver.text)) continue;
    const message = `${approver.text} would become an exit node without anyone looking`;
    findings.push({
      code: 'auto_approver',
      severity: 'hold',
      message,
      at: placeOf('candidate', approver.at),
      witness: undefined,
    });
  }
  return findings;
}
