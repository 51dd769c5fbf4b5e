import type { FirewallPlan, FlowRule, Party } from './rules.ts';
import { anywhere } from './rules.ts';

type Labels = Readonly<Record<string, string>>;

type Peer =
  | {
      readonly podSelector: { readonly matchLabels: Labels };
      readonly namespaceSelector?: Readonly<Record<string, never>>;
    }
  | { readonly ipBlock: { readonly cidr: string } };

interface Port {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

/** A NetworkPolicy of `networking.k8s.io/v1`, as far as plans make one. */
export interface NetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: { readonly name: string; readonly labels: Labels };
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Labels };
    readonly policyTypes: readonly ['Ingress', 'Egress'];
    readonly ingress: readonly {
      readonly from: readonly Peer[];
      readonly ports: readonly Port[];
    }[];
    readonly egress: readonly { readonly to: readonly Peer[]; readonly ports: readonly Port[] }[];
  };
}

/** What pods of a release have by the chart; model servers are labelled by whoever runs them. */
const gatewayLabels: Labels = { 'app.kubernetes.io/name': 'postern' };
const partyLabel = 'postern.dev/party';

/**
 * One policy for the pods of each party that is ours, and a way to the cluster's names. Pods that a policy selects are closed to
 * everything that it does not name; what the plan knows by name only stays open to every address on its port, as its notes say.
 */
export function asNetworkPolicies(plan: FirewallPlan): {
  readonly apiVersion: 'v1';
  readonly kind: 'List';
  readonly items: readonly NetworkPolicy[];
} {
  const ours = new Map<string, Party>();
  for (const { from, to } of plan.rules)
    for (const party of [from, to]) if (labelsOf(party) !== undefined) ours.set(party.id, party);
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [...ours.values()].map((party) => policyOf(plan, party)),
  };
}

function policyOf(plan: FirewallPlan, party: Party): NetworkPolicy {
  const matchLabels = labelsOf(party) ?? {};
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      name: `postern-${plan.environment}-${slugOf(party)}`,
      labels: { 'app.kubernetes.io/managed-by': 'postern' },
    },
    spec: {
      podSelector: { matchLabels },
      policyTypes: ['Ingress', 'Egress'],
      ingress: plan.rules
        .filter(({ to }) => to.id === party.id)
        .map((rule) => ({ from: peersOf(rule.from), ports: portsOf(rule) })),
      egress: [
        ...plan.rules
          .filter(({ from }) => from.id === party.id)
          .map((rule) => ({ to: peersOf(rule.to), ports: portsOf(rule) })),
        { to: [dns], ports: [port('UDP', 53), port('TCP', 53)] },
      ],
    },
  };
}

/** The cluster's name servers, in whichever namespace. */
const dns: Peer = {
  namespaceSelector: {},
  podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
};

/** Addresses where they are known; pods of ours by their labels, wherever they run. */
function peersOf(party: Party): readonly Peer[] {
  const matchLabels = labelsOf(party);
  if (party.id === 'gateway' && matchLabels !== undefined)
    return [{ podSelector: { matchLabels } }];
  if (party.networks.length > 0) return party.networks.map((cidr) => ({ ipBlock: { cidr } }));
  if (matchLabels !== undefined) return [{ podSelector: { matchLabels } }];
  return anywhere.map((cidr) => ({ ipBlock: { cidr } }));
}

function portsOf({ protocol, ports }: FlowRule): readonly Port[] {
  return ports.map((each) => port(protocol === 'udp' ? 'UDP' : 'TCP', each));
}

function port(protocol: Port['protocol'], number: number): Port {
  return { protocol, port: number };
}

function labelsOf(party: Party): Labels | undefined {
  if (party.id === 'gateway') return gatewayLabels;
  return party.id.startsWith('inference:') ? { [partyLabel]: slugOf(party) } : undefined;
}

/** A name and a label value at once: at most 63 characters (RFC 1123). */
function slugOf({ id }: Party): string {
  return id
    .replace('inference:', '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40);
}
