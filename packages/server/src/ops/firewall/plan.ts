import type { Environment, FirewallPlan, FlowRule, Party } from './rules.ts';
import { anywhere } from './rules.ts';

/** A place that requests go to. */
export interface Place {
  /** As people call it. */
  readonly name: string;
  readonly hosts: readonly string[];
  readonly networks: readonly string[];
  readonly port: number;
  readonly because: string;
}

/** Who reaches the gateway over the private network, by the policy. */
export interface TailnetRow {
  readonly sources: readonly string[];
  readonly ports: readonly number[];
}

/** What a plan is made from: read from configuration and policy, never from what is running. */
export interface PlanSources {
  readonly environment: Environment;
  readonly gatewayPort: number;
  /** Where the public comes in: by a balancer, or at our own listener. */
  readonly edge:
    | { readonly kind: 'balancer'; readonly port: number; readonly proxies: readonly string[] }
    | { readonly kind: 'tls'; readonly port: number }
    | undefined;
  readonly inference: readonly Place[];
  readonly stores: readonly Place[];
  /** Providers of others, on the internet. */
  readonly hosted: readonly Place[];
  /** What machines of our own network need of its server; undefined: others run it. */
  readonly coordination:
    | { readonly tcp: readonly number[]; readonly stun: number | undefined }
    | undefined;
  readonly control: number | undefined;
  readonly tailnet: readonly string[];
  /** Where the gateway itself is, where somebody said so. */
  readonly gateway: readonly string[];
  readonly policy: {
    readonly toGateway: readonly TailnetRow[];
    /** Ports to which the gateway may send, by target. */
    readonly fromGateway: readonly TailnetRow[];
    readonly problem: string | undefined;
  };
}

const wireguardPort = 41_641;
const publicPort = 443;

const party = (id: string, name: string, more: Partial<Party> = {}): Party => ({
  id,
  name,
  networks: [],
  names: [],
  ...more,
});

/** The rows of one environment. What is not in them is denied. */
export function planFirewall(sources: PlanSources): FirewallPlan {
  const notes: string[] = [];
  const isMeshed = sources.environment === 'dev' || sources.environment === 'staging-home';
  const rules = [
    ...edgeRules(sources, notes),
    ...(isMeshed ? meshRules(sources, notes) : []),
    ...placeRules(sources, isMeshed, notes),
  ];
  return { environment: sources.environment, rules, notes };
}

const internet = party('internet', 'Internet', { networks: anywhere });
const gateway = party('gateway', 'Gateway');

function edgeRules({ environment, edge, gatewayPort }: PlanSources, notes: string[]): FlowRule[] {
  if (environment === 'dev') {
    if (edge !== undefined) {
      notes.push(
        'dev has no public edge: "publicEdge" of the configuration is left out of this plan',
      );
    }
    return [];
  }
  if (environment === 'staging-home') {
    if (edge?.kind !== 'tls') {
      notes.push(
        'staging at home is reached over HTTPS: "publicEdge" with TLS files is not configured',
      );
    }
    const port = edge?.kind === 'tls' ? edge.port : publicPort;
    return [row(internet, gateway, [port], 'publicEdge')];
  }
  const proxies = edge?.kind === 'balancer' ? edge.proxies : [];
  if (edge?.kind !== 'balancer') {
    notes.push(
      '"publicEdge" with "tls": "balancer" is not configured: the balancer’s addresses are not known',
    );
  }
  const balancer = party('balancer', 'Load Balancer', { networks: proxies });
  const port = edge?.kind === 'balancer' ? edge.port : gatewayPort;
  return [
    row(internet, balancer, [publicPort], 'publicEdge'),
    row(balancer, gateway, [port], edge === undefined ? 'listeners.gateway' : 'publicEdge.address'),
  ];
}

/** Over the private network: packets between its machines, and what the policy lets through to the gateway. */
function meshRules(sources: PlanSources, notes: string[]): FlowRule[] {
  const { tailnet, policy, coordination, control } = sources;
  const anybody = party('peers', 'Any machine of the network', { networks: anywhere });
  const rules: FlowRule[] = [
    { ...row(anybody, gateway, [wireguardPort], 'WireGuard'), protocol: 'udp' },
  ];
  if (policy.problem !== undefined) notes.push(`policy: ${policy.problem}`);
  for (const { sources: names, ports } of policy.toGateway) {
    const from = party('tailnet', names.join(', '), { networks: tailnet });
    rules.push({ ...row(from, gateway, ports, 'policy'), over: 'tailnet' });
  }
  if (policy.problem === undefined && policy.toGateway.length === 0) {
    notes.push('the policy lets nobody reach the gateway (tag:gateway)');
  }
  if (coordination !== undefined) {
    rules.push(row(anybody, gateway, coordination.tcp, 'engine'));
    if (coordination.stun !== undefined) {
      rules.push({
        ...row(anybody, gateway, [coordination.stun], 'engine.stunAddress'),
        protocol: 'udp',
      });
    }
  }
  if (control !== undefined) rules.push(row(anybody, gateway, [control], 'registry.address'));
  return rules;
}

function placeRules(sources: PlanSources, isMeshed: boolean, notes: string[]): FlowRule[] {
  const rules: FlowRule[] = [];
  const over = isMeshed ? 'tailnet' : 'network';
  const from = party('gateway', 'Gateway', {
    networks: isMeshed ? sources.tailnet : sources.gateway,
  });
  if (from.networks.length === 0) {
    notes.push(
      'where the gateway is, is not known: firewalls of model servers let it in with --gateway PREFIX',
    );
  }
  for (const place of sources.inference) {
    rules.push({
      ...row(from, targetOf('inference', place), [place.port], place.because),
      over,
    });
    if (isMeshed && sources.policy.problem === undefined && !mayReach(sources, place.port)) {
      notes.push(
        `the policy does not let the gateway (tag:gateway) reach ${place.name} on port ${place.port}`,
      );
    }
  }
  if (sources.inference.length === 0) notes.push('no model server of our own is configured');
  for (const place of sources.stores) {
    rules.push(row(gateway, targetOf('store', place), [place.port], place.because));
  }
  for (const place of sources.hosted) {
    rules.push(row(gateway, targetOf('hosted', place), [place.port], place.because));
  }
  const named = rules.filter(({ to }) => to.networks.length === 0 && to.names.length > 0);
  if (named.length > 0) {
    const names = [...new Set(named.flatMap(({ to }) => to.names))].join(', ');
    notes.push(
      `packet filters take addresses: the way out to ${names} stays open on its port to every address`,
    );
  }
  return rules;
}

function mayReach({ policy }: PlanSources, port: number): boolean {
  return policy.fromGateway.some(({ ports }) => ports.length === 0 || ports.includes(port));
}

function targetOf(kind: string, { name, hosts, networks }: Place): Party {
  return party(`${kind}:${name}`, name, { networks, names: networks.length > 0 ? [] : hosts });
}

function row(from: Party, to: Party, ports: readonly number[], because: string): FlowRule {
  return { from, to, protocol: 'tcp', ports, over: 'network', because };
}
