/** Nobody who has to be able to mend a mistake may lose the way to do it. */
import { parseGrantPorts } from '../file/index.ts';
import {
  type AccessChange,
  effectiveLogin,
  isClosed,
  isSameFamily,
  type Opening,
  openingOf,
  type Relation,
  type SourceAtom,
  subtractOpening,
  type TargetAtom,
} from '../reason/index.ts';
import { type ChangeContext, sourcesOf, targetsOf } from './context.ts';
import { type ChangeFinding, describeChange, placeOfRule } from './finding.ts';
import type { ProtectedCapability, ProtectedLogin, ProtectedPath } from './request.ts';

export function lockOutFindings(context: ChangeContext): readonly ChangeFinding[] {
  const { paths, capabilities, logins } = context.request.protection;
  return [
    ...paths.flatMap((path) => checkPath(context, path)),
    ...capabilities.flatMap((capability) => checkCapability(context, capability)),
    ...logins.flatMap((login) => checkLogin(context, login)),
  ];
}

/** A pair of which `had` held before and no longer does. */
interface Loss {
  readonly source: SourceAtom;
  readonly target: TargetAtom;
}

/** How one principal fares: whether it had the access before, has it after, and where it loses it. */
interface Fate {
  readonly word: string;
  readonly had: boolean;
  readonly has: boolean;
  readonly lost: Loss | undefined;
}

/** Looks at every machine of the principal, in every posture that it may be in. */
function fateOf(
  { comparison }: ChangeContext,
  word: string,
  to: ReadonlySet<TargetAtom>,
  holds: (relation: Relation, source: SourceAtom, target: TargetAtom) => boolean,
): Fate {
  let [had, has] = [false, false];
  let lost: Loss | undefined;
  for (const source of sourcesOf(comparison.before, [word])) {
    for (const target of to) {
      if (!isSameFamily(source, target)) continue;
      const [was, is] = [
        holds(comparison.before, source, target),
        holds(comparison.after, source, target),
      ];
      had ||= was;
      has ||= is;
      if (was && !is) lost ??= { source, target };
    }
  }
  return { word, had, has, lost };
}

interface Kept {
  readonly kept: number;
  readonly losers: readonly Fate[];
}

/** A principal keeps an access that it has on every machine that had it before. */
function keptBy(
  context: ChangeContext,
  words: readonly string[],
  to: ReadonlySet<TargetAtom>,
  holds: (relation: Relation, source: SourceAtom, target: TargetAtom) => boolean,
): Kept {
  const fates = words.map((word) => fateOf(context, word, to, holds));
  const isLoser = ({ has, lost }: Fate): boolean => !has || lost !== undefined;
  return {
    kept: fates.filter((fate) => !isLoser(fate)).length,
    losers: fates.filter((fate) => isLoser(fate)),
  };
}

function checkPath(context: ChangeContext, path: ProtectedPath): readonly ChangeFinding[] {
  const { comparison } = context;
  const to = targetsOf(comparison.before, path.to);
  const wanted = openingsOf(path.ports);
  const { kept, losers } = keptBy(context, path.from, to, (relation, source, target) =>
    wanted.every((opening) =>
      isClosed(subtractOpening(opening, relation.access(source, target).opening)),
    ),
  );
  const needed = path.keepAtLeast ?? path.from.length;
  const [loser] = losers;
  if (kept >= needed || loser === undefined) return [];
  const what = `${path.ports.join(', ')} on ${path.to.join(', ')}`;
  const change = loser.lost === undefined ? undefined : changeOf(context, 'network', loser.lost);
  if (change === undefined) {
    const why = `${loser.word} does not reach ${what}, and does not today`;
    return [
      finding(
        'control_path',
        `${path.name}: ${why}: the path has to be open before anything else changes`,
      ),
    ];
  }
  const why = `${path.name}: ${loser.word} would be locked out of ${what}, since ${describeChange(change)}`;
  return [finding('control_path', why, change)];
}

function checkCapability(
  context: ChangeContext,
  { capability, holders, on, keepAtLeast }: ProtectedCapability,
): readonly ChangeFinding[] {
  const to = targetsOf(context.comparison.before, on);
  const { kept, losers } = keptBy(context, holders, to, (relation, source, target) =>
    relation.access(source, target).capabilities.some((text) => text.startsWith(`${capability} `)),
  );
  const needed = keepAtLeast ?? holders.length;
  const [loser] = losers;
  if (kept >= needed || loser === undefined) return [];
  const change = loser.lost === undefined ? undefined : changeOf(context, 'capability', loser.lost);
  const detail = change === undefined ? '' : `, since ${describeChange(change)}`;
  const why = `only ${kept} of ${holders.length} holders keep ${capability}, ${needed} have to`;
  return [finding('cap_retention', `${why}: ${loser.word} would lose it${detail}`, change)];
}

/** One way in is enough; one that needs a check depends on the identity provider and perhaps on the tailnet. */
function checkLogin(context: ChangeContext, login: ProtectedLogin): readonly ChangeFinding[] {
  const { comparison } = context;
  const best = (relation: Relation): 'accept' | 'check' | undefined => {
    let found: 'accept' | 'check' | undefined;
    for (const source of sourcesOf(relation, login.from)) {
      for (const target of targetsOf(relation, login.to)) {
        const { ssh } = relation.access(source, target);
        for (const user of login.users) {
          const action = effectiveLogin(ssh, user);
          if (action === 'accept') return 'accept';
          found ??= action;
        }
      }
    }
    return found;
  };
  const after = best(comparison.after);
  if (after === 'accept') return [];
  const before = best(comparison.before);
  const who = `${login.from.join(', ')} to ${login.to.join(', ')}`;
  if (after === undefined) {
    const state =
      before === undefined ? 'there is no SSH login' : 'the last SSH login is taken away';
    return [finding('ssh_reach', `${login.name}: ${state} from ${who}`)];
  }
  const why = `${login.name}: SSH from ${who} is left only with a check, which needs the identity provider`;
  return [{ ...finding('ssh_reach', why), severity: before === 'check' ? 'note' : 'hold' }];
}

function finding(
  code: ChangeFinding['code'],
  message: string,
  change?: AccessChange,
): ChangeFinding {
  const at = placeOfRule('current', change?.witness.rules[0]);
  return { code, severity: 'refuse', message, at, witness: change?.witness };
}

function changeOf(
  { comparison }: ChangeContext,
  kind: AccessChange['kind'],
  { source, target }: Loss,
): AccessChange | undefined {
  return comparison.changes.find(
    (change) =>
      change.change === 'removed' &&
      change.kind === kind &&
      change.sourceAtoms.includes(source.id) &&
      change.targetAtoms.includes(target.id),
  );
}

/** Ports that cannot be read protect everything. */
function openingsOf(texts: readonly string[]): readonly Opening[] {
  return texts.flatMap((text) => {
    const parsed = parseGrantPorts(text);
    const { protocol, ports } = parsed.ok
      ? parsed.value
      : { protocol: undefined, ports: [{ first: 0, last: 65_535 }] };
    return [
      openingOf({
        protocol,
        ports: ports.map(({ first, last }) => ({ First: first, Last: last })),
      }),
    ];
  });
}
