import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Addr, AddrRange, Prefix } from './index.ts';
import * as netip from './index.ts';

function must<T>(parsed: { ok: true; value: T } | { ok: false; error: string }): T {
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
const addr = (text: string): Addr => must(netip.parseAddr(text));
const prefix = (text: string): Prefix => must(netip.parsePrefix(text));
const range = (text: string): AddrRange => must(netip.parseRange(text));
const set = (...texts: readonly string[]): netip.IpSet =>
  netip.ipSetOf(
    texts.map((text) =>
      text.includes('-') ? range(text) : netip.rangeOfPrefix(must(netip.parsePrefixOrAddr(text))),
    ),
  );

describe('prefixes', () => {
  test.each([
    ['10.0.0.0', `netip.ParsePrefix("10.0.0.0"): no '/'`],
    ['10.0.0.0/', 'netip.ParsePrefix("10.0.0.0/"): bad bits after slash: ""'],
    ['10.0.0.0/08', 'netip.ParsePrefix("10.0.0.0/08"): bad bits after slash: "08"'],
    ['10.0.0.0/+8', 'netip.ParsePrefix("10.0.0.0/+8"): bad bits after slash: "+8"'],
    ['10.0.0.0/-1', 'netip.ParsePrefix("10.0.0.0/-1"): bad bits after slash: "-1"'],
    ['10.0.0.0/33', 'netip.ParsePrefix("10.0.0.0/33"): prefix length out of range'],
    ['::/129', 'netip.ParsePrefix("::/129"): prefix length out of range'],
    ['fe80::1%a/64', 'netip.ParsePrefix("fe80::1%a/64"): IPv6 zones cannot be present in a prefix'],
    ['10.0.0/8', 'netip.ParsePrefix("10.0.0/8"): ParseAddr("10.0.0"): IPv4 address too short'],
    [
      '10.0.0.0/99999999999999999999',
      'netip.ParsePrefix("10.0.0.0/99999999999999999999"): bad bits after slash: "99999999999999999999"',
    ],
  ])('refuses %s with the message of Go', (text, message) => {
    expect(netip.parsePrefix(text)).toEqual({ ok: false, error: message });
  });

  test('host bits are kept until the prefix is masked', () => {
    expect(netip.formatPrefix(prefix('10.1.2.3/8'))).toBe('10.1.2.3/8');
    expect(netip.formatPrefix(netip.maskedPrefix(prefix('10.1.2.3/8')))).toBe('10.0.0.0/8');
    expect(netip.formatPrefix(netip.maskedPrefix(prefix('ffff::1/0')))).toBe('::/0');
  });

  test('containing never crosses families and never holds for a zone', () => {
    expect(netip.prefixContains(prefix('0.0.0.0/0'), addr('::ffff:1.2.3.4'))).toBe(false);
    expect(netip.prefixContains(prefix('::/0'), addr('1.2.3.4'))).toBe(false);
    expect(netip.prefixContains(prefix('fe80::/10'), addr('fe80::1%eth0'))).toBe(false);
    expect(netip.prefixContains(prefix('fe80::/10'), addr('fe80::1'))).toBe(true);
    expect(netip.prefixesOverlap(prefix('0.0.0.0/0'), prefix('::/0'))).toBe(false);
    expect(netip.prefixesOverlap(prefix('10.0.0.0/8'), prefix('10.1.2.0/24'))).toBe(true);
    expect(netip.prefixCovers(prefix('10.1.2.0/24'), prefix('10.0.0.0/8'))).toBe(false);
  });
});

describe('ranges', () => {
  test('are refused when they run backwards, mix families or lack the hyphen', () => {
    expect(netip.parseRange('10.0.0.9-10.0.0.1')).toEqual({
      ok: false,
      error: 'range 10.0.0.9 to 10.0.0.1 not valid',
    });
    expect(netip.parseRange('10.0.0.9-::1').ok).toBe(false);
    expect(netip.parseRange('10.0.0.9')).toEqual({
      ok: false,
      error: 'no hyphen in range "10.0.0.9"',
    });
    expect(netip.parseRange('10.0.0.9-x')).toEqual({
      ok: false,
      error: 'invalid To IP "x" in range "10.0.0.9-x"',
    });
  });

  test('are covered by the fewest prefixes', () => {
    expect(netip.rangePrefixes(range('10.0.0.1-10.0.0.6')).map(netip.formatPrefix)).toEqual([
      '10.0.0.1/32',
      '10.0.0.2/31',
      '10.0.0.4/31',
      '10.0.0.6/32',
    ]);
    expect(netip.rangePrefixes(range('0.0.0.0-255.255.255.255')).map(netip.formatPrefix)).toEqual([
      '0.0.0.0/0',
    ]);
    expect(
      netip
        .rangePrefixes(range('::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'))
        .map(netip.formatPrefix),
    ).toEqual(['::/0']);
  });
});

describe('sets', () => {
  test('print as addresses, prefixes and ranges in ascending order', () => {
    const cgnat = set('100.64.0.0/10').subtract(set('100.115.92.0/23'));
    expect(cgnat.format()).toEqual(['100.64.0.0-100.115.91.255', '100.115.94.0-100.127.255.255']);
    expect(set('fd7a::1', '10.0.0.0/25', '10.0.0.128/25', '1.1.1.1').format()).toEqual([
      '1.1.1.1',
      '10.0.0.0/24',
      'fd7a::1',
    ]);
  });

  test('the last IPv4 address and the first IPv6 address are not neighbours', () => {
    expect(set('255.255.255.255', '::').format()).toEqual(['255.255.255.255', '::']);
    expect(netip.everyAddr.format()).toEqual(['0.0.0.0/0', '::/0']);
  });

  test('an address with a zone is in no set', () => {
    expect(netip.everyAddr.containsAddr(addr('fe80::1%eth0'))).toBe(false);
    expect(netip.ipSetOfAddrs([addr('fe80::1%eth0')]).isEmpty).toBe(true);
  });

  /** Sets over 40 addresses on both sides of the border between the families, beside the plain set of numbers. */
  const universe = Array.from({ length: 20 }, (_, i) => [
    addr(`255.255.255.${236 + i}`),
    addr(`::${i.toString(16)}`),
  ])
    .flat()
    .sort(netip.compareAddr);
  const member = fc.uniqueArray(fc.integer({ min: 0, max: 39 }));
  const build = (members: readonly number[]): netip.IpSet =>
    netip.ipSetOfAddrs(members.map((i) => universe[i]!));
  const list = (s: netip.IpSet): readonly number[] =>
    universe.flatMap((a, i) => (s.containsAddr(a) ? [i] : []));

  test('the algebra is the algebra of plain sets', () => {
    fc.assert(
      fc.property(member, member, (x, y) => {
        const [a, b] = [build(x), build(y)];
        const ordered = (members: readonly number[]): readonly number[] =>
          [...new Set(members)].sort((p, q) => p - q);
        expect(list(a.union(b))).toEqual(ordered([...x, ...y]));
        expect(list(a.intersect(b))).toEqual(ordered(x.filter((i) => y.includes(i))));
        expect(list(a.subtract(b))).toEqual(ordered(x.filter((i) => !y.includes(i))));
        expect(a.overlaps(b)).toBe(x.some((i) => y.includes(i)));
        expect(a.containsSet(b)).toBe(y.every((i) => x.includes(i)));
        expect(a.equals(b)).toBe(ordered(x).join() === ordered(y).join());
        expect(a.key() === b.key()).toBe(a.equals(b));
        expect(a.size()).toBe(BigInt(x.length));
        expect(netip.IpSet.unionAll([a, b]).equals(a.union(b))).toBe(true);
        expect(a.complement().complement().equals(a)).toBe(true);
        expect(a.subtract(b).union(a.intersect(b)).equals(a)).toBe(true);
      }),
    );
  });

  test('the prefixes and the printed form of a set are exactly the set', () => {
    fc.assert(
      fc.property(member, (x) => {
        const a = build(x);
        expect(netip.ipSetOfPrefixes(a.toPrefixes()).equals(a)).toBe(true);
        expect(set(...a.format()).equals(a)).toBe(true);
        expect(netip.ipSetOf(a.toRanges()).equals(a)).toBe(true);
      }),
    );
  });

  test('ranges in any order and overlap give the same set as one by one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 39 }), fc.integer({ min: 0, max: 39 }))),
        (pairs) => {
          const ranges = pairs.flatMap(([p, q]) => {
            const made = netip.rangeOf(universe[Math.min(p, q)]!, universe[Math.max(p, q)]!);
            return made.ok ? [made.value] : [];
          });
          const whole = netip.ipSetOf(ranges);
          const stepwise = ranges.reduce(
            (sum, r) => sum.union(netip.ipSetOf([r])),
            netip.emptyIpSet,
          );
          expect(whole.equals(stepwise)).toBe(true);
          for (const a of universe) {
            expect(whole.containsAddr(a)).toBe(ranges.some((r) => netip.rangeContains(r, a)));
          }
        },
      ),
    );
  });
});

