import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';

/** A ruleset of thousands of rules, as JSON. */
const firewallCharsMax = 2 * 1_048_576;

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

const reportSchema = z
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

export const checkOperations: readonly AnyOperation[] = [
  operation({
    name: 'check.run',
    summary: 'Judge this instance and its machine by the security checklist.',
    changes: false,
    method: 'post',
    path: '/check',
    status: 200,
    body: z
      .strictObject({
        firewall: z
          .string()
          .max(firewallCharsMax)
          .optional()
          .describe('What `nft -j list ruleset` prints, where Postern may not ask for it itself.'),
        ssh: z
          .array(
            z.strictObject({
              host: z.string().min(1).max(253),
              pinned: z.boolean().describe('Its host key is known to whoever asks.'),
              logs_in: z.boolean().describe('A key alone gets in.'),
              offers: z.array(z.string().max(64)).max(16).describe('Ways to sign in.'),
            }),
          )
          .max(64)
          .optional()
          .describe('Machines that are operated by SSH, as whoever asks sees them.'),
      })
      .openapi('CheckRun'),
    output: reportSchema,
    run: async ({ check }, { body }) =>
      check === undefined
        ? refuse('not_found', 'There is no checklist here.')
        : ok(await check.run(body)),
  }),
];
