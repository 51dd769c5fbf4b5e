/** Reads the sections that define names: groups, tagOwners, hosts, ipsets, postures, autoApprovers. */
import { type Prefix, maskedPrefix, parsePrefix } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { ipsetDepthMax } from './limits.ts';
import { type IpSetRule, type IpSetStep, parseIpSetEntry } from './ipset.ts';
import type { AutoApprovers, Group, Host, RouteApprover, TagOwner } from './model.ts';
import { parsePostureCondition, type Posture } from './posture.ts';
import type { Reader } from './reader.ts';
import { isHostName, parseAddressOrPrefix, tagNameRefusal } from './selector.ts';
import { readSelectors, type Scope } from './scope.ts';
import type { SourceValue } from './source.ts';

export function readGroups(
  reader: Reader,
  source: SourceValue | undefined,
): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>();
  for (const { name, at, value } of reader.entries(source, 'groups')) {
    if (!/^group:./.test(name)) {
      const why = "group names must start with 'group:'";
      reader.findings.error('bad_name', at, `groups[${goQuote(name)}]: ${why}`);
      continue;
    }
    groups.set(name, { name, members: reader.texts(value, `groups[${goQuote(name)}]`), at });
  }
  // The service names the deepest group of a chain first; reversed order does so for the usual naming.
  for (const group of [...groups.values()].sort((a, b) => (a.name < b.name ? 1 : -1))) {
    checkMembers(reader, group);
  }
  return groups;
}

function checkMembers(reader: Reader, group: Group): void {
  const where = `groups[${goQuote(group.name)}]`;
  for (const { text, at } of group.members) {
    if (/^group:[^@]*$/.test(text)) {
      const why = 'group members cannot be recursive';
      reader.findings.error('nested_group', at, `${where}: ${goQuote(text)}: ${why}`);
    } else if (!text.includes('@') || /^(?:tag|autogroup|user|ipset|svc):/.test(text)) {
      const why = 'group members must be users';
      reader.findings.error('bad_name', at, `${where}: ${goQuote(text)}: ${why}`);
    }
  }
}

export function readTagOwners(
  reader: Reader,
  source: SourceValue | undefined,
  scopeOf: (tags: ReadonlySet<string>) => Scope,
): ReadonlyMap<string, TagOwner> {
  const entries = reader.entries(source, 'tagOwners');
  const scope = scopeOf(new Set(entries.map((entry) => entry.name)));
  const owners = new Map<string, TagOwner>();
  for (const { name, at, value } of entries) {
    const refusal = tagNameRefusal(name);
    if (refusal === undefined) {
      owners.set(name, { tag: name, owners: readSelectors(reader, scope, value, 'owner'), at });
    } else {
      reader.findings.error('bad_name', at, `tagOwners[${goQuote(name)}]: ${refusal}`);
    }
  }
  return owners;
}

export function readHosts(
  reader: Reader,
  source: SourceValue | undefined,
): ReadonlyMap<string, Host> {
  const hosts = new Map<string, Host>();
  for (const { name, at, value } of reader.entries(source, 'hosts')) {
    const where = `hosts[${goQuote(name)}]`;
    const text = reader.text(value, where);
    if (text === undefined) continue;
    const prefix = parseAddressOrPrefix(text.text);
    if (!isHostName(name)) {
      reader.findings.error('bad_name', at, `${where}: not a valid host name`);
    } else if (prefix === undefined) {
      reader.findings.error(
        'bad_address',
        text.at,
        `${where}: ${goQuote(text.text)}: invalid address`,
      );
    } else {
      hosts.set(name, { name, prefix, at });
    }
  }
  return hosts;
}

export function readIpSets(
  reader: Reader,
  source: SourceValue | undefined,
  hosts: ReadonlyMap<string, Host>,
): ReadonlyMap<string, IpSetRule> {
  const ipsets = new Map<string, IpSetRule>();
  for (const { name, at, value } of reader.entries(source, 'ipsets')) {
    if (!/^ipset:./.test(name)) {
      const why = "ipset names must start with 'ipset:'";
      reader.findings.error('bad_name', at, `ipsets[${goQuote(name)}]: ${why}`);
      continue;
    }
    ipsets.set(name, { name, steps: readSteps(reader, name, value), at });
  }
  const depths = new Map<string, number>();
  for (const ipset of ipsets.values()) checkIpSet(reader, ipset, ipsets, hosts, depths);
  return ipsets;
}

