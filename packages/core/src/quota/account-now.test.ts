import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accountNow } from './account-now.ts';
import type { Account } from './account.ts';
import { leasedOf, openAccount } from './account.ts';
import type { BankAnswer, BankChange } from './bank.ts';
import { applyBankChange } from './bank.ts';
import type { Budget, Refill } from './budget.ts';
import { boundaryIndex, boundaryMs, dayMs, periodMs } from './budget.ts';
import { affordableAtMs, refill } from './refill.ts';

const budgetOf = (
  capacity: number,
  style: Refill['style'] = 'boundary',
  every: Refill['every'] = 'month',
): Budget => ({
  name: 'team',
  capacity,
  per: 'all',
  ...(capacity === 0 ? {} : { refill: { amount: capacity, every, style } }),
});
const january = Date.UTC(2026, 0, 10);
const monthly = (index: number) => Date.UTC(2026, index, 2);

/** One account and what a process does with it; reports are cumulative. */
class Book {
  account: Account | undefined;
  #settled = 0;

  constructor(account?: Account) {
    this.account = account;
  }

  apply(change: BankChange, nowMs: number): BankAnswer {
    const { account, answer } = applyBankChange(this.account, change, nowMs);
    this.account = account;
    return answer;
  }

  lease(budget: Budget, nowMs: number, need = 0): BankAnswer {
    return this.apply(
      { kind: 'lease', budget, account: 'team', slice: 's', need, want: need },
      nowMs,
    );
  }

  /** Spends so much if it is there. */
  spend(budget: Budget, nowMs: number, amount: number): boolean {
    if (this.lease(budget, nowMs, amount).outcome.kind !== 'done') return false;
    this.overrun(nowMs, amount);
    return true;
  }

