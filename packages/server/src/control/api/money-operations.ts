import { z } from '@hono/zod-openapi';
import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { nanoUsdOf } from '@postern/core/price';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import { accountSchema, useSchema } from './money-desk.ts';

const itemsOf = <T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T> }> =>
  z.strictObject({ items: z.array(item) });

const hourMs = 3_600_000;

/** Use is kept by the hour: a part of one is all of it. */
function hourOf(atMs: number): number {
  return Math.floor(atMs / hourMs) * hourMs;
}

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
      since: z.iso
        .datetime({ offset: true })
        .optional()
        .describe('From the start of the hour that it is in. Default: everything.'),
    }),
    output: itemsOf(useSchema).openapi('UsePage'),
    run: async ({ money }, { query }) => {
      const sinceMs = query.since === undefined ? 0 : hourOf(Date.parse(query.since));
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
