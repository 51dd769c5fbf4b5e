import type { Opening } from './hosts.ts';
import { isFour, openingsOf } from './hosts.ts';
import type { FirewallPlan, Role } from './rules.ts';

const tailnetInterface = 'tailscale0';
/** What a machine needs to find names, the time and the way to others (WireGuard, STUN, relays). */
const upkeep = { udp: [53, 123, 443, 3_478, 41_641], tcp: [53, 80, 443] } as const;

/** The rows as people read them. */
export function planRows({ rules }: FirewallPlan): readonly (readonly string[])[] {
  return [
    ...rules.map(({ from, to, protocol, ports, over, because }) => [
      from.name,
      to.name,
      ports.map((port) => (protocol === 'udp' ? `${port}/udp` : String(port))).join(', '),
      'Yes',
      over === 'tailnet' ? 'private network' : '',
      because,
    ]),
    ['Anything else', '*', '*', 'Deny', '', ''],
  ];
}

/** For `nft -f`: one table, replaced whole, so that it can be loaded again and again. */
export function asNftables(plan: FirewallPlan, role: Role): string {
  const openings = openingsOf(plan, role);
  return [
    header('#', plan, role),
    'table inet postern',
    'delete table inet postern',
    'table inet postern {',
    '  chain input {',
    '    type filter hook input priority filter; policy drop;',
    '    iifname "lo" accept',
    '    ct state established,related accept',
    '    ct state invalid drop',
    '    meta l4proto { icmp, ipv6-icmp } accept',
    ...openings.filter(({ direction }) => direction === 'in').flatMap((each) => nftLines(each)),
    '  }',
    '  chain output {',
    '    type filter hook output priority filter; policy drop;',
    '    oifname "lo" accept',
    '    ct state established,related accept',
    '    meta l4proto { icmp, ipv6-icmp } accept',
    ...upkeepNft(),
    ...openings.filter(({ direction }) => direction === 'out').flatMap((each) => nftLines(each)),
    '  }',
    '}',
    '',
  ].join('\n');
}

function upkeepNft(): readonly string[] {
  return [
    `    udp dport { ${upkeep.udp.join(', ')} } accept comment "names, time, WireGuard"`,
    `    tcp dport { ${upkeep.tcp.join(', ')} } accept comment "names, relays, updates"`,
    '    meta l4proto udp meta skuid 0 accept comment "WireGuard to any port"',
  ];
}

function nftLines({ direction, protocol, ports, networks, over, comment }: Opening): string[] {
  const side = direction === 'in' ? 'saddr' : 'daddr';
  const device =
    over === 'tailnet'
      ? `${direction === 'in' ? 'iifname' : 'oifname'} "${tailnetInterface}" `
      : '';
  const to =
    ports.length === 0 ? `meta l4proto ${protocol}` : `${protocol} dport { ${ports.join(', ')} }`;
  const note = ` comment "${quotable(comment)}"`;
  if (isAnybody(networks)) return [`    ${device}${to} accept${note}`];
  return (['ip', 'ip6'] as const).flatMap((family) => {
    const own = networks.filter((each) => isFour(each) === (family === 'ip'));
    return own.length === 0
      ? []
      : [`    ${device}${family} ${side} { ${own.join(', ')} } ${to} accept${note}`];
  });
}

/** For `iptables-restore` or `ip6tables-restore`. */
export function asIptables(plan: FirewallPlan, role: Role, family: 4 | 6): string {
  const icmp = family === 4 ? 'icmp' : 'ipv6-icmp';
  return [
    header('#', plan, role),
    '*filter',
    ':INPUT DROP [0:0]',
    ':FORWARD DROP [0:0]',
    ':OUTPUT DROP [0:0]',
    '-A INPUT -i lo -j ACCEPT',
    '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    '-A INPUT -m conntrack --ctstate INVALID -j DROP',
    `-A INPUT -p ${icmp} -j ACCEPT`,
    '-A OUTPUT -o lo -j ACCEPT',
    '-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    `-A OUTPUT -p ${icmp} -j ACCEPT`,
    ...(['udp', 'tcp'] as const).map(
      (protocol) =>
        `-A OUTPUT -p ${protocol} -m multiport --dports ${upkeep[protocol].join(',')} -j ACCEPT`,
    ),
    '-A OUTPUT -p udp -m owner --uid-owner 0 -j ACCEPT',
    ...openingsOf(plan, role).flatMap((each) => iptablesLines(each, family)),
    'COMMIT',
    '',
  ].join('\n');
}

function iptablesLines(
  { direction, protocol, ports, networks, over, comment }: Opening,
  family: 4 | 6,
): string[] {
  const chain = direction === 'in' ? 'INPUT' : 'OUTPUT';
  const side = direction === 'in' ? '-s' : '-d';
  const device =
    over === 'tailnet' ? ` ${direction === 'in' ? '-i' : '-o'} ${tailnetInterface}` : '';
  const to = ports.length === 0 ? '' : ` -m multiport --dports ${ports.join(',')}`;
  const note = ` -m comment --comment "${quotable(comment)}"`;
  const line = (network: string): string =>
    `-A ${chain}${device}${network} -p ${protocol}${to}${note} -j ACCEPT`;
  if (isAnybody(networks)) return [line('')];
  return networks
    .filter((each) => isFour(each) === (family === 4))
    .map((each) => line(` ${side} ${each}`));
}

/** A script of ufw commands; ufw itself keeps what answers belong to. */
export function asUfw(plan: FirewallPlan, role: Role): string {
  return [
    '#!/bin/sh',
    header('#', plan, role),
    'set -eu',
    'ufw --force reset',
    'ufw default deny incoming',
    'ufw default allow outgoing',
    ...openingsOf(plan, role)
      .filter(({ direction }) => direction === 'in')
      .flatMap((each) => ufwLines(each)),
    'ufw --force enable',
    'ufw status verbose',
    '',
  ].join('\n');
}

function ufwLines({ protocol, ports, networks, over, comment }: Opening): string[] {
  const device = over === 'tailnet' ? ` in on ${tailnetInterface}` : ' in';
  const note = ` comment '${quotable(comment)}'`;
  const to = ports.length === 0 ? ' to any' : ` to any port ${ports.join(',')}`;
  const from = isAnybody(networks) ? ['any'] : networks;
  return from.map((each) => `ufw allow${device} proto ${protocol} from ${each}${to}${note}`);
}

function header(mark: string, plan: FirewallPlan, role: Role): string {
  const lines = [
    `${plan.environment}, ${role}: made by \`postern network plan\`. What is not named is dropped, SSH too:`,
    'load it where you do not need the network to undo it, and add your own way in before.',
    ...plan.notes,
  ];
  return lines.map((line) => `${mark} ${line}`).join('\n');
}

function isAnybody(networks: readonly string[]): boolean {
  return networks.includes('0.0.0.0/0') && networks.includes('::/0');
}

/** Comments are quoted in each of the formats: nothing in them ends a quotation. */
function quotable(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9 .,:*@/-]/g, ' ').slice(0, 100);
}
