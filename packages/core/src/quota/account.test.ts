import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Account } from './account.ts';
import { leasedOf, openAccount, slicesMax } from './account.ts';
import type { Budget, Refill } from './budget.ts';
import { dayMs } from './budget.ts';
import { affordableAtMs, refill } from './refill.ts';
import { endSlice, leaseSlice, reportSlice, returnIdle } from './slices.ts';

const shared = (capacity: number, every?: Refill): Budget => ({
  name: 'b',
  capacity,
  per: 'all',
  ...(every === undefined ? {} : { refill: every }),
});
const leased = (
  budget: Budget,
  account: Account,
  slice: string,
  need: number,
  want = need,
  nowMs = 0,
): Account => {
  const lease = leaseSlice(budget, account, { slice, need, want, nowMs });
  if (lease.kind !== 'leased') throw new Error(lease.kind);
  return lease.account;
};
const spent = (account: Account, slice: string, amount: number): Account => {
  const change = reportSlice(account, slice, amount);
  if (!change.ok) throw new Error(change.why);
  return change.account;
};
const isBalanced = (account: Account) =>
  account.opened + account.refilled ===
  account.balance + leasedOf(account) + account.spent + account.lost;

describe('refill', () => {
  const monday = Date.parse('2026-06-01T00:00:00Z');
  const empty = (budget: Budget, atMs: number) =>
    spent(
      leased(budget, openAccount(budget, atMs), 's', budget.capacity, 0, atMs),
      's',
      budget.capacity,
    );

  test('at a boundary everything is back, however little or much time has passed', () => {
    const daily = shared(100, { amount: 100, every: 'day', style: 'boundary' });
    const account = empty(daily, monday + dayMs - 1);
    expect(refill(daily, account, monday + dayMs - 1).balance).toBe(0);
    expect(refill(daily, account, monday + dayMs).balance).toBe(100);
    expect(refill(daily, account, monday + 900 * dayMs).balance).toBe(100);
    const weekly = shared(100, { amount: 60, every: 'week', style: 'boundary' });
    expect(
      [6, 7, 14].map(
        (days) => refill(weekly, empty(weekly, monday), monday + days * dayMs).balance,
      ),
    ).toEqual([0, 60, 100]);
    const monthly = shared(100, { amount: 100, every: 'month', style: 'boundary' });
    expect(
      [29, 30].map(
        (days) => refill(monthly, empty(monthly, monday), monday + days * dayMs).balance,
      ),
    ).toEqual([0, 100]);
  });

  test('a steady refill comes bit by bit and is full after its period', () => {
    const steady = shared(1_000, { amount: 1_000, every: 'day', style: 'steady' });
    const account = empty(steady, monday);
    expect(
      [dayMs / 2, dayMs - 1, dayMs, 5 * dayMs].map(
        (ms) => refill(steady, account, monday + ms).balance,
      ),
    ).toEqual([500, 999, 1_000, 1_000]);
  });

  test('what is leased counts as held: account and slices together never pass the capacity by a refill', () => {
    const steady = shared(1_000, { amount: 1_000, every: 'day', style: 'steady' });
    const account = leased(steady, openAccount(steady, 0), 's', 600);
    expect(refill(steady, account, 10 * dayMs).balance).toBe(400);
  });

  test('in however many steps, as much comes in as in one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000_000_000 }),
        fc.constantFrom('day', 'week', 'month'),
        fc.array(fc.nat(40 * dayMs), { maxLength: 30 }),
        (amount, every, steps) => {
          const budget = shared(8_000_000_000_000_000, { amount, every, style: 'steady' });
          const start = empty(budget, 0);
          let now = 0;
          const bitByBit = steps.reduce(
            (account, step) => refill(budget, account, (now += step)),
            start,
          );
          expect(bitByBit.balance).toBe(refill(budget, start, now).balance);
          expect(isBalanced(bitByBit)).toBe(true);
        },
      ),
    );
  });

  test('a clock that goes to and fro never refills the same time twice', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('steady', 'boundary'),
        fc.array(fc.integer({ min: 0, max: 20 * dayMs }), { maxLength: 30 }),
        (style, times) => {
          const budget = shared(1_000_000_000_000, { amount: 86_400_000, every: 'day', style });
          const account = times.reduce((each, now) => refill(budget, each, now), empty(budget, 0));
          expect(account.balance).toBe(
            refill(budget, empty(budget, 0), Math.max(0, ...times)).balance,
          );
        },
      ),
    );
  });

  test('says when there will be enough, to the millisecond, or that there never will', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('steady', 'boundary'),
        fc.constantFrom('day', 'week', 'month'),
        fc.integer({ min: 1, max: 5_000 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.nat(40 * dayMs),
        (style, every, amount, need, startMs) => {
          const budget = shared(1_000, { amount, every, style });
          const account = empty(budget, startMs);
          const atMs = affordableAtMs(budget, account, need);
          expect(atMs).toBeDefined();
          expect(refill(budget, account, atMs!).balance).toBeGreaterThanOrEqual(need);
          expect(refill(budget, account, atMs! - 1).balance).toBeLessThan(need);
        },
      ),
    );
    expect(affordableAtMs(shared(5), openAccount(shared(5), 0), 6)).toBeUndefined();
    expect(
      affordableAtMs(
        shared(5, { amount: 5, every: 'day', style: 'steady' }),
        openAccount(shared(5), 0),
        6,
      ),
    ).toBeUndefined();
  });

  test('a refill pays an overrun first', () => {
    const daily = shared(100, { amount: 100, every: 'day', style: 'boundary' });
    const over = spent(leased(daily, openAccount(daily, 0), 's', 100), 's', 130);
    expect([over.balance, over.spent]).toEqual([-30, 130]);
    expect(refill(daily, over, dayMs).balance).toBe(70);
  });
});

