import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';

const usdSchema = z.string().describe('US dollars.');

export const accountSchema = z
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

export const useSchema = z
  .strictObject({
    key: z.string(),
    display: z.string(),
    requests: z.int(),
    estimated_requests: z
      .int()
      .describe(
        'Of them, those whose usage the upstream did not say, or that came at a tier without a stated price.',
      ),
    input_tokens: z.int(),
    cache_read_tokens: z.int(),
    cache_write_tokens: z.int(),
    output_tokens: z.int(),
    reasoning_tokens: z.int(),
    input_audio_tokens: z.int().describe('Of the tokens that came in, from a cache or not.'),
    output_audio_tokens: z.int().describe('Of the tokens that went out.'),
    web_searches: z.int().describe('That providers ran.'),
    storage_searches: z.int().describe('In files that providers hold.'),
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
