import type { FirewallPlan, FlowRule, Role } from './rules.ts';
import { anywhere } from './rules.ts';

/** One opening of one machine's firewall. */
export interface Opening {
  readonly direction: 'in' | 'out';
  readonly protocol: 'tcp' | 'udp';
  readonly ports: readonly number[];
  /** The other side; `0.0.0.0/0` and `::/0`: anybody. */
  readonly networks: readonly string[];
  readonly over: FlowRule['over'];
  readonly comment: string;
}

const wireguardPort = 41_641;

/** What one machine lets in and out by a plan. Whose addresses are not known is not let in. */
export function openingsOf(plan: FirewallPlan, role: Role): readonly Opening[] {
  const isRole = (id: string): boolean =>
    role === 'gateway' ? id === 'gateway' : id.startsWith('inference:');
  const own = plan.rules.flatMap((rule): Opening[] => {
    const { protocol, ports, over } = rule;
    const openings: Opening[] = [];
    const comment = `${rule.from.name} to ${rule.to.name}`;
    if (isRole(rule.to.id)) {
      const { networks } = rule.from;
      openings.push({ direction: 'in', protocol, ports, over, comment, networks });
    }
    if (isRole(rule.from.id)) {
      const { networks } = rule.to;
      const known = networks.length > 0 ? networks : anywhere;
      openings.push({ direction: 'out', protocol, ports, over, comment, networks: known });
    }
    return openings;
  });
  const isMeshed = plan.rules.some(({ over }) => over === 'tailnet');
  if (!isMeshed || role === 'gateway') return own;
  // A machine behind the mesh takes its packets, and nothing beside them.
  return [
    {
      direction: 'in',
      protocol: 'udp',
      ports: [wireguardPort],
      networks: anywhere,
      over: 'network',
      comment: 'WireGuard',
    },
    ...own,
  ];
}

export function isFour(network: string): boolean {
  return !network.includes(':');
}
