import { describe, expect, test } from 'vitest';
import type { Environment, PlanSources } from './index.ts';
import {
  asIptables,
  asNftables,
  asSecurityGroups,
  asUfw,
  compareWith,
  environments,
  openingsOf,
  planFirewall,
  planRows,
} from './index.ts';

const gpu = (name: string, address: string): PlanSources['inference'][number] => ({
  name,
  hosts: [],
  networks: [`${address}/32`],
  port: 8_080,
  because: 'providers.x',
});

const sources = (environment: Environment, more: Partial<PlanSources> = {}): PlanSources => ({
  environment,
  gatewayPort: 8_000,
  edge: { kind: 'balancer', port: 8_000, proxies: ['10.0.0.0/24'] },
  inference: [gpu('Instant GPU', '10.0.2.10'), gpu('Thinking GPU', '10.0.3.10')],
  stores: [
    { name: 'PostgreSQL', hosts: ['db.internal'], networks: [], port: 5_432, because: 'store' },
  ],
  hosted: [],
  coordination: undefined,
  control: undefined,
  tailnet: ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'],
  gateway: ['10.0.1.0/24'],
  policy: {
    toGateway: [{ sources: ['group:devs'], ports: [80, 443] }],
    fromGateway: [{ sources: ['tag:node'], ports: [8_080] }],
    problem: undefined,
  },
  ...more,
});

describe('the table', () => {
  test('of production is that of the plan that everybody has in mind', () => {
    const plan = planFirewall(sources('production'));
    expect(planRows(plan).map(([from, to, port, allow]) => [from, to, port, allow])).toEqual([
      ['Internet', 'Load Balancer', '443', 'Yes'],
      ['Load Balancer', 'Gateway', '8000', 'Yes'],
      ['Gateway', 'Instant GPU', '8080', 'Yes'],
      ['Gateway', 'Thinking GPU', '8080', 'Yes'],
      ['Gateway', 'PostgreSQL', '5432', 'Yes'],
      ['Anything else', '*', '*', 'Deny'],
    ]);
  });

  test('of development has nothing public, and what the policy says of the private network', () => {
    const plan = planFirewall(sources('dev'));
    expect(plan.rules.some(({ from }) => from.id === 'internet')).toBe(false);
    expect(
      plan.rules
        .filter(({ over }) => over === 'tailnet')
        .map(({ from, to }) => [from.name, to.name]),
    ).toEqual([
      ['group:devs', 'Gateway'],
      ['Gateway', 'Instant GPU'],
      ['Gateway', 'Thinking GPU'],
    ]);
    expect(openingsOf(plan, 'inference').filter(({ direction }) => direction === 'in')).toEqual([
      expect.objectContaining({ protocol: 'udp', ports: [41_641] }),
      expect.objectContaining({ ports: [8_080], over: 'tailnet' }),
      expect.objectContaining({ ports: [8_080], over: 'tailnet' }),
    ]);
  });

  test('of staging at home has HTTPS for everybody, and model servers over the private network', () => {
    const tls = { edge: { kind: 'tls', port: 443 } } as const;
    const plan = planFirewall(sources('staging-home', tls));
    expect(planRows(plan)[0]?.slice(0, 3)).toEqual(['Internet', 'Gateway', '443']);
    expect(
      plan.rules
        .filter(({ to }) => to.id.startsWith('inference:'))
        .every(({ over }) => over === 'tailnet'),
    ).toBe(true);
  });

  test('says what is missing, and never opens for whom it does not know', () => {
    const { notes, rules } = planFirewall(sources('production', { edge: undefined, gateway: [] }));
    expect(notes.join('\n')).toContain('the balancer’s addresses are not known');
    const plan = { environment: 'production' as const, rules, notes };
    expect(openingsOf(plan, 'gateway').filter(({ direction }) => direction === 'in')).toEqual([
      expect.objectContaining({ ports: [8_000], networks: [] }),
    ]);
    expect(asNftables(plan, 'gateway')).not.toContain('dport { 8000 }');
    expect(asIptables(plan, 'gateway', 4)).not.toContain('8000');
    expect(asUfw(plan, 'gateway')).not.toContain('8000');
    const known = planFirewall(sources('production'));
    expect(
      openingsOf(known, 'inference').map(({ direction, networks }) => [direction, networks]),
    ).toEqual([
      ['in', ['10.0.1.0/24']],
      ['in', ['10.0.1.0/24']],
    ]);
    const silent = { toGateway: [], fromGateway: [], problem: undefined };
    expect(planFirewall(sources('dev', { policy: silent })).notes).toEqual(
      expect.arrayContaining([
        'the policy lets nobody reach the gateway (tag:gateway)',
        expect.stringContaining('does not let the gateway (tag:gateway) reach Instant GPU'),
      ]),
    );
  });
});

