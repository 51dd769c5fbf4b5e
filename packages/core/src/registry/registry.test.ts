import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Instance, InstanceClaim, Roster } from './index.ts';
import {
  claimFlaw,
  isSameClaim,
  Leases,
  pageOfRoster,
  withMember,
  withoutMember,
} from './index.ts';

const claim = (more: Partial<InstanceClaim> = {}): InstanceClaim => ({
  uuid: 'gpu-1',
  nodeType: 'instant',
  hostname: 'gpu-1.mesh.internal',
  addresses: ['100.64.0.7'],
  port: 8000,
  metadata: { zone: 'a' },
  leaseMs: 30_000,
  ...more,
});

const instance = (uuid: string): Instance => ({
  ...claim({ uuid }),
  owner: 'key:k1',
  registeredAtMs: 1,
  updatedAtMs: 1,
});

describe('what an owner says', () => {
  test('is taken where every part is within its limits', () => {
    expect(claimFlaw(claim())).toBeUndefined();
    expect(claimFlaw(claim({ nodeType: '', addresses: [], metadata: {} }))).toBeUndefined();
    expect(claimFlaw(claim({ addresses: ['fd7a:115c:a1e0::7', '10.0.0.1'] }))).toBeUndefined();
  });

  test.each<[string, Partial<InstanceClaim>]>([
    ['uuid', { uuid: '' }],
    ['uuid', { uuid: '../x' }],
    ['uuid', { uuid: 'x'.repeat(129) }],
    ['node_type', { nodeType: 'a/b' }],
    ['hostname', { hostname: '' }],
    ['hostname', { hostname: 'a b' }],
    ['hostname', { hostname: 'x'.repeat(254) }],
    ['addresses', { addresses: ['010.0.0.1'] }],
    ['addresses', { addresses: ['gpu.example'] }],
    ['addresses', { addresses: ['10.0.0.1', '10.0.0.1'] }],
    ['addresses', { addresses: ['169.254.169.254'] }],
    ['addresses', { addresses: ['fe80::1%eth0'] }],
    ['addresses', { addresses: ['0.0.0.0'] }],
    ['addresses', { addresses: ['224.0.0.1'] }],
    ['addresses', { addresses: Array.from({ length: 9 }, (_, i) => `10.0.0.${i}`) }],
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['metadata', { metadata: { 'a b': '' } }],
    ['metadata', { metadata: { a: 'x\n' } }],
    ['metadata', { metadata: { a: 'x'.repeat(257) } }],
    ['lease_seconds', { leaseMs: 999 }],
    ['lease_seconds', { leaseMs: 604_800_001 }],
    ['lease_seconds', { leaseMs: Number.NaN }],
  ])('is refused for its %s: %j', (param, more) => {
    expect(claimFlaw(claim(more))).toMatchObject({ code: 'invalid_request', param });
  });

  test.each<Partial<InstanceClaim>>([
    { nodeType: 'thinking' },
    { port: 1 },
    { addresses: [] },
    { metadata: {} },
    { metadata: { zone: 'b' } },
    { metadata: { zone: 'a', more: '1' } },
    { leaseMs: 1_000 },
  ])('changes something with %j', (more) => {
    expect(isSameClaim(instance('gpu-1'), claim())).toBe(true);
    expect(isSameClaim(instance('gpu-1'), claim(more))).toBe(false);
  });
});

describe('a roster', () => {
  test('pages give every member once, in order, whatever was added and removed', () => {
    const step = fc.tuple(fc.boolean(), fc.stringMatching(/^[a-z]{1,3}$/));
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        (steps, limit) => {
          const model = new Set<string>();
          let roster: Roster = [];
          for (const [isAdded, id] of steps) {
            if (isAdded) model.add(id);
            else model.delete(id);
            roster = isAdded ? withMember(roster, instance(id)) : withoutMember(roster, id);
          }
          const found: string[] = [];
          let after: string | undefined;
          do {
            const page = pageOfRoster(
              roster,
              { after, limit },
              ({ uuid }) => !uuid.startsWith('b'),
            );
            expect(page.members.length).toBeLessThanOrEqual(limit);
            found.push(...page.members.map(({ uuid }) => uuid));
            after = page.next;
          } while (after !== undefined);
          expect(found).toEqual([...model].filter((id) => !id.startsWith('b')).toSorted());
        },
      ),
    );
  });

  test('goes on after an id that is gone', () => {
    const roster = ['a', 'c', 'd'].map(instance).reduce<Roster>(withMember, []);
    const page = pageOfRoster(roster, { after: 'b', limit: 1 }, () => true);
    expect([page.members.map(({ uuid }) => uuid), page.next]).toEqual([['c'], 'c']);
  });
});

describe('a lease', () => {
  const leased = { uuid: 'a', leaseMs: 1_000 };

  test('is over at its end, and not a millisecond before', () => {
    const leases = new Leases();
    leases.renew('a', 5_000);
    expect(leases.isLive(leased, 5_999)).toBe(true);
    expect(leases.isLive(leased, 6_000)).toBe(false);
    leases.renew('a', 4_000);
    expect(leases.renewedAtMs('a')).toBe(5_000);
  });

  test('begins when an unknown instance is first looked at', () => {
    const leases = new Leases();
    expect(leases.isLive(leased, 70_000)).toBe(true);
    expect(leases.isLive(leased, 71_000)).toBe(false);
  });

  test('is given whole after a restart to whoever was alive at the last heartbeat, and to nobody else', () => {
    const leases = new Leases();
    const written = [
      { uuid: 'a', renewedAtMs: 10_000 },
      { uuid: 'b', renewedAtMs: 9_000 },
      { uuid: 'gone', renewedAtMs: 10_000 },
    ];
    leases.restore(written, (uuid) => (uuid === 'gone' ? undefined : 1_000), 90_000);
    expect(leases.isLive(leased, 90_999)).toBe(true);
    expect(leases.isLive({ uuid: 'b', leaseMs: 1_000 }, 90_000)).toBe(false);
    expect(leases.size).toBe(2);
  });
});
