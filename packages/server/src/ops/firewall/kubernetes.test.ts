import { describe, expect, test } from 'vitest';
import type { FirewallPlan, Party } from './index.ts';
import { anywhere, asNetworkPolicies } from './index.ts';

const party = (id: string, networks: readonly string[] = []): Party => ({
  id,
  name: id,
  networks,
  names: [],
});
const gateway = party('gateway');
const plan: FirewallPlan = {
  environment: 'production',
  notes: [],
  rules: [
    rule(party('internet', anywhere), party('balancer', ['10.0.0.0/24']), 443),
    rule(party('balancer', ['10.0.0.0/24']), gateway, 8_000),
    rule(gateway, party('inference:Instant GPU'), 8_080),
    rule(gateway, party('inference:Far GPU', ['10.9.0.7/32']), 8_080),
    rule(gateway, party('store:PostgreSQL'), 5_432),
  ],
};

function rule(from: Party, to: Party, port: number): FirewallPlan['rules'][number] {
  return { from, to, protocol: 'tcp', ports: [port], over: 'network', because: 'test' };
}

describe('network policies of a cluster', () => {
  const { items } = asNetworkPolicies(plan);
  const specOf = (name: string) =>
    items.find(({ metadata }) => metadata.name === name)?.spec ?? expect.fail(name);

  test('one for each party that is ours, closed both ways but for the plan', () => {
    expect(items.map(({ metadata }) => metadata.name)).toEqual([
      'postern-production-gateway',
      'postern-production-instant-gpu',
      'postern-production-far-gpu',
    ]);
    for (const { spec } of items) expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  });

  test('the gateway is reached by the balancer, and reaches what the plan names', () => {
    const { ingress, egress } = specOf('postern-production-gateway');
    const tcp = (port: number) => [{ protocol: 'TCP', port }];
    expect(ingress).toEqual([{ from: [{ ipBlock: { cidr: '10.0.0.0/24' } }], ports: tcp(8_000) }]);
    expect(egress.map(({ to, ports }) => [to, ports])).toEqual([
      [[{ podSelector: { matchLabels: { 'postern.dev/party': 'instant-gpu' } } }], tcp(8_080)],
      [[{ ipBlock: { cidr: '10.9.0.7/32' } }], tcp(8_080)],
      [[{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }], tcp(5_432)],
      [
        [{ namespaceSelector: {}, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } }],
        [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      ],
    ]);
  });

  test('a model server is reached by the gateway alone, and reaches names and nothing else', () => {
    const { ingress, egress, podSelector } = specOf('postern-production-instant-gpu');
    expect(podSelector.matchLabels).toEqual({ 'postern.dev/party': 'instant-gpu' });
    expect(ingress.map(({ from }) => from)).toEqual([
      [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'postern' } } }],
    ]);
    expect(egress).toHaveLength(1);
  });
});
