import { z } from 'zod';

/** Names that a grant of the policy refers to. */
export const chargedNamePattern = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Budgets, or limits, of one configuration: each that matches is looked at for each request. */
const namedMax = 1_000;

const perSchema = z
  .enum(['all', 'user', 'node', 'tag', 'app', 'key'])
  .default('all')
  .describe(
    'Who counts by themselves: `all` share one; a caller without what is counted by is refused.',
  );

const matchSchema = z
  .array(
    z
      .string()
      .max(512)
      .regex(/^(?:\*|(?:group|autogroup|tag):[^\s]+|[^\s@:]+@[^\s@]+)$/),
  )
  .min(1)
  .max(1_000)
  .optional()
  .describe(
    'Callers to whom it applies whatever the grants say: a user, group:…, autogroup:…, tag:…, or `*` for everyone. Absent: only where a grant names it.',
  );

/** The most that one budget holds: what integers of nano-USD add up safely. */
const usdMax = 9_000_000;

const usdSchema = z
  .union([z.string(), z.number()])
  .refine((usd) => /^\d{1,7}(?:\.\d{1,9})?$/.test(String(usd)) && Number(usd) <= usdMax, {
    error: `an amount is 0 to ${usdMax} US dollars with at most nine decimals`,
  })
  .describe('US dollars, as `"10.00"` or a number with at most nine decimals; at most 9,000,000.');

const budgetSchema = z.strictObject({
  usd: usdSchema,
  every: z
    .enum(['day', 'week', 'month', 'never'])
    .describe('When it is full again; `never`: what is spent is gone.'),
  refill: z
    .enum(['boundary', 'steady'])
    .default('boundary')
    .describe(
      '`boundary`: all at once when a day, a week (Monday) or a month begins in UTC. `steady`: bit by bit.',
    ),
  per: perSchema,
  match: matchSchema,
});

export type BudgetConfig = z.infer<typeof budgetSchema>;

export const budgetsSchema = z
  .record(z.string().regex(chargedNamePattern), budgetSchema)
  .refine((budgets) => Object.keys(budgets).length <= namedMax, {
    error: `there are at most ${namedMax} budgets`,
  })
  .default({})
  .describe('Amounts of money by name, for `budgets` of a grant or for whom they match.');

const rateSchema = z.int().min(1).max(1_000_000_000).optional();

const callerLimitSchema = z
  .strictObject({
    requestsPerMinute: rateSchema,
    tokensPerMinute: rateSchema.describe('Input and output together.'),
    concurrent: z.int().min(1).max(1_000_000).optional().describe('Requests under way at once.'),
    per: perSchema,
    match: matchSchema,
  })
  .refine(
    ({ requestsPerMinute, tokensPerMinute, concurrent }) =>
      requestsPerMinute !== undefined || tokensPerMinute !== undefined || concurrent !== undefined,
    { error: 'a limit needs one of requestsPerMinute, tokensPerMinute and concurrent' },
  );

export type CallerLimitConfig = z.infer<typeof callerLimitSchema>;

export const callerLimitsSchema = z
  .record(z.string().regex(chargedNamePattern), callerLimitSchema)
  .refine((limits) => Object.keys(limits).length <= namedMax, {
    error: `there are at most ${namedMax} limits`,
  })
  .default({})
  .describe('Limits of callers by name, for `limits` of a grant or for whom they match.');