function readSteps(reader: Reader, name: string, source: SourceValue): readonly IpSetStep[] {
  const where = `ipsets[${goQuote(name)}]`;
  const steps: (IpSetStep & { readonly hasVerb: boolean })[] = [];
  for (const { text, at } of reader.texts(source, where)) {
    const entry = parseIpSetEntry(text);
    if (!entry.ok) {
      reader.findings.error('bad_ipset', at, `${where}: ${entry.error}`);
      continue;
    }
    const { verb, target } = entry.value;
    steps.push({ verb: verb ?? 'add', hasVerb: verb !== undefined, target, text, at });
  }
  const bare = steps.find((step) => !step.hasVerb);
  if (bare !== undefined && steps.some((step) => step.verb === 'remove')) {
    const why = 'with a remove in the list, every entry needs add or remove';
    reader.findings.error('bad_ipset', bare.at, `${where}: ${goQuote(bare.text)}: ${why}`);
  }
  return steps.map(({ verb, target, text, at }) => ({ verb, target, text, at }));
}

function checkIpSet(
  reader: Reader,
  ipset: IpSetRule,
  ipsets: ReadonlyMap<string, IpSetRule>,
  hosts: ReadonlyMap<string, Host>,
  depths: Map<string, number>,
): void {
  const where = `ipsets[${goQuote(ipset.name)}]`;
  for (const { target, at } of ipset.steps) {
    if (target.kind === 'host' && !hosts.has(target.name)) {
      reader.findings.error(
        'undefined_name',
        at,
        `${where}: host not found: ${goQuote(target.name)}`,
      );
    } else if (target.kind === 'ipset' && !ipsets.has(target.name)) {
      reader.findings.error(
        'undefined_name',
        at,
        `${where}: ipset not found: ${goQuote(target.name)}`,
      );
    }
  }
  if (depthOf(ipset.name, ipsets, depths, 0) > ipsetDepthMax) {
    const why = `ipsets refer to each other in a circle, or more than ${ipsetDepthMax} deep`;
    reader.findings.error('bad_ipset', ipset.at, `${where}: ${why}`);
  }
}

/** Levels of ipsets under this one; infinite in a circle. Each ipset is looked at once. */
function depthOf(
  name: string,
  ipsets: ReadonlyMap<string, IpSetRule>,
  depths: Map<string, number>,
  level: number,
): number {
  const known = depths.get(name);
  if (known !== undefined) return known;
  if (level > ipsetDepthMax) return Number.POSITIVE_INFINITY;
  // Whoever comes back here before it is known stands in a circle.
  depths.set(name, Number.POSITIVE_INFINITY);
  let below = 0;
  for (const { target } of ipsets.get(name)?.steps ?? []) {
    if (target.kind === 'ipset') {
      below = Math.max(below, depthOf(target.name, ipsets, depths, level + 1));
    }
  }
  depths.set(name, below + 1);
  return below + 1;
}

export function readPostures(
  reader: Reader,
  source: SourceValue | undefined,
): ReadonlyMap<string, Posture> {
  const postures = new Map<string, Posture>();
  for (const { name, at, value } of reader.entries(source, 'postures')) {
    const where = `postures[${goQuote(name)}]`;
    if (!/^posture:./.test(name)) {
      reader.findings.error('bad_name', at, `${where}: posture names must start with 'posture:'`);
      continue;
    }
    const conditions = reader.texts(value, where).flatMap(({ text, at: place }) => {
      const condition = parsePostureCondition(text, place);
      if (condition.ok) return [condition.value];
      reader.findings.error('bad_posture', place, `${where}: ${condition.error}`);
      return [];
    });
    postures.set(name, { name, conditions, at });
  }
  return postures;
}

export function readAutoApprovers(
  reader: Reader,
  source: SourceValue | undefined,
  scope: Scope,
): AutoApprovers {
  if (source === undefined) return { routes: [], exitNode: [] };
  const fields = reader.fields(source, 'autoApprovers', ['routes', 'exitNode', 'services']);
  const routes: RouteApprover[] = [];
  for (const { name, at, value } of reader.entries(fields.routes, 'autoApprovers.routes')) {
    const prefix = readRoute(name);
    if (prefix === undefined) {
      const where = `autoApprovers.routes[${goQuote(name)}]`;
      reader.findings.error('bad_address', at, `${where}: invalid prefix`);
      continue;
    }
    routes.push({ prefix, approvers: readSelectors(reader, scope, value, 'approver'), at });
  }
  for (const { value } of reader.entries(fields.services, 'autoApprovers.services')) {
    readSelectors(reader, scope, value, 'approver');
  }
  return { routes, exitNode: readSelectors(reader, scope, fields.exitNode, 'approver') };
}

function readRoute(text: string): Prefix | undefined {
  const prefix = parsePrefix(text);
  return prefix.ok ? maskedPrefix(prefix.value) : undefined;
}