describe('routes', () => {
  test('only the two exact default routes are exit routes', () => {
    expect(netip.isExitRoute(prefix('0.0.0.0/0'))).toBe(true);
    expect(netip.isExitRoute(prefix('::/0'))).toBe(true);
    expect(netip.isExitRoute(prefix('1.1.1.1/0'))).toBe(false);
    expect(netip.containsExitRoutePair([prefix('0.0.0.0/0')])).toBe(false);
    expect(netip.withoutExitRoutePair([prefix('0.0.0.0/0')])).toEqual([prefix('0.0.0.0/0')]);
    expect(netip.containsSubnetRoute([prefix('0.0.0.0/0'), prefix('100.64.0.1/32')])).toBe(false);
  });

  test('a 4via6 prefix carries its site and its IPv4 prefix there and back', () => {
    const via = netip.mapVia(187, prefix('10.2.1.0/24'));
    expect(via === undefined ? '' : netip.formatPrefix(via)).toBe(
      'fd7a:115c:a1e0:b1a:0:bb:a02:100/120',
    );
    expect(via !== undefined && netip.isViaPrefix(via)).toBe(true);
    expect(netip.formatAddr(netip.unmapVia(addr('fd7a:115c:a1e0:b1a:0:bb:a02:103')))).toBe(
      '10.2.1.3',
    );
    expect(netip.mapVia(-1, prefix('10.0.0.0/8'))).toBeUndefined();
    expect(netip.mapVia(1, prefix('fd00::/8'))).toBeUndefined();
  });

  test('only tailnet IPv4 addresses have an IPv6 twin', () => {
    const twin = netip.fourToSix(addr('100.107.67.11'));
    expect(twin === undefined ? '' : netip.formatAddr(twin)).toBe(
      'fd7a:115c:a1e0:ab12:4843:cd96:626b:430b',
    );
    expect(netip.fourToSix(addr('10.0.0.1'))).toBeUndefined();
  });
});