describe('slices', () => {
  const budget = shared(1_000);

  test('a lease takes a quarter at most, and near the limit exactly what is needed', () => {
    let account = openAccount(budget, 0);
    const grants: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      const lease = leaseSlice(budget, account, { slice: 's', need: 150, want: 400, nowMs: 0 });
      account = lease.account;
      grants.push(lease.kind === 'leased' ? lease.granted : -1);
    }
    expect(grants).toEqual([250, 187, 150, 150, 150, -1]);
    expect(isBalanced(account)).toBe(true);
  });

  test('what others hold is asked back before anybody is refused', () => {
    const account = leased(budget, leased(budget, openAccount(budget, 0), 'a', 600), 'b', 300);
    const ask = (need: number) =>
      leaseSlice(budget, account, { slice: 'b', need, want: need, nowMs: 0 });
    expect(ask(101)).toMatchObject({ kind: 'elsewhere', slices: ['a'] });
    expect(ask(701)).toMatchObject({ kind: 'exhausted' });
    const back = returnIdle(account, 'a', 500);
    expect(
      back.ok &&
        leaseSlice(budget, back.account, { slice: 'b', need: 600, want: 0, nowMs: 0 }).kind,
    ).toBe('leased');
  });

  test('a refusal says when the refill will do', () => {
    const daily = shared(100, { amount: 100, every: 'day', style: 'boundary' });
    const account = spent(leased(daily, openAccount(daily, 0), 's', 100), 's', 100);
    expect(leaseSlice(daily, account, { slice: 's', need: 1, want: 1, nowMs: 5 })).toMatchObject({
      kind: 'exhausted',
      affordableAtMs: dayMs,
    });
  });

  test('reports are cumulative: twice or late they count once', () => {
    let account = leased(budget, openAccount(budget, 0), 's', 500);
    for (const settled of [100, 300, 300, 200]) account = spent(account, 's', settled);
    expect([account.spent, account.balance, leasedOf(account)]).toEqual([300, 500, 200]);
  });

  test('an overrun is charged to the balance at once', () => {
    const change = reportSlice(leased(budget, openAccount(budget, 0), 's', 100), 's', 140);
    expect(change).toMatchObject({ ok: true, covered: 40, account: { balance: 860, spent: 140 } });
    expect(change.ok && isBalanced(change.account)).toBe(true);
    const overdrawn = spent(leased(budget, openAccount(budget, 0), 's', 1_000), 's', 1_500);
    expect(leaseSlice(budget, overdrawn, { slice: 't', need: 0, want: 9, nowMs: 0 })).toMatchObject(
      { kind: 'leased', granted: 0 },
    );
  });

  test('after a crash what is proven unspent comes back and the rest is lost', () => {
    const change = endSlice(leased(budget, openAccount(budget, 0), 's', 500), 's', {
      settled: 120,
      unspent: 300,
    });
    expect(change).toMatchObject({
      ok: true,
      account: { balance: 800, spent: 120, lost: 80, slices: [] },
    });
    expect(change.ok && isBalanced(change.account)).toBe(true);
    expect(change.ok && reportSlice(change.account, 's', 200)).toEqual({
      ok: false,
      why: 'unknown-slice',
    });
    expect(change.ok && endSlice(change.account, 's', { settled: 120, unspent: 300 })).toEqual({
      ok: false,
      why: 'unknown-slice',
    });
  });

  test('nobody gets more back than is left', () => {
    const account = spent(leased(budget, openAccount(budget, 0), 's', 500), 's', 100);
    expect(returnIdle(account, 's', 401)).toEqual({ ok: false, why: 'more-than-left' });
    expect(endSlice(account, 's', { settled: 100, unspent: 401 })).toEqual({
      ok: false,
      why: 'more-than-left',
    });
    expect(returnIdle(account, 'other', 1)).toEqual({ ok: false, why: 'unknown-slice' });
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER])(
    '%d is no amount anywhere',
    (amount) => {
      const account = leased(budget, openAccount(budget, 0), 's', 500);
      expect(
        leaseSlice(budget, account, { slice: 's', need: amount, want: 1, nowMs: 0 }),
      ).toMatchObject({ kind: 'refused', why: 'bad-amount' });
      expect(
        leaseSlice(budget, account, { slice: 's', need: 1, want: amount, nowMs: 0 }),
      ).toMatchObject({ kind: 'refused', why: 'bad-amount' });
      for (const change of [
        reportSlice(account, 's', amount),
        returnIdle(account, 's', amount),
        endSlice(account, 's', { settled: amount, unspent: 0 }),
        endSlice(account, 's', { settled: 0, unspent: amount }),
      ])
        expect(change).toEqual({ ok: false, why: 'bad-amount' });
    },
  );

  test('more processes than there can be are refused', () => {
    const rows = Array.from({ length: slicesMax }, (_, i) => ({
      id: `${i}`,
      granted: 0,
      settled: 0,
    }));
    const account = { ...openAccount(budget, 0), slices: rows };
    expect(leaseSlice(budget, account, { slice: 'new', need: 1, want: 1, nowMs: 0 })).toMatchObject(
      { kind: 'refused', why: 'too-many-slices' },
    );
    expect(leaseSlice(budget, account, { slice: '7', need: 1, want: 1, nowMs: 0 }).kind).toBe(
      'leased',
    );
  });
});
