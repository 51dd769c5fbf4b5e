import type { ListeningSocket } from '../check/index.ts';
import { openingsOf } from './hosts.ts';
import type { FirewallPlan, Role } from './rules.ts';

/** One port of this machine: what the plan says, and what is so. */
export interface Compared {
  readonly port: number;
  readonly hosts: readonly string[];
  readonly planned: boolean;
  readonly verdict: /** In the plan, and somebody listens. */
    | 'as planned'
    /** In the plan, and nobody listens. */
    | 'nobody listens'
    /** Somebody listens for others, and the plan lets nobody in: a firewall by this plan closes it. */
    | 'not in the plan'
    /** Somebody listens for this machine alone, which no plan is about. */
    | 'loopback only';
}

/** TCP ports that take connections here against those that the plan lets in. */
export function compareWith(
  plan: FirewallPlan,
  role: Role,
  sockets: readonly ListeningSocket[],
): readonly Compared[] {
  const planned = new Set(
    openingsOf(plan, role)
      .filter(({ direction, protocol }) => direction === 'in' && protocol === 'tcp')
      .flatMap(({ ports }) => ports),
  );
  const byPort = Map.groupBy(sockets, ({ port }) => port);
  const all = [...new Set([...planned, ...byPort.keys()])].toSorted((a, b) => a - b);
  return all.map((port) => {
    const hosts = [...new Set((byPort.get(port) ?? []).map(({ host }) => host))].toSorted();
    const isPlanned = planned.has(port);
    const isWide = hosts.some((host) => !isLoopback(host));
    return { port, hosts, planned: isPlanned, verdict: verdictOf(isPlanned, hosts.length, isWide) };
  });
}

function verdictOf(isPlanned: boolean, sockets: number, isWide: boolean): Compared['verdict'] {
  if (isPlanned) return isWide ? 'as planned' : 'nobody listens';
  if (!isWide && sockets > 0) return 'loopback only';
  return 'not in the plan';
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}