  /** Reports so much whether it is there or not. */
  overrun(nowMs: number, amount: number): void {
    this.#settled += amount;
    this.apply({ kind: 'report', account: 'team', slice: 's', settled: this.#settled }, nowMs);
  }

  left(budget: Budget, nowMs: number): number {
    return this.lease(budget, nowMs).balance;
  }

  get state(): Account {
    if (this.account === undefined) throw new Error('nothing was opened');
    return this.account;
  }

  /** Another that goes its own way from here. */
  fork(): Book {
    const other = new Book(this.account);
    other.#settled = this.#settled;
    return other;
  }
}

const isBalanced = (account: Account): boolean =>
  account.opened + account.refilled ===
  account.balance + leasedOf(account) + account.spent + account.lost;

describe('a budget that a configuration changes', () => {
  const spentOf = (budget: Budget, amount: number): Book => {
    const book = new Book();
    expect(book.spend(budget, january, amount)).toBe(true);
    return book;
  };

  test('within the period, what was spent counts against the new amount', () => {
    const book = spentOf(budgetOf(100), 90);
    expect(book.left(budgetOf(50), january)).toBe(-40);
    expect(book.left(budgetOf(200), january)).toBe(110);
    expect(book.left(budgetOf(100), january)).toBe(10);
    expect(book.state.lowered).toBeUndefined();
  });

  test('last month’s spending is not charged to this one, whether or not a request came before the change', () => {
    const book = spentOf(budgetOf(100), 90);
    const asked = book.fork();
    expect(asked.left(budgetOf(100), monthly(1))).toBe(100);
    expect(asked.left(budgetOf(50), monthly(1))).toBe(50);
    expect(book.left(budgetOf(50), monthly(1))).toBe(50);
    const raised = spentOf(budgetOf(50), 40);
    expect(raised.left(budgetOf(100), monthly(1))).toBe(100);
  });

  test('the month after it was lowered it is full, and so is every later one', () => {
    const book = spentOf(budgetOf(1_000), 900);
    expect(book.left(budgetOf(100), january)).toBe(-800);
    expect([1, 2, 9].map((month) => book.fork().left(budgetOf(100), monthly(month)))).toEqual([
      100, 100, 100,
    ]);
    expect([1, 2, 9].map((month) => book.left(budgetOf(100), monthly(month)))).toEqual([
      100, 100, 100,
    ]);
    expect(isBalanced(book.state)).toBe(true);
  });

  test('what was overspent is still owed', () => {
    const book = spentOf(budgetOf(1_000), 1_000);
    book.overrun(january, 30);
    expect(book.left(budgetOf(100), january)).toBe(-930);
    expect(book.fork().left(budgetOf(1_000), january)).toBe(-30);
    expect(book.left(budgetOf(100), monthly(1))).toBe(70);
  });

  test('what slices hold over the new capacity is not given a second time', () => {
    const book = new Book();
    book.lease(budgetOf(1_000), january, 900);
    expect(book.left(budgetOf(100), january)).toBe(-800);
    expect(book.left(budgetOf(100), monthly(1))).toBe(-800);
    const idle = book.fork();
    idle.apply({ kind: 'return', account: 'team', slice: 's', granted: 0 }, monthly(1));
    expect(idle.left(budgetOf(100), monthly(1))).toBe(100);
    expect(idle.state.lowered).toBeUndefined();
    book.overrun(monthly(1), 900);
    expect(book.left(budgetOf(100), monthly(1))).toBe(0);
    expect(book.left(budgetOf(100), monthly(2))).toBe(100);
  });

  test('what an operator puts in makes up for it', () => {
    const book = spentOf(budgetOf(1_000), 900);
    book.left(budgetOf(100), january);
    const credit = { kind: 'credit', budget: budgetOf(100), account: 'team' } as const;
    expect(book.apply(credit, january).balance).toBe(100);
    book.overrun(january, 150);
    expect(book.left(budgetOf(100), monthly(1))).toBe(50);
  });

  test('a steady refill goes on at the new rate, and after a period the change is over', () => {
    const [before, after] = [budgetOf(1_000, 'steady'), budgetOf(10, 'steady')];
    const book = spentOf(before, 1_000);
    const mid = january + periodMs.month / 2;
    expect(book.left(before, mid)).toBe(500);
    expect(book.left(after, mid)).toBe(-490);
    const times = [0.5, 1, 1.5, 12].map((periods) => mid + periods * periodMs.month);
    expect(times.map((at) => book.fork().left(after, at))).toEqual([-485, 10, 10, 10]);
    expect(times.map((at) => book.left(after, at))).toEqual([-485, 10, 10, 10]);
    expect(isBalanced(book.state)).toBe(true);
  });

  test('a clock that stepped back with the change refills no time twice', () => {
    const [before, after] = [budgetOf(1_000, 'steady'), budgetOf(2_000, 'steady')];
    const book = spentOf(before, 1_000);
    const half = january + periodMs.month / 2;
    expect(book.left(before, half)).toBe(500);
    expect(book.left(after, january)).toBe(1_500);
    expect(book.left(after, half)).toBe(1_500);
  });

  test('from another period on, only what comes due from then on', () => {
    const never: Budget = { name: 'team', capacity: 100, per: 'all' };
    const book = spentOf(never, 100);
    expect(book.left(budgetOf(100), monthly(2))).toBe(0);
    expect(book.left(budgetOf(100), monthly(3))).toBe(100);
    const daily = spentOf(budgetOf(100, 'boundary', 'day'), 100);
    expect(daily.left(budgetOf(100), january + dayMs)).toBe(100);
    const toDaily = spentOf(budgetOf(100), 90);
    expect(toDaily.left(budgetOf(5, 'boundary', 'day'), january)).toBe(-85);
    expect(toDaily.left(budgetOf(5, 'boundary', 'day'), january + dayMs)).toBe(5);
  });

  test('a budget that was nothing for some months has what its old period left, or all in a new one', () => {
    const book = spentOf(budgetOf(100), 90);
    expect(book.left(budgetOf(0), january)).toBe(-90);
    expect(book.fork().left(budgetOf(100), january)).toBe(10);
    expect(book.left(budgetOf(0), monthly(3))).toBe(0);
    expect(book.left(budgetOf(100), monthly(5))).toBe(100);
  });

  test('a row of the first version is read: it had its capacity as refill', () => {
    const { plan: _, ...row } = spentOf(budgetOf(1_000), 900).state;
    expect(new Book(row).left(budgetOf(1_000), january)).toBe(100);
    expect(new Book(row).left(budgetOf(50), monthly(1))).toBe(50);
    const book = new Book(row);
    expect(book.left(budgetOf(50), january)).toBe(-850);
    expect(book.left(budgetOf(50), monthly(1))).toBe(50);
    expect(book.state.plan).toEqual(budgetOf(50).refill);
    const { plan: __, ...none } = openAccount(budgetOf(0), january);
    expect(new Book(none).left(budgetOf(50), monthly(1))).toBe(50);
  });
});

const styles = fc.constantFrom<Refill['style']>('boundary', 'steady');
const capacities = fc.integer({ min: 1, max: 10_000 });
const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('ask', 'spend', 'spend', 'overrun', 'look'),
    amount: fc.integer({ min: 1, max: 4_000 }),
    afterMs: fc.nat(20 * dayMs),
  }),
  { maxLength: 20 },
);

