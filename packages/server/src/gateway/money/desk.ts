import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { usdText } from '@postern/core/price';
import type { Account, Budget } from '@postern/core/quota';
import { accountNow, accountPrefix, isAccountOf, leasedOf, openAccount } from '@postern/core/quota';
import type { AccountRow, BankFailure, SliceBank, UsageSum } from './bank.ts';
import { accountPageRows } from './bank.ts';
import type { Ledger } from './ledger.ts';
import type { PaidAccount, Terms } from './terms.ts';

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
  readonly input_audio_tokens: number;
  readonly output_audio_tokens: number;
  readonly web_searches: number;
  readonly storage_searches: number;
  readonly usd: string;
  readonly nano_usd: number;
}

/** Why nothing was put in. */
export type CreditFault =
  | { readonly kind: 'no-budget' | 'bad-amount' }
  /** No caller of the budget could have an account of that name. */
  | { readonly kind: 'no-account'; readonly budget: Budget }
  /** The name is right, and nobody has used it so far. */
  | { readonly kind: 'unused' };

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

  /** Accounts of the budgets in the configuration, all or those named; one that nobody has used yet is full. */
  async accounts(names?: readonly string[]): Promise<Result<readonly AccountView[], BankFailure>> {
    const { bank, ledger, terms, nowMs } = this.#options;
    await ledger()?.flush();
    const rows = names === undefined ? await allRows(bank, '') : await rowsOf(bank, names);
    if (!rows.ok) return rows;
    const known = Map.groupBy(rows.value, ({ account }) => budgetNameOf(account));
    const asked = names === undefined ? undefined : new Set(names);
    const views: AccountView[] = [];
    for (const budget of terms().budgets) {
      const own = known.get(budget.name) ?? [];
      for (const { account, state } of own)
        views.push(viewOf(budget, account, accountNow(budget, state, nowMs())));
      const isUnused = budget.per === 'all' && !own.some(({ account }) => account === budget.name);
      if (isUnused && asked?.has(budget.name) !== false)
        views.push(viewOf(budget, budget.name, openAccount(budget, nowMs())));
    }
    return ok(views);
  }

  /** An account that nothing was paid from so far: all of it is left. */
  unused({ account, budget }: PaidAccount): AccountView {
    return viewOf(budget, account, openAccount(budget, this.#options.nowMs()));
  }

  /** Fills accounts up, or puts an amount in; of one account, or of all that a budget has. */
  async credit(
    name: string,
    amount: number | undefined,
  ): Promise<Result<readonly AccountView[], BankFailure | CreditFault>> {
    const { bank, terms, newId, ledger } = this.#options;
    const budget = terms().budgets.find((each) => each.name === budgetNameOf(name));
    if (budget === undefined) return err({ kind: 'no-budget' });
    if (name !== budget.name && !isAccountOf(budget, name))
      return err({ kind: 'no-account', budget });
    await ledger()?.flush();
    const found = await targetsOf(bank, budget, name);
    if (!found.ok) return found;
    const targets = found.value;
    if (targets.length === 0) return err({ kind: 'unused' });
    // An operator is a process of a few batches.
    const process = `operator-${newId()}`;
    for (const [i, page] of pagesOf(targets).entries()) {
      const changes = page.map((account) => ({
        kind: 'credit' as const,
        budget,
        account,
        ...(amount === undefined ? {} : { amount }),
      }));
      // oxlint-disable-next-line no-await-in-loop -- one batch after the other is the protocol
      const done = await bank.change({ process, seq: i + 1, changes, usage: [] });
      if (!done.ok) return done;
      if (done.value.some(({ outcome }) => outcome.kind !== 'done'))
        return err({ kind: 'bad-amount' });
    }
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

function budgetNameOf(account: string): string {
  return account.split('/', 1)[0] ?? '';
}

function pagesOf(names: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(names.length / accountPageRows);
  return Array.from({ length: count }, (_, i) =>
    names.slice(i * accountPageRows, (i + 1) * accountPageRows),
  );
}

/** The accounts that an operator means by a name: one, opened if need be where all share it, or all that a budget has. */
async function targetsOf(
  bank: SliceBank,
  budget: Budget,
  name: string,
): Promise<Result<readonly string[], BankFailure>> {
  if (budget.per === 'all') return ok([name]);
  const rows =
    name === budget.name ? await allRows(bank, accountPrefix(budget)) : await rowsOf(bank, [name]);
  return rows.ok ? ok(rows.value.map(({ account }) => account)) : rows;
}

type Rows = Result<readonly AccountRow[], BankFailure>;

async function allRows(bank: SliceBank, name: string): Promise<Rows> {
  const all: AccountRow[] = [];
  for (let after = ''; ; ) {
    // oxlint-disable-next-line no-await-in-loop -- a page begins where the one before it ended
    const rows = await bank.accounts({ name, after, limit: accountPageRows });
    if (!rows.ok) return rows;
    all.push(...rows.value);
    const last = rows.value.at(-1);
    if (last === undefined || rows.value.length < accountPageRows) return ok(all);
    after = last.account;
  }
}

async function rowsOf(bank: SliceBank, names: readonly string[]): Promise<Rows> {
  const all: AccountRow[] = [];
  for (const page of pagesOf(names)) {
    // oxlint-disable-next-line no-await-in-loop -- the store serves others between two pages
    const rows = await bank.accounts({ names: page, limit: accountPageRows });
    if (!rows.ok) return rows;
    all.push(...rows.value);
  }
  return ok(all);
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
    input_audio_tokens: sum.inputAudio,
    output_audio_tokens: sum.outputAudio,
    web_searches: sum.webSearches,
    storage_searches: sum.storageSearches,
    usd: usdText(sum.cost),
    nano_usd: sum.cost,
  };
}
