/**
 * The suite `policy`: captures of a hosted control plane, reduced to policy, topology, response and what each
 * node was told. Acceptance and refusal must agree, a refusal in its words; filters, SSH rules and capability maps
 * are compared as sets, the order of SSH rules included, since there the first match decides.
 */
import { readFile } from 'node:fs/promises';
import { parseAddr, parsePrefix } from '@postern/core/base/netip';
import {
  type Inventory,
  type InventoryNode,
  parsePolicyText,
  type Tailnet,
  validatePolicy,
  type WireCapMap,
  type WireFilterRule,
  type WireSshRule,
} from '@postern/core/policy';
import type { CaseResult, Suite } from './suite.ts';

interface Topology {
  readonly users: readonly { readonly id: number; readonly name: string; readonly email: string }[];
  readonly nodes: Readonly<Record<string, TopologyNode>>;
}

interface TopologyNode {
  readonly hostname: string;
  readonly tags: readonly string[] | null;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly user?: string;
  readonly routable_ips: readonly string[] | null;
  readonly approved_routes: readonly string[] | null;
}

interface CapturedNode {
  readonly packetFilter?: readonly WireFilterRule[] | null;
  readonly ssh?: readonly WireSshRule[] | null;
  readonly capMapOf?: Readonly<Record<string, WireCapMap>> | null;
}

interface Case {
  readonly id: string;
  /** JSON text, or the value itself. */
  readonly policy: unknown;
  readonly topology: Topology;
  readonly response: { readonly code: number; readonly body: { readonly message?: string } | null };
  readonly nodes?: Readonly<Record<string, CapturedNode>>;
}

/** The address that the captures were given for SSH checks. */
const checkUrl = 'https://unused';

export const suite: Suite = async function* (files) {
  for (const file of files) {
    // The file is the one that the format describes; a different shape fails below, case by case.
    const cases = JSON.parse(await readFile(file, 'utf8')) as readonly Case[];
    // A family of captures records WhoIs or it does not; where it does, a node without a map knows nobody.
    const hasWhoIs = cases.some((one) =>
      Object.values(one.nodes ?? {}).some((node) => node.capMapOf !== undefined),
    );
    for (const one of cases) yield judge(one, hasWhoIs);
  }
};

function judge(one: Case, hasWhoIs: boolean): CaseResult {
  const why = whyOf(one, hasWhoIs);
  return why === undefined ? { id: one.id, pass: true } : { id: one.id, pass: false, why };
}

/** Why a case fails. A fault of ours fails its case and leaves the others. */
function whyOf(one: Case, hasWhoIs: boolean): string | undefined {
  try {
    const text = typeof one.policy === 'string' ? one.policy : JSON.stringify(one.policy);
    const parsed = parsePolicyText(text);
    const { refusal, tailnet } = validatePolicy(parsed, inventoryOf(one.topology));
    return one.response.code === 200
      ? acceptedWhy(one, refusal, tailnet, hasWhoIs)
      : refusedWhy(one, refusal);
  } catch (error) {
    return `fault: ${String(error)}`;
  }
}

function refusedWhy(one: Case, refusal: string | undefined): string | undefined {
  if (refusal === undefined)
    return `accepted, want ${one.response.code}: ${one.response.body?.message}`;
  // A 5xx says that the service failed on the file; its words are not about the file.
  const message = one.response.code < 500 ? (one.response.body?.message ?? '') : '';
  return refusal.includes(message) ? undefined : `refused with ${refusal}, want ${message}`;
}

function acceptedWhy(
  one: Case,
  refusal: string | undefined,
  tailnet: Tailnet,
  hasWhoIs: boolean,
): string | undefined {
  if (refusal !== undefined) return `refused: ${refusal}`;
  for (const [name, captured] of Object.entries(one.nodes ?? {})) {
    const why = nodeWhy(tailnet, name, captured, hasWhoIs);
    if (why !== undefined) return `${name}: ${why}`;
  }
  return undefined;
}

function nodeWhy(
  tailnet: Tailnet,
  name: string,
  captured: CapturedNode,
  hasWhoIs: boolean,
): string | undefined {
  return (
    difference('filter', rulesKey(tailnet.filterOf(name)), rulesKey(captured.packetFilter ?? [])) ??
    difference('ssh', sshKey(tailnet.sshOf(name, checkUrl)), sshKey(captured.ssh ?? [])) ??
    (hasWhoIs ? capabilitiesWhy(tailnet, name, captured.capMapOf ?? {}) : undefined)
  );
}

function capabilitiesWhy(
  tailnet: Tailnet,
  name: string,
  captured: Readonly<Record<string, WireCapMap>>,
): string | undefined {
  for (const { node } of tailnet.index.nodes()) {
    if (node.id === name) continue;
    for (const addr of node.addresses) {
      const text = tailnet.index.byId(node.id)?.texts[node.addresses.indexOf(addr)] ?? '';
      const got = canonical(tailnet.capabilitiesOf(name, addr));
      const why = difference(`capabilities of ${text}`, got, canonical(captured[text] ?? {}));
      if (why !== undefined) return why;
    }
  }
  return undefined;
}

function difference(what: string, got: string, want: string): string | undefined {
  return got === want ? undefined : `${what}: got ${got}, want ${want}`;
}

/** Filter rules as a set of rules with sets in them. */
function rulesKey(rules: readonly WireFilterRule[]): string {
  const keys = rules.map((rule) =>
    canonical({
      SrcIPs: asSet(rule.SrcIPs),
      DstPorts: asSet(rule.DstPorts ?? []),
      IPProto: asSet(rule.IPProto ?? []),
      CapGrant: asSet(
        (rule.CapGrant ?? []).map((grant) => ({ ...grant, Dsts: asSet(grant.Dsts) })),
      ),
    }),
  );
  return JSON.stringify([...new Set(keys)].sort());
}

function sshKey(rules: readonly WireSshRule[]): string {
  return canonical(rules.map((rule) => ({ ...rule, principals: asSet(rule.principals) })));
}

function asSet(values: readonly unknown[] | null): readonly string[] {
  return [...new Set((values ?? []).map((value) => canonical(value)))].sort();
}

/** JSON with sorted names. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function inventoryOf(topology: Topology): Inventory {
  // The captured tailnet belongs to its first user; the others were invited into it.
  const users = topology.users.map((user, i) => ({
    id: user.name,
    login: user.email === '' ? user.name : user.email,
    roles: i === 0 ? (['owner'] as const) : [],
  }));
  return { users, nodes: Object.entries(topology.nodes).map(([name, node]) => nodeOf(name, node)) };
}

function nodeOf(id: string, node: TopologyNode): InventoryNode {
  return {
    id,
    hostname: node.hostname,
    addresses: [node.ipv4, node.ipv6]
      .filter((text) => text !== '')
      .map((text) => read(parseAddr(text))),
    userId: node.user,
    tags: node.tags ?? [],
    advertisedRoutes: (node.routable_ips ?? []).map((text) => read(parsePrefix(text))),
    approvedRoutes: (node.approved_routes ?? []).map((text) => read(parsePrefix(text))),
    postureAttributes: new Map(),
  };
}

function read<T>(parsed: { ok: true; value: T } | { ok: false; error: string }): T {
  if (parsed.ok) return parsed.value;
  throw new Error(parsed.error);
}
