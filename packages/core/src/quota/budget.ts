import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { amountMax, isAmount } from './amount.ts';

export type RefillPeriod = 'day' | 'week' | 'month';

/** Who has an account of its own under a budget; `all` share one. */
export type BudgetSubject = 'all' | 'user' | 'node' | 'tag' | 'app' | 'key';

/** A named amount of money with a refill. */
export interface Budget {
  readonly name: string;
  /** What an account starts with and never holds more than, nano-USD; leased and unspent money counts as held. */
  readonly capacity: number;
  readonly refill?: Refill;
  readonly per: BudgetSubject;
}

export interface Refill {
  /** Nano-USD a period. */
  readonly amount: number;
  readonly every: RefillPeriod;
  /**
   * `steady`: bit by bit, a month being the twelfth part of a mean year. `boundary`: all at once when a day, a week (Monday) or a
   * month begins in UTC; with the capacity as amount this is what people call a monthly budget.
   */
  readonly style: 'steady' | 'boundary';
}

export const dayMs = 86_400_000;
/** Steady periods. A mean Gregorian year has 365.2425 days. */
export const periodMs: Readonly<Record<RefillPeriod, number>> = Object.freeze({
  day: dayMs,
  week: 7 * dayMs,
  month: 2_629_746_000,
});

const budgetName = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Why this is no budget, or undefined. Check once, when the configuration is read. */
export function budgetFault(budget: Budget): string | undefined {
  if (!budgetName.test(budget.name)) return 'a name is lower case letters, digits and hyphens';
  if (!isAmount(budget.capacity)) return `the capacity is an integer from 0 to ${amountMax}`;
  const refill = budget.refill;
  if (refill !== undefined && (!isAmount(refill.amount) || refill.amount === 0))
    return `a refill is an integer from 1 to ${amountMax}`;
  return undefined;
}

/** What is known of the caller; ids are stable and belong to one authority each. */
export interface Payer {
  readonly user?: string;
  readonly node?: string;
  readonly tags?: readonly string[];
  readonly app?: string;
  readonly key?: string;
}

/** Accounts that one caller pays from under one budget: tags of a node. */
export const payerTagsMax = 64;

/**
 * The accounts that the caller pays from: one, or one for each of its tags. A caller without what the budget counts by is refused,
 * since a budget that applies and charges nobody bounds nothing.
 */
export function accountKeys(budget: Budget, payer: Payer): Result<readonly string[], string> {
  if (budget.per === 'all') return ok([budget.name]);
  const ids =
    budget.per === 'tag'
      ? [...new Set(payer.tags ?? [])]
      : [payer[budget.per] ?? ''].filter((id) => id !== '');
  if (ids.length === 0 || ids.length > payerTagsMax)
    return err(
      `budget ${budget.name} counts per ${budget.per}, which this caller has ${ids.length} of`,
    );
  const prefix = accountPrefix(budget);
  return ok(ids.map((id) => `${prefix}${id}`));
}

/** What names of the budget's accounts begin with; where all share one, its whole name. */
export function accountPrefix({ name, per }: Budget): string {
  return per === 'all' ? name : `${name}/${per}:`;
}

/** Whether somebody could pay from an account of that name under the budget. */
export function isAccountOf(budget: Budget, account: string): boolean {
  const prefix = accountPrefix(budget);
  if (budget.per === 'all') return account === prefix;
  return account.startsWith(prefix) && account.length > prefix.length;
}

/** How many refills have begun by then; differences count. */
export function boundaryIndex(every: RefillPeriod, atMs: number): number {
  const day = Math.floor(atMs / dayMs);
  // 1970-01-01 was a Thursday, three days after a Monday.
  if (every !== 'month') return every === 'day' ? day : Math.floor((day + 3) / 7);
  const date = new Date(atMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** When the boundary of that index begins, epoch ms. */
export function boundaryMs(every: RefillPeriod, index: number): number {
  if (every === 'day') return index * dayMs;
  return every === 'week' ? (index * 7 - 3) * dayMs : Date.UTC(Math.floor(index / 12), index % 12);
}
