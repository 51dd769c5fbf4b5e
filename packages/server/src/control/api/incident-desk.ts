import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import type { Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { stateLimits } from '@postern/core/state';
import type { Requester } from '../control.ts';

export const word = z.string().min(1).max(stateLimits.identifierCharsMax);
const texts = z.array(z.string().max(2_000)).max(1_000).readonly();

const actSchema = z.strictObject({
  what: z.string(),
  outcome: z.enum(['done', 'already', 'planned', 'failed', 'none']),
  detail: z.string(),
});
const proofSchema = z.strictObject({
  what: z.string(),
  before: z.string(),
  after: z.string(),
  holds: z.boolean(),
});

export const evidenceSchema = z
  .strictObject({
    v: z.literal(1),
    id: z.string(),
    step: z.string().regex(/^[a-z][a-z-]{0,31}$/),
    is_drill: z.boolean(),
    is_dry_run: z.boolean(),
    reason: z.string().max(stateLimits.reasonCharsMax),
    actor: z.string(),
    began_at: z.string(),
    ended_at: z.string(),
    parameters: z.record(z.string(), z.string()),
    acts: z.array(actSchema).max(1_000).readonly(),
    proofs: z.array(proofSchema).max(1_000).readonly(),
    verdict: z.enum(['proven', 'unproven', 'planned']),
    follow_up: texts,
    report: texts,
  })
  .openapi('Evidence');

export const concludedSchema = z
  .strictObject({
    evidence: evidenceSchema,
    file: z.string().nullable().describe('Where it is kept; null for a dry run.'),
    note: z.string().describe('The evidence as a signed note (C2SP), for keeping elsewhere.'),
  })
  .openapi('IncidentConcluded');

export const runSchema = z
  .strictObject({
    step: z.enum([
      'rotate',
      'isolate',
      'audit-access',
      'reset-model',
      'revoke-jwts',
      'block-ip',
      'verify-records',
    ]),
    reason: z.string().min(1).max(stateLimits.reasonCharsMax).describe('Why, for the record.'),
    dry_run: z.boolean().default(false).describe('Say what would be done, and do nothing.'),
    resume: word.optional().describe('An incident that was broken off.'),
    target: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
      .optional()
      .describe('A provider, or `all`.'),
    classes: z
      .array(z.enum(['api-keys', 'preauth', 'shared-keys', 'provider']))
      .min(1)
      .optional()
      .describe('rotate: what. Default: everything.'),
    issuer: word.optional().describe('revoke-jwts: one issuer. Default: all that are configured.'),
    token: z
      .string()
      .min(1)
      .max(16_384)
      .optional()
      .describe('revoke-jwts: a token that worked, to show that it is refused. Kept nowhere.'),
    address: z.string().max(64).optional().describe('block-ip: an address or a prefix.'),
    for_ms: z.int().min(1_000).optional().describe('block-ip: how long. Default: until lifted.'),
    own_address: z.string().max(64).optional().describe('block-ip: where you come from.'),
    force: z.boolean().default(false).describe('block-ip: block it although it is your own.'),
    since: z.iso.datetime({ offset: true }).optional().describe('audit-access: from when.'),
    replicas: z
      .array(z.url({ protocol: /^https?$/ }))
      .max(16)
      .optional()
      .describe('Base URLs of other gateways, which must refuse the old credential, too.'),
  })
  .openapi('IncidentRun');

type Concluded = z.input<typeof concludedSchema>;
export type EvidenceView = z.output<typeof evidenceSchema>;

/** The steps of an incident, over the running process. */
export interface IncidentDesk {
  run(
    request: {
      readonly step: z.output<typeof runSchema>['step'];
      readonly reason: string;
      readonly isDryRun: boolean;
      readonly isDrill: boolean;
      readonly force: boolean;
      readonly resume?: string;
      readonly target?: string;
      readonly classes?: readonly ('api-keys' | 'preauth' | 'shared-keys' | 'provider')[];
      readonly issuer?: string;
      readonly token?: Secret;
      readonly address?: string;
      readonly forMs?: number;
      readonly ownAddress?: string;
      readonly sinceMs?: number;
      readonly replicas?: readonly string[];
    },
    by: Requester,
  ): Promise<Result<Concluded, Refusal>>;
  /** Keeps what was done beside this process: a drill, a restoration. */
  record(evidence: EvidenceView, by: Requester): Promise<Result<Concluded, Refusal>>;
  list(): Promise<readonly string[]>;
  show(
    id: string,
  ): Promise<
    Result<{ readonly id: string; readonly note: string; readonly file: string }, Refusal>
  >;
}
