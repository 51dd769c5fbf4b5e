/** What an engine would refuse or leave out of a policy file that is otherwise fine. */
import type { SelectorPlace } from '../file/selector.ts';
import { type Finding, Findings } from '../file/finding.ts';
import { findingsMax } from '../file/limits.ts';
import type { PolicyFile } from '../file/model.ts';
import { roleAutogroups, type Selector } from '../file/selector.ts';
import type { Position } from '../file/source.ts';

export const engineNames = ['tailscale', 'headscale', 'embedded'] as const;
export type EngineName = (typeof engineNames)[number];

/** `refused`: the engine rejects the file. `ignored`: it takes the file and the item has no effect. */
export type EngineAnswer = 'ok' | 'refused' | 'ignored';

export interface EngineDifference {
  readonly feature: string;
  readonly answers: Readonly<Record<EngineName, EngineAnswer>>;
  /** Where the file uses it. */
  readonly uses: (file: PolicyFile) => readonly Position[];
}

const headscaleRefuses = { tailscale: 'ok', headscale: 'refused', embedded: 'ok' } as const;
const onlyTailscale = { tailscale: 'ok', headscale: 'refused', embedded: 'ignored' } as const;

/** Read off the source of Headscale 0.27 to 0.29 and the documentation of Tailscale. */
export const engineDifferences: readonly EngineDifference[] = [
  {
    feature: 'ipsets',
    answers: headscaleRefuses,
    uses: (file) => placesOf(file.ipsets),
  },
  {
    feature: 'postures',
    answers: headscaleRefuses,
    uses: (file) => [...placesOf(file.postures), ...file.defaultSrcPosture.map(({ at }) => at)],
  },
  {
    feature: 'the posture ip:country',
    answers: onlyTailscale,
    uses: (file) => conditionsOf(file, 'ip:country'),
  },
  {
    feature: 'autogroups of roles',
    answers: headscaleRefuses,
    uses: (file) =>
      selectorsWhere(file, ({ selector }) => {
        return (
          selector.kind === 'autogroup' && roleAutogroups.some((role) => role === selector.name)
        );
      }),
  },
  {
    feature: 'autogroup:shared',
    answers: onlyTailscale,
    uses: (file) =>
      selectorsWhere(
        file,
        ({ selector }) => selector.kind === 'autogroup' && selector.name === 'shared',
      ),
  },
  {
    feature: 'autogroup:members (use autogroup:member)',
    answers: headscaleRefuses,
    uses: (file) => selectorsWhere(file, ({ selector }) => selector.text === 'autogroup:members'),
  },
  {
    feature: 'user:*@domain',
    answers: { tailscale: 'ok', headscale: 'ignored', embedded: 'ok' },
    uses: (file) => selectorsWhere(file, ({ selector }) => selector.kind === 'domain'),
  },
  {
    feature: 'services (svc:)',
    answers: onlyTailscale,
    uses: (file) => selectorsWhere(file, ({ selector }) => selector.kind === 'service'),
  },
  {
    feature: 'groups of an identity provider',
    answers: headscaleRefuses,
    uses: (file) =>
      selectorsWhere(
        file,
        ({ selector }) => selector.kind === 'group' && !file.groups.has(selector.name),
      ),
  },
  {
    feature: 'derpMap',
    answers: headscaleRefuses,
    uses: (file) => (file.derpMap === undefined ? [] : [top('derpMap')]),
  },
  {
    feature: 'attrConfig',
    answers: onlyTailscale,
    uses: (file) => placesOf(file.attrConfig),
  },
  {
    feature: 'disableIPv4',
    answers: headscaleRefuses,
    uses: (file) => (file.options.disableIpv4 ? [top('disableIPv4')] : []),
  },
  {
    feature: 'OneCGNATRoute',
    answers: headscaleRefuses,
    uses: (file) => (file.options.oneCgnatRoute === '' ? [] : [top('OneCGNATRoute')]),
  },
  {
    feature: 'the node attribute funnel',
    answers: onlyTailscale,
    uses: (file) =>
      file.nodeAttrs.flatMap(({ attrs }) =>
        attrs.filter(({ text }) => text === 'funnel').map(({ at }) => at),
      ),
  },
  {
    feature: 'ipPool of nodeAttrs',
    answers: headscaleRefuses,
    uses: (file) => file.nodeAttrs.flatMap(({ ipPool, at }) => (ipPool.length > 0 ? [at] : [])),
  },
  {
    feature: 'app of nodeAttrs (app connectors)',
    answers: headscaleRefuses,
    uses: (file) => file.nodeAttrs.flatMap(({ app }) => app.map(({ at }) => at)),
  },
  {
    feature: 'recording of SSH sessions',
    answers: onlyTailscale,
    uses: (file) =>
      file.ssh.flatMap(({ recorder, enforceRecorder, at }) =>
        recorder.length > 0 || enforceRecorder ? [at] : [],
      ),
  },
  {
    feature: 'ICMP in tests',
    answers: headscaleRefuses,
    uses: (file) =>
      file.tests.flatMap(({ proto }) => {
        return proto !== undefined && ['icmp', 'ipv6-icmp', '1', '58'].includes(proto.text)
          ? [proto.at]
          : [];
      }),
  },
  {
    feature: 'posture attributes in tests',
    answers: headscaleRefuses,
    uses: (file) =>
      [...file.tests, ...file.sshTests].flatMap(({ srcPostureAttrs, at }) =>
        srcPostureAttrs.size > 0 ? [at] : [],
      ),
  },
  {
    feature: 'the capability tailscale.com/cap/aperture',
    answers: headscaleRefuses,
    uses: (file) => capabilitiesNamed(file, 'tailscale.com/cap/aperture'),
  },
];