describe('every format', () => {
  test('drops what is not named, and says nothing that ends its quotation', () => {
    const odd = [{ ...gpu('a"; drop', '10.0.2.10') }];
    for (const environment of environments) {
      const plan = planFirewall(sources(environment, { inference: odd }));
      const nft = asNftables(plan, 'gateway');
      expect(nft.match(/policy drop;/g)).toHaveLength(2);
      expect(nft).not.toContain('a";');
      const iptables = asIptables(plan, 'gateway', 4);
      expect(iptables).toContain(':INPUT DROP [0:0]');
      expect(iptables).not.toContain('a";');
      expect(asUfw(plan, 'gateway')).toContain('ufw default deny incoming');
    }
  });

  test('keeps the families apart', () => {
    const proxies = ['10.0.0.0/24', '2001:db8::/32'];
    const plan = planFirewall(
      sources('production', { edge: { kind: 'balancer', port: 8_000, proxies } }),
    );
    expect(asIptables(plan, 'gateway', 4)).toContain('-s 10.0.0.0/24');
    expect(asIptables(plan, 'gateway', 4)).not.toContain('2001:db8');
    expect(asIptables(plan, 'gateway', 6)).toContain('-s 2001:db8::/32');
    expect(asNftables(plan, 'gateway')).toContain('ip6 saddr { 2001:db8::/32 }');
  });

  test('security groups name each other, so that an address that moves opens nothing', () => {
    const groups = asSecurityGroups(planFirewall(sources('production')));
    expect(groups.map(({ GroupName }) => GroupName)).toEqual([
      'postern-production-balancer',
      'postern-production-gateway',
      'postern-production-instant-gpu',
      'postern-production-thinking-gpu',
    ]);
    const gpuIn = groups[2]?.IpPermissions;
    expect(gpuIn).toEqual([
      {
        IpProtocol: 'tcp',
        FromPort: 8_080,
        ToPort: 8_080,
        UserIdGroupPairs: [
          { GroupName: 'postern-production-gateway', Description: 'Gateway to Instant GPU' },
        ],
      },
    ]);
    expect(JSON.stringify(groups.slice(1).map(({ IpPermissions }) => IpPermissions))).not.toContain(
      '0.0.0.0/0',
    );
  });
});

test('what really listens is held against the plan', () => {
  const plan = planFirewall(
    sources('production', { edge: { kind: 'balancer', port: 8_000, proxies: ['10.0.0.0/24'] } }),
  );
  const sockets = [
    { host: '0.0.0.0', port: 22 },
    { host: '127.0.0.1', port: 5_432 },
    { host: '127.0.0.1', port: 8_000 },
  ];
  expect(compareWith(plan, 'gateway', sockets)).toEqual([
    { port: 22, hosts: ['0.0.0.0'], planned: false, verdict: 'not in the plan' },
    { port: 5_432, hosts: ['127.0.0.1'], planned: false, verdict: 'loopback only' },
    { port: 8_000, hosts: ['127.0.0.1'], planned: true, verdict: 'nobody listens' },
  ]);
  const well = compareWith(plan, 'gateway', [{ host: '10.0.1.5', port: 8_000 }]);
  expect(well).toEqual([
    { port: 8_000, hosts: ['10.0.1.5'], planned: true, verdict: 'as planned' },
  ]);
});
