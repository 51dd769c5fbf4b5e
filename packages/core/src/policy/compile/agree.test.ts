import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Addr,
  formatAddr,
  ipSetOf,
  parsePrefixOrAddr,
  parseRange,
  rangeOfPrefix,
} from '../../base/netip/index.ts';
import { tailnetOf } from './fixture.test-data.ts';
import { runTests } from './index.ts';
import { distinct, node, policy, users } from './testing/random-policies.ts';
import type { WireFilterRule } from './wire.ts';

/** What a client makes of a text of a filter rule. */
function has(text: string, addr: Addr): boolean {
  if (text === '*') return true;
  const range = parseRange(text);
  if (range.ok) return ipSetOf([range.value]).containsAddr(addr);
  const prefix = parsePrefixOrAddr(text);
  return prefix.ok && ipSetOf([rangeOfPrefix(prefix.value)]).containsAddr(addr);
}

function letsIn(rules: readonly WireFilterRule[], from: Addr, to: Addr, port: number): boolean {
  return rules.some(
    ({ SrcIPs, DstPorts = [], IPProto = [6, 17, 1, 58] }) =>
      IPProto.includes(6) &&
      SrcIPs.some((text) => has(text, from)) &&
      DstPorts.some(({ IP, Ports }) => has(IP, to) && Ports.First <= port && port <= Ports.Last),
  );
}

test('a test of the policy passes exactly where the packet filter of the destination lets the packet in', () => {
  fc.assert(
    fc.property(
      policy,
      fc.array(node, { minLength: 2, maxLength: 6 }),
      fc.constantFrom(22, 80, 443),
      (file, some, port) => {
        const nodes = distinct(some);
        // Through a named router the destination is told nothing; that rule is the router's.
        const { grants, ...rest } = JSON.parse(JSON.stringify(file)) as {
          grants: { via?: unknown }[];
        };
        const written = { ...rest, grants: grants.filter(({ via }) => via === undefined) };
        const pairs = nodes.flatMap((from) =>
          nodes.filter((to) => to !== from).map((to) => ({ from, to })),
        );
        const tests = pairs.map(({ from, to }) => ({
          src: first(from.addresses),
          srcPostureAttrs: Object.fromEntries(from.postureAttributes),
          proto: 'tcp',
          accept: [`${first(to.addresses)}:${port}`],
        }));
        const tailnet = tailnetOf({ ...written, tests }, { users, nodes });
        const outcomes = runTests(tailnet);
        pairs.forEach(({ from, to }, i) => {
          const [source, target] = [from.addresses[0], to.addresses[0]];
          if (source === undefined || target === undefined)
            throw new Error('a node without addresses');
          expect(outcomes[i]?.passed).toBe(letsIn(tailnet.filterOf(to.id), source, target, port));
        });
      },
    ),
    { numRuns: 300 },
  );
});

/** What a client answers to WhoIs, from the rules it was given. */
function whoIs(rules: readonly WireFilterRule[], from: Addr, to: Addr): Record<string, unknown> {
  const found: Record<string, unknown[] | null> = {};
  for (const { SrcIPs, CapGrant = [] } of rules) {
    if (!SrcIPs.some((text) => has(text, from))) continue;
    for (const { Dsts, CapMap } of CapGrant) {
      if (!Dsts.some((text) => has(text, to))) continue;
      for (const [name, values] of Object.entries(CapMap)) {
        found[name] = values === null ? (found[name] ?? null) : [...(found[name] ?? []), ...values];
      }
    }
  }
  return found;
}

test('capabilities are those that a client reads off its rules', () => {
  fc.assert(
    fc.property(policy, fc.array(node, { minLength: 2, maxLength: 6 }), (file, some) => {
      const nodes = distinct(some);
      const tailnet = tailnetOf(JSON.parse(JSON.stringify(file)) as object, { users, nodes });
      for (const to of nodes) {
        const rules = tailnet.filterOf(to.id);
        for (const from of nodes) {
          for (const [i, addr] of from.addresses.entries()) {
            const target = to.addresses[i];
            if (target === undefined || from === to) continue;
            expect(tailnet.capabilitiesOf(to.id, addr)).toEqual(whoIs(rules, addr, target));
          }
        }
      }
    }),
    { numRuns: 300 },
  );
});

function first(addresses: readonly Addr[]): string {
  const [addr] = addresses;
  return addr === undefined ? '' : formatAddr(addr);
}