/** `refused` becomes an error, `ignored` a warning. */
export function engineFindings(file: PolicyFile, engine: EngineName): readonly Finding[] {
  const findings = new Findings(findingsMax);
  for (const { feature, answers, uses } of engineDifferences) {
    const answer = answers[engine];
    if (answer === 'ok') continue;
    for (const at of uses(file)) {
      const severity = answer === 'refused' ? 'error' : 'warning';
      const what = answer === 'refused' ? 'refuses' : 'ignores';
      findings.add(severity, 'engine_difference', at, `${engine} ${what} ${feature}`);
    }
  }
  return findings.list;
}

function top(name: string): Position {
  return { pointer: `/${name}`, line: 0, column: 0 };
}

function placesOf(named: ReadonlyMap<string, { readonly at: Position }>): readonly Position[] {
  return [...named.values()].map(({ at }) => at);
}

function conditionsOf(file: PolicyFile, key: string): readonly Position[] {
  return [...file.postures.values()].flatMap(({ conditions }) =>
    conditions.filter((condition) => condition.key === key).map(({ at }) => at),
  );
}

function capabilitiesNamed(file: PolicyFile, name: string): readonly Position[] {
  return (file.grants ?? []).flatMap(({ app }) =>
    app.filter((capability) => capability.name === name).map(({ at }) => at),
  );
}

interface Placed {
  readonly selector: Selector;
  readonly place: SelectorPlace;
}

function selectorsWhere(file: PolicyFile, test: (placed: Placed) => boolean): readonly Position[] {
  return [...placedSelectors(file)]
    .filter((placed) => test(placed))
    .map(({ selector }) => selector.at);
}

/** Every selector of the file with the kind of place where it stands. */
export function* placedSelectors(file: PolicyFile): Iterable<Placed> {
  for (const rule of [...(file.acls ?? []), ...(file.grants ?? [])]) {
    for (const selector of rule.src) yield { selector, place: 'src' };
    for (const selector of rule.dst) yield { selector, place: 'dst' };
  }
  for (const rule of file.ssh) {
    for (const selector of rule.src) yield { selector, place: 'ssh-src' };
    for (const selector of rule.dst) yield { selector, place: 'ssh-dst' };
  }
  for (const rule of file.nodeAttrs) {
    for (const selector of rule.target) yield { selector, place: 'target' };
  }
  for (const { owners } of file.tagOwners.values()) {
    for (const selector of owners) yield { selector, place: 'owner' };
  }
  const { routes, exitNode } = file.autoApprovers;
  for (const selector of [...routes.flatMap(({ approvers }) => approvers), ...exitNode]) {
    yield { selector, place: 'approver' };
  }
}
