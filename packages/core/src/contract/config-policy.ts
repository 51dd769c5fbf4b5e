import { z } from 'zod';

/** Principals or machines of one entry, as in a grant: selectors, or names of machines. */
const wordsSchema = z.array(z.string().min(1).max(512)).min(1).max(1_000);

const nameSchema = z.string().min(1).max(256);

const keepSchema = z
  .int()
  .min(1)
  .max(1_000)
  .optional()
  .describe('How many of them have to keep it; all where it is left out.');

const protectedPathSchema = z.strictObject({
  name: nameSchema.describe('For people: it begins the sentence of the finding.'),
  from: wordsSchema.describe('Selectors or machines, each a principal of its own.'),
  to: wordsSchema,
  ports: z
    .array(z.string().min(1).max(64))
    .min(1)
    .max(100)
    .describe('As in the `ip` field of a grant: `443`, `tcp:22`.'),
  keepAtLeast: keepSchema,
});

const protectedCapabilitySchema = z.strictObject({
  capability: z.string().min(1).max(256).describe('Such as `postern.dev/cap/admin`.'),
  holders: wordsSchema,
  on: wordsSchema.describe('The machines on which they hold it.'),
  keepAtLeast: keepSchema,
});

const protectedLoginSchema = z.strictObject({
  name: nameSchema,
  from: wordsSchema,
  to: wordsSchema,
  users: z.array(z.string().min(1).max(256)).min(1).max(100).describe('One of them is enough.'),
});

const crownJewelSchema = z.strictObject({ name: nameSchema, to: wordsSchema });

const protectSchema = z
  .strictObject({
    paths: z
      .array(protectedPathSchema)
      .max(1_000)
      .default([])
      .describe('Network paths that no change may close: a policy that does is refused.'),
    capabilities: z
      .array(protectedCapabilitySchema)
      .max(1_000)
      .default([])
      .describe('Capabilities that somebody has to keep: a policy that takes them is refused.'),
    logins: z
      .array(protectedLoginSchema)
      .max(1_000)
      .default([])
      .describe('SSH logins of which one has to stay: a policy that takes the last is refused.'),
    crownJewels: z
      .array(crownJewelSchema)
      .max(1_000)
      .default([])
      .describe('Machines to which new access always waits for an approval.'),
  })
  .describe('What no change of the policy may break, looked at by every plan.');

export type PolicyProtection = z.infer<typeof protectSchema>;

export const policySchema = z
  .strictObject({
    autoApply: z
      .boolean()
      .default(false)
      .describe(
        'Apply policy.hujson beside this file whenever it changes; what is of high risk still waits for an approval.',
      ),
    protect: protectSchema.prefault({}),
  })
  .describe(
    'How policy.hujson comes into force. The first one ever is applied at the start; afterwards `postern policy apply` does it.',
  );
