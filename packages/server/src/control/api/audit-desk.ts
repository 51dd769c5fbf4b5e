import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';

export const recordSchema = z
  .strictObject({
    index: z.int(),
    at: z.string(),
    kind: z.string(),
    v: z.int(),
    data: z.record(z.string(), z.unknown()).describe('The fields; which, the kind says.'),
  })
  .openapi('AuditRecord');

export const limitSchema = z.coerce.number().int().min(1).max(1_000).default(100);
const textSchema = z.string().min(1).max(1_024).optional();

export const filterSchema = z.strictObject({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('Index of the record after which the page begins.'),
  limit: limitSchema,
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  kind: textSchema,
  caller: textSchema,
  client: textSchema,
  model: textSchema,
  outcome: textSchema,
  error: textSchema,
  operation: textSchema,
  request_id: textSchema,
});

export const checkpointSchema = z
  .strictObject({
    size: z.int().describe('How many records it covers.'),
    at: z.string(),
    note: z.string().describe('The signed note.'),
  })
  .openapi('AuditCheckpoint');

export const verdictSchema = z
  .strictObject({
    ok: z.boolean(),
    origin: z.string(),
    records: z.int(),
    first_bad: z.int().optional().describe('Index of the first bad record.'),
    what: z.string().optional(),
    covered: z.int().describe('Records that the newest checkpoint covers which agrees with them.'),
    covered_at: z.string().optional(),
    journal: z
      .strictObject({
        index: z.int(),
        agrees: z
          .boolean()
          .describe('Whether the state has this record of the journal, with this hash.'),
      })
      .optional()
      .describe('The head of the state journal in that checkpoint.'),
  })
  .openapi('AuditVerdict');

type RecordView = z.input<typeof recordSchema>;
export type AuditFilter = z.output<typeof filterSchema>;

/** What operations ask about the audit log. Failures are refusals already. */
export interface AuditTools {
  tail(count: number): Promise<Result<{ items: RecordView[] }, Refusal>>;
  /** A page in order. `next` is there until the end of the log is reached, also where nothing on the page matched. */
  query(filter: AuditFilter): Promise<Result<{ items: RecordView[]; next?: number }, Refusal>>;
  verify(): Promise<Result<z.input<typeof verdictSchema>, Refusal>>;
  /** Signs where the log is now; the newest one where nothing was written since. */
  checkpoint(): Promise<Result<z.input<typeof checkpointSchema>, Refusal>>;
}
