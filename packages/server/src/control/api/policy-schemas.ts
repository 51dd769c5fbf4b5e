import { z } from '@hono/zod-openapi';
import { dialectNames, engineNames } from '@postern/core/policy';
import { stateLimits } from '@postern/core/state';
import { engineSyncSchema } from './network-schemas.ts';
import { authoritySchema } from './schemas.ts';

/** Shapes of the policy operations. */

const time = z.iso.datetime({ offset: true });
const digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256 of the policy in its canonical layout: the ETag of Tailscale’s API.');
const base = z
  .string()
  .regex(/^(?:none|[0-9a-f]{64})$/)
  .describe(
    'Digest of the policy that the change was made from (If-Match); `none` where there is none.',
  );
const text = z.string().max(stateLimits.policyCharsMax).describe('A policy file (HuJSON).');
const place = {
  pointer: z.string().describe('JSON pointer; empty for the file as a whole.'),
  line: z.int(),
  column: z.int(),
};
const risk = z.enum(['low', 'medium', 'high']);
const authority = authoritySchema;

export const policyVersionSchema = z
  .strictObject({
    number: z.int(),
    digest,
    risk,
    applied_by: z.string(),
    applied_at: time,
    plan: z.string().optional(),
    note: z.string().optional(),
  })
  .openapi('PolicyVersion');

export const policyPlanSchema = z
  .strictObject({
    id: z.string(),
    digest,
    base,
    risk,
    summary: z.array(z.string()),
    created_by: z.string(),
    created_at: time,
    expires_at: time,
    approved_by: z.string().optional(),
    approved_at: time.optional(),
  })
  .openapi('PolicyPlan');

export const policyShowSchema = z
  .strictObject({
    authority,
    version: policyVersionSchema.nullable(),
    text: z.string().nullable().describe('The policy that decides, the built-in one too.'),
    base: base.describe('What a change has to name as its base now.'),
    trial_until: time.nullable().describe('Not confirmed by then, the version before comes back.'),
    previous: policyVersionSchema.nullable().describe('What a rollback brings back.'),
    plans: z.array(policyPlanSchema),
    candidate: z.strictObject({
      file: z.string(),
      state: z.enum(['absent', 'unreadable', 'in_force', 'differs']),
      problem: z.string().optional(),
      auto_apply: z.boolean(),
    }),
    alarm: z
      .string()
      .nullable()
      .describe('Why a trial could not be taken back, or the engine has another policy.'),
    engine: engineSyncSchema
      .optional()
      .describe('How the policy stands at the engine, where others run it.'),
  })
  .openapi('Policy');

export const policyCheckBody = z
  .strictObject({
    text,
    for: z.enum(engineNames).optional().describe('Also what this engine refuses.'),
  })
  .openapi('PolicyCheck');

const testSchema = z.strictObject({
  kind: z.enum(['network', 'ssh']),
  src: z.string(),
  passed: z.boolean(),
  errors: z.array(z.string()),
  line: z.int(),
  column: z.int(),
});

const findingSchema = z.strictObject({
  severity: z.enum(['error', 'warning', 'note']),
  code: z.string(),
  message: z.string(),
  ...place,
});

export const policyCheckSchema = z
  .strictObject({
    valid: z.boolean(),
    tests_passed: z.boolean(),
    digest,
    findings: z.array(findingSchema),
    tests: z.array(testSchema),
  })
  .openapi('PolicyCheckReport');

const changeSchema = z.strictObject({
  change: z.enum(['added', 'removed']),
  kind: z.string(),
  sources: z.array(z.string()),
  targets: z.array(z.string()),
  what: z.string(),
  rules: z.array(z.string()),
  witness: z.string(),
});

export const policyDiffBody = z
  .strictObject({ text, before: text.optional().describe('Absent: the policy in force.') })
  .openapi('PolicyDiff');

export const policyDiffSchema = z
  .strictObject({
    equivalent: z.boolean(),
    complete: z.boolean(),
    changes: z.array(changeSchema),
    text_diff: z.string(),
    errors: z.array(findingSchema.extend({ file: z.enum(['before', 'after']) })),
  })
  .openapi('PolicyDiffReport');

