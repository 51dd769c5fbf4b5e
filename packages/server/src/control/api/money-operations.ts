import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { nanoUsdOf } from '@postern/core/price';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';

const usdSchema = z.string().describe('US dollars.');

const accountSchema = z
  .strictObject({
    budget: z.string(),
    account: z.string().describe('The budget, and whose share of it where it counts by somebody.'),
    per: z.string(),
    every: z.string(),
    capacity_usd: usdSchema,
    remaining_usd: usdSchema,
    held_usd: usdSchema.describe('Of the rest, what is reserved or lies ready in a process.'),
    spent_usd: usdSchema,
    lost_usd: usdSchema.describe('Counted as spent because a process ended without saying.'),
    refilled_usd: usdSchema,
  })
  .openapi('BudgetAccount');

const useSchema = z
  .strictObject({
    key: z.string(),
    display: z.string(),
    requests: z.int(),
    estimated_requests: z.int().describe('Of them, those whose usage the upstream did not say.'),
    input_tokens: z.int(),
    cache_read_tokens: z.int(),
    cache_write_tokens: z.int(),
    output_tokens: z.int(),
    reasoning_tokens: z.int(),
    usd: usdSchema,
    nano_usd: z.int(),
  })
  .openapi('Use');

type AccountView = z.input<typeof accountSchema>;
type UseView = z.input<typeof useSchema>;

/** What operations ask about money. Failures are refusals already. */
export interface MoneyTools {
  accounts(): Promise<Result<readonly AccountView[], Refusal>>;
  /** `amount` in nano-USD; without it, up to the capacity. */
  credit(
    account: string,
    amount: number | undefined,
  ): Promise<Result<readonly AccountView[], Refusal>>;
  usage(query: {
    readonly by: 'user' | 'model' | 'budget' | 'hour';
    readonly sinceMs: number;
  }): Promise<Result<readonly UseView[], Refusal>>;
}

const itemsOf = <T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T> }> =>
  z.strictObject({ items: z.array(item) });

export const moneyOperations: readonly AnyOperation[] = [
  operation({
    name: 'usage.show',
    summary: 'Show what was used and what it cost, by user, model, budget or hour.',
    changes: false,
    method: 'get',
    path: '/usage',
    status: 200,
    query: z.strictObject({
      by: z.enum(['user', 'model', 'budget', 'hour']).default('user'),
      since: z.iso.datetime({ offset: true }).optional().describe('Default: everything.'),
    }),
    output: itemsOf(useSchema).openapi('UsePage'),
    run: async ({ money }, { query }) => {
      const sinceMs = query.since === undefined ? 0 : Date.parse(query.since);
      const sums = await money.usage({ by: query.by, sinceMs });
      return sums.ok ? ok({ items: [...sums.value] }) : sums;
    },
  }),
  operation({
    name: 'budget.list',
    summary: 'List budgets and their accounts: capacity, what is left, what was spent.',
    changes: false,
    method: 'get',
    path: '/budgets',
    status: 200,
    output: itemsOf(accountSchema).openapi('BudgetPage'),
    run: async ({ money }) => {
      const accounts = await money.accounts();
      return accounts.ok ? ok({ items: [...accounts.value] }) : accounts;
    },
  }),
  operation({
    name: 'budget.refill',
    summary: 'Fill a budget up, or put an amount in.',
    // Money is kept beside the journal; who put it in is in the line of this operation.
    changes: false,
    method: 'post',
    path: '/budgets/refill',
    status: 200,
    body: z.strictObject({
      account: z
        .string()
        .min(1)
        .max(1_024)
        .describe('A budget, which means all of its accounts, or one account of it.'),
      usd: z
        .string()
        .max(32)
        .optional()
        .describe('How much; default: up to the capacity. It may go above the capacity.'),
    }),
    output: itemsOf(accountSchema).openapi('RefilledBudget'),
    run: async ({ money }, { body }) => {
      const amount = body.usd === undefined ? ok(undefined) : nanoUsdOf(body.usd);
      if (!amount.ok) return err(refusal('invalid_request', amount.error, { param: 'usd' }));
      const accounts = await money.credit(body.account, amount.value);
      return accounts.ok ? ok({ items: [...accounts.value] }) : accounts;
    },
  }),
];
