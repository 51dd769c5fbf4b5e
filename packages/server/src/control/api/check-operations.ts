import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import { firewallCharsMax, reportSchema } from './check-desk.ts';

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
