import { z } from '@hono/zod-openapi';

/** A ruleset of thousands of rules, as JSON. */
export const firewallCharsMax = 2 * 1_048_576;

export const findingSchema = z
  .strictObject({
    id: z.string(),
    title: z.string().describe('What is so where all is well.'),
    verdict: z.enum(['pass', 'fail', 'unknown', 'note']),
    severity: z.enum(['high', 'medium', 'low']),
    what: z.string().describe('What is so here and now.'),
    why: z.string().describe('Why it matters.'),
    next: z.string().optional().describe('What to type next; absent where nothing is wrong.'),
    evidence: z.array(z.string()).readonly(),
  })
  .openapi('Finding');

export const reportSchema = z
  .strictObject({
    verdict: z
      .enum(['pass', 'fail', 'unknown'])
      .describe('`unknown` where something could not be looked at, and nothing failed.'),
    counts: z.strictObject({
      pass: z.int(),
      fail: z.int(),
      unknown: z.int(),
      note: z.int(),
    }),
    findings: z.array(findingSchema).readonly(),
    fix_plan: z
      .array(
        z.strictObject({
          next: z.string(),
          mends: z.array(z.string()).readonly(),
          severity: z.enum(['high', 'medium', 'low']),
        }),
      )
      .readonly()
      .describe('What to do in which order.'),
  })
  .openapi('CheckReport');

/** What whoever asks has seen, with rights and keys that this process has not. */
export interface CheckGiven {
  readonly firewall?: string | undefined;
  readonly ssh?:
    | readonly {
        readonly host: string;
        readonly pinned: boolean;
        readonly logs_in: boolean;
        readonly offers: readonly string[];
      }[]
    | undefined;
}

/** The checklist, over the running process. */
export interface CheckDesk {
  run(given: CheckGiven): Promise<z.input<typeof reportSchema>>;
}
