import { z } from 'zod';

export const auditSchema = z
  .strictObject({
    witness: z
      .array(z.string().min(1).max(4_096))
      .max(8)
      .default([])
      .describe(
        'Files that get every signed checkpoint appended: on another disk or machine, where whoever changes the log cannot change them.',
      ),
    checkpointSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(60)
      .describe('How often a checkpoint is signed while there are new records.'),
    whenUnavailable: z
      .enum(['refuse', 'serve'])
      .default('refuse')
      .describe(
        'While no record can be written (a disk that is full, fails or hangs): refuse callers with 503, or serve them unrecorded.',
      ),
    retentionDays: z
      .int()
      .min(1)
      .max(3_650)
      .default(30)
      .describe(
        'How long conversations are kept that a grant with `capture: "full"` stores. Records without content are kept for good.',
      ),
  })
  .describe('The tamper-evident log of requests and operations.');

export type AuditConfig = z.infer<typeof auditSchema>;