const engineEtag = z
  .string()
  .optional()
  .describe('Of what somebody else wrote at the engine of the network, and which may go.');

export const policyPlanBody = z
  .strictObject({ text, base, engine_etag: engineEtag })
  .openapi('PolicyPlanRequest');

export const plannedSchema = z
  .strictObject({
    verdict: z.enum(['refused', 'approval', 'apply']),
    risk,
    digest,
    findings: z.array(
      z.strictObject({
        code: z.string(),
        severity: z.enum(['refuse', 'hold', 'note']),
        message: z.string(),
        file: z.enum(['current', 'candidate']).nullable(),
        ...place,
      }),
    ),
    changes: z.array(changeSchema),
    tests: z.array(testSchema),
    text_diff: z.string(),
    plan: policyPlanSchema.nullable().describe('Null where the change is refused.'),
  })
  .openapi('PolicyPlanned');

export const policyApplyBody = z
  .strictObject({
    plan: z.string().optional().describe('Id of a plan; or `text` and `base`.'),
    text: text.optional(),
    base: base.optional(),
    confirm_within_s: z
      .int()
      .min(0)
      .max(stateLimits.trialMsMax / 1_000)
      .default(300)
      .describe('How long the policy is on trial; 0: in force for good at once.'),
    note: z.string().optional(),
    engine_etag: engineEtag,
  })
  .openapi('PolicyApply');

export const policyAppliedSchema = z
  .strictObject({
    version: policyVersionSchema,
    trial_until: time.nullable(),
    unchanged: z.boolean().describe('It was in force already.'),
    engine: engineSyncSchema.optional().describe('Where others run the engine of the network.'),
  })
  .openapi('PolicyApplied');

export const policyConfirmBody = z.strictObject({ digest }).openapi('PolicyConfirm');

export const policyRollbackBody = z
  .strictObject({
    expected: digest.describe(
      'Digest of the policy to take back; another one in force is a conflict.',
    ),
    reason: z.string().optional(),
  })
  .openapi('PolicyRollback');

export const policyRolledBackSchema = z
  .strictObject({
    authority,
    version: policyVersionSchema.nullable().describe('What is in force now.'),
  })
  .openapi('PolicyRolledBack');

export const policyExplainBody = z
  .strictObject({
    decision: z.string().optional().describe('Id of a decision, as in a log line.'),
    from: z.string().optional().describe('With `to` and `port`: about one packet.'),
    to: z.string().optional(),
    port: z.string().default('443').describe('As in the `ip` field of a grant.'),
    who: z
      .array(z.string())
      .default([])
      .describe('Selectors of a caller: alice@example.com, tag:ci.'),
    key: z.string().optional().describe('Instead of `who`: a key by name or id.'),
    model: z.string().optional(),
    dialect: z.enum(dialectNames).default('openai-chat'),
    max_output_tokens: z.int().min(1).optional(),
    operation: z.string().optional().describe('Instead of `model`: an operation of this API.'),
    text: text.optional().describe('Absent: the policy in force.'),
  })
  .openapi('PolicyExplain');

export const policyExplainSchema = z
  .strictObject({
    verdict: z.enum(['allowed', 'denied', 'unknown']),
    why: z.array(z.string()),
    rules: z.array(z.strictObject({ ...place, text: z.string() })),
    selectors: z.array(z.string()),
  })
  .openapi('PolicyExplanation');

export const policyReachBody = z
  .strictObject({ from: z.string().optional(), to: z.string().optional(), text: text.optional() })
  .openapi('PolicyReach');

export const policyReachSchema = z
  .strictObject({
    rows: z.array(
      z.strictObject({
        sources: z.array(z.string()),
        targets: z.array(z.string()),
        network: z.string(),
        capabilities: z.array(z.string()),
        ssh: z.array(z.string()),
        rules: z.array(z.string()),
        unusable: z.boolean(),
      }),
    ),
    complete: z.boolean(),
  })
  .openapi('PolicyReachReport');