describe('one reload among requests and looks', () => {
  test('what is shown is what can be leased', () => {
    fc.assert(
      fc.property(
        capacities,
        capacities,
        styles,
        styles,
        fc.nat(20),
        steps,
        (from, to, s1, s2, reload, all) => {
          const book = new Book();
          let now = january;
          for (const [i, { kind, amount, afterMs }] of all.entries()) {
            now += afterMs;
            const budget = i < reload ? budgetOf(from, s1) : budgetOf(to, s2);
            const shown = accountNow(budget, book.account ?? openAccount(budget, now), now);
            if (kind === 'look') continue;
            const fork = book.fork();
            expect(fork.left(budget, now)).toBe(shown.balance);
            expect(isBalanced(fork.state)).toBe(true);
            if (kind === 'spend') book.spend(budget, now, amount);
            else if (kind === 'ask') book.lease(budget, now);
            else if (book.account !== undefined) {
              book.lease(budget, now);
              book.overrun(now, amount);
            }
          }
        },
      ),
    );
  });

  test('a new period begins with the whole new amount, but for what was really overspent', () => {
    fc.assert(
      fc.property(capacities, capacities, fc.nat(20), steps, (from, to, reload, all) => {
        const book = new Book();
        let now = january;
        let overspent = 0;
        for (const [i, { kind, amount, afterMs }] of all.entries()) {
          now += afterMs;
          const budget = budgetOf(i < reload ? from : to);
          if (kind === 'spend') book.spend(budget, now, amount);
          else if (kind === 'ask') book.lease(budget, now);
          else if (kind === 'overrun') {
            book.lease(budget, now);
            book.overrun(now, amount);
            overspent += amount;
          }
        }
        const budget = budgetOf(to);
        const next = boundaryMs('month', boundaryIndex('month', now) + 1);
        book.lease(budget, now);
        const late = book.fork();
        expect(late.left(budget, next)).toBeGreaterThanOrEqual(to - overspent);
        if (overspent === 0) expect(late.left(budget, next)).toBe(to);
      }),
    );
  });

  test('however many requests come on the way, a lowered budget ends up the same', () => {
    fc.assert(
      fc.property(
        capacities,
        fc.array(fc.nat(20 * dayMs), { maxLength: 10 }),
        styles,
        (to, waits, style) => {
          const book = new Book();
          book.spend(budgetOf(10_000, style), january, 10_000);
          const after = budgetOf(to, style);
          book.lease(after, january);
          const once = book.fork();
          const now = waits.reduce((at, wait) => {
            book.lease(after, at + wait);
            return at + wait;
          }, january);
          expect(book.left(after, now)).toBe(once.left(after, now));
        },
      ),
    );
  });

  test('a refusal of a lowered budget says to the millisecond when there will be enough', () => {
    fc.assert(
      fc.property(
        capacities,
        capacities,
        fc.nat(3_000),
        styles,
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (from, lower, overrun, style, part) => {
          const to = Math.min(from, lower);
          const book = new Book();
          book.spend(budgetOf(from, style), january, from);
          book.overrun(january, overrun);
          const budget = budgetOf(to, style);
          book.lease(budget, january);
          const need = Math.max(1, Math.floor(to * part));
          const atMs = affordableAtMs(budget, book.state, need) ?? Number.NaN;
          expect(refill(budget, book.state, atMs).balance).toBeGreaterThanOrEqual(need);
          expect(refill(budget, book.state, atMs - 1).balance).toBeLessThan(need);
        },
      ),
    );
  });
});
