import { z } from '@hono/zod-openapi';
import { stateLimits } from '@postern/core/state';

/** The shapes of the admin API. Names in snake_case, times in RFC 3339 (UTC); unknown members are refused. */

const time = z.iso.datetime({ offset: true }).describe('RFC 3339, such as 2030-01-31T12:00:00Z.');

const reason = z
  .string()
  .min(1)
  .max(stateLimits.reasonCharsMax)
  .describe('What people read next to the change.');

export const scopeSchema = z
  .strictObject({
    models: z
      .array(z.string())
      .optional()
      .describe('Model patterns; `*` stays within a segment, `**` goes across. Absent: all.'),
    dialects: z.array(z.string()).optional().describe('Wire formats. Absent: all.'),
    join: z
      .array(z.string())
      .optional()
      .describe('Types of nodes that the key may register; `*` is any. Absent: none.'),
    network: z
      .array(z.string())
      .optional()
      .describe(
        'An OAuth client of the network API: its scopes, and tags that its keys may carry.',
      ),
    admin: z.boolean().optional().describe('May the key use this API? No, unless it says so.'),
  })
  .openapi('Scope');

export const keySchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    hint: z.string().describe('The last four characters of the secret.'),
    standing: z.enum(['active', 'expired', 'revoked']),
    scope: scopeSchema,
    bound_to: z.array(z.string()).describe('Who may use it; empty: whoever holds it.'),
    created_by: z.string(),
    created_at: time,
    expires_at: time.optional(),
    revoked_at: time.optional(),
    revoked_reason: z.string().optional(),
  })
  .openapi('Key');

export const keyCreateSchema = z
  .strictObject({
    name: z.string().describe('Unique among keys that are not revoked.'),
    scope: scopeSchema.default({}),
    bound_to: z
      .array(z.string())
      .default([])
      .describe('Principals or selectors of which the network identity of the caller must be one.'),
    expires_at: time.optional().describe('Absent: it does not expire.'),
  })
  .openapi('KeyCreate');

export const createdKeySchema = z
  .strictObject({
    key: keySchema,
    secret: z.string().describe('The key itself. It is shown this once and kept nowhere.'),
  })
  .openapi('CreatedKey');

export const keyRevokeSchema = z
  .strictObject({
    reason: reason.optional(),
    with_children: z
      .boolean()
      .default(false)
      .describe('Also every key that this key made, and theirs.'),
  })
  .openapi('KeyRevoke');

const issuer = z.string().describe('The `iss` of the tokens.');

export const targetSchema = z
  .discriminatedUnion('by', [
    z.strictObject({
      by: z.literal('token'),
      issuer,
      token_id: z.string().describe('The `jti` of the token.'),
      expires_at: time.optional().describe('When the token itself ends.'),
    }),
    z.strictObject({
      by: z.literal('subject'),
      issuer,
      subject: z.string().describe('The `sub` of the tokens.'),
      issued_before: time.optional().describe('Only tokens issued before. Absent: all of them.'),
    }),
    z.strictObject({
      by: z.literal('issuer'),
      issuer,
      issued_before: time.describe('Tokens issued before are refused. It only ever rises.'),
    }),
    z.strictObject({
      by: z.literal('peer'),
      kind: z.enum(['app', 'instance', 'device', 'serial']),
      id: z
        .string()
        .describe('Of a peer of the mesh: hex in lower case, a serial without leading zeros.'),
    }),
  ])
  .openapi('RevocationTarget');

export const revocationCreateSchema = z
  .strictObject({ target: targetSchema, reason: reason.optional() })
  .openapi('RevocationCreate');

export const revocationSchema = z
  .strictObject({
    id: z.string(),
    target: targetSchema,
    at: time,
    created_by: z.string(),
    reason: z.string().optional(),
  })
  .openapi('Revocation');

export const generationSchema = z
  .strictObject({
    number: z.int(),
    digest: z.string().describe('SHA-256 of the text, hex.'),
    applied_by: z.string(),
    applied_at: time,
    note: z.string().optional(),
  })
  .openapi('ConfigGeneration');

export const configTextSchema = z
  .strictObject({ generation: generationSchema, text: z.string() })
  .openapi('ConfigText');

export const configCheckSchema = z.strictObject({ text: z.string() }).openapi('ConfigCheck');

export const findingsSchema = z
  .strictObject({
    valid: z.boolean(),
    findings: z.array(
      z.strictObject({
        pointer: z.string().describe('JSON pointer of the value at fault.'),
        message: z.string(),
      }),
    ),
  })
  .openapi('ConfigFindings');

export const authoritySchema = z
  .enum(['policy', 'built-in', 'none'])
  .describe(
    'What decides about requests: the `policy` in force; without a configuration file the `built-in` one; `none`: nobody may call anything.',
  );

export const statusSchema = z
  .strictObject({
    store: z.enum(['good', 'doubtful', 'diverged']),
    store_message: z.string().optional(),
    journal_index: z.int(),
    head_hash: z.string(),
    keys: z.int(),
    revocations: z.int(),
    config_generation: z.int(),
    queued: z.int(),
    authority: authoritySchema,
    policy_version: z.int().describe('0: no policy is in force.'),
    policy_trial_until: time.optional(),
    policy_alarm: z.string().optional(),
  })
  .openapi('Status');

export const backupSchema = z
  .strictObject({
    file: z.string().describe('Where the backup is, on the machine of this Postern.'),
    created_at: time,
    schema_version: z.int(),
    records: z.int(),
    head_index: z.int(),
    head_hash: z.string(),
    bytes: z.int(),
    sha256: z.string(),
  })
  .openapi('Backup');

export const verifySchema = z
  .strictObject({
    intact: z.boolean(),
    records: z.int(),
    head_index: z.int(),
    head_hash: z.string(),
    findings: z.array(z.string()),
  })
  .openapi('Verification');

export const errorSchema = z
  .strictObject({
    error: z.strictObject({
      code: z.string().describe('One of the codes of the error reference.'),
      message: z.string(),
      fix: z.string().describe('What to do next.'),
      param: z.string().optional().describe('The field at fault.'),
      request_id: z.string(),
    }),
  })
  .openapi('Error');

/** How lists are cut into pages. */
export const pageQuerySchema = z.strictObject({
  after: z.string().optional().describe('The id after which the page begins.'),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function pageOf<T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodOptional<z.ZodString> }> {
  return z.strictObject({
    items: z.array(item),
    next: z.string().optional().describe('`after` of the next page; absent on the last.'),
  });
}
