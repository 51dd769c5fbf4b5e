import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { usdText } from '@postern/core/price';
import type { Account, Budget } from '@postern/core/quota';
import { accountNow, leasedOf, openAccount } from '@postern/core/quota';
import type { BankFailure, SliceBank, UsageSum } from './bank.ts';
import { accountRowsMax } from './bank.ts';
import type { Ledger } from './ledger.ts';
import type { Terms } from './terms.ts';

/** One account as people and programs are shown it; money in decimal USD. */
export interface AccountView {
  readonly budget: string;
  readonly account: string;
  readonly per: string;
  readonly every: string;
  readonly capacity_usd: string;
  /** What may still be spent: what nobody has reserved, and what is reserved and may come back. */
  readonly remaining_usd: string;
  /** Of it, what processes hold, reserved or idle. */
  readonly held_usd: string;
  readonly spent_usd: string;
  /** Counted as spent because a process ended without saying. */
  readonly lost_usd: string;
  readonly refilled_usd: string;
}

export interface UsageView {
  readonly key: string;
  readonly display: string;
  readonly requests: number;
  readonly estimated_requests: number;
  readonly input_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  readonly usd: string;
  readonly nano_usd: number;
}

export interface DeskOptions {
  readonly bank: SliceBank;
  readonly ledger: () => Ledger | undefined;
  readonly terms: () => Terms;
  readonly newId: () => string;
  readonly nowMs: () => number;
}

/** Answers questions about money, as of now, and takes money in. */
export class MoneyDesk {
  readonly #options: DeskOptions;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** Accounts of the budgets in the configuration; one that nobody has used yet is full. */
  async accounts(names?: readonly string[]): Promise<Result<readonly AccountView[], BankFailure>> {
    const { bank, ledger, terms, nowMs } = this.#options;
    await ledger()?.flush();
    const rows = await bank.accounts({ limit: accountRowsMax });
    if (!rows.ok) return rows;
    const known = new Map(rows.value.map(({ account, state }) => [account, state]));
    const views: AccountView[] = [];
    for (const budget of terms().budgets) {
      const own = [...known].filter(([account]) => account.split('/', 1)[0] === budget.name);
      if (own.length === 0 && budget.per === 'all')
        own.push([budget.name, openAccount(budget, nowMs())]);
      for (const [account, state] of own)
        if (names === undefined || names.includes(account))
          views.push(viewOf(budget, account, accountNow(budget, state, nowMs())));
    }
    return ok(views);
  }

  /** Fills accounts up, or puts an amount in; of one account, or of all that a budget has. */
  async credit(
    name: string,
    amount: number | undefined,
  ): Promise<
    Result<readonly AccountView[], BankFailure | { readonly kind: 'no-budget' | 'bad-amount' }>
  > {
    const { bank, terms, newId, ledger } = this.#options;
    const budget = terms().budgets.find((each) => each.name === name.split('/', 1)[0]);
    if (budget === undefined) return err({ kind: 'no-budget' });
    await ledger()?.flush();
    const rows = await bank.accounts({ name, limit: accountRowsMax });
    if (!rows.ok) return rows;
    const accounts = rows.value
      .map(({ account }) => account)
      .filter((account) => account === name || account.startsWith(`${name}/`));
    const targets = accounts.length > 0 ? accounts : budget.per === 'all' ? [name] : [];
    if (targets.length === 0) return err({ kind: 'no-budget' });
    const changes = targets.slice(0, 1_000).map((account) => ({
      kind: 'credit' as const,
      budget,
      account,
      ...(amount === undefined ? {} : { amount }),
    }));
    // An operator is a process of one batch.
    const done = await bank.change({ process: `operator-${newId()}`, seq: 1, changes, usage: [] });
    if (!done.ok) return done;
    if (done.value.some(({ outcome }) => outcome.kind !== 'done'))
      return err({ kind: 'bad-amount' });
    return this.accounts(targets);
  }

  async usage(query: {
    readonly by: 'user' | 'model' | 'budget' | 'hour';
    readonly sinceMs: number;
    readonly principal?: string;
  }): Promise<Result<readonly UsageView[], BankFailure>> {
    await this.#options.ledger()?.flush();
    const sums = await this.#options.bank.usage(query);
    return sums.ok ? ok(sums.value.map(usageView)) : sums;
  }
}

function viewOf(budget: Budget, account: string, state: Account): AccountView {
  const held = leasedOf(state);
  return {
    budget: budget.name,
    account,
    per: budget.per,
    every: budget.refill?.every ?? 'never',
    capacity_usd: usdText(budget.capacity),
    remaining_usd: usdText(state.balance + held),
    held_usd: usdText(held),
    spent_usd: usdText(state.spent),
    lost_usd: usdText(state.lost),
    refilled_usd: usdText(state.refilled),
  };
}

function usageView(sum: UsageSum): UsageView {
  return {
    key: sum.key,
    display: sum.display,
    requests: sum.requests,
    estimated_requests: sum.estimated,
    input_tokens: sum.input,
    cache_read_tokens: sum.cacheRead,
    cache_write_tokens: sum.cacheWrite,
    output_tokens: sum.output,
    reasoning_tokens: sum.reasoning,
    usd: usdText(sum.cost),
    nano_usd: sum.cost,
  };
}
