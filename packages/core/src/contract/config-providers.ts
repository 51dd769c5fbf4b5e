import { z } from 'zod';
import { attestedSchema } from './config-attested.ts';
import { discoverSchema } from './config-registry.ts';
import { providerRouting, viaSchema } from './config-routing.ts';
import { operateSchema } from './config-operate.ts';
import { secretSourceSchema } from './config-secret.ts';

export const modelNameBytesMax = 256;

export { type SecretSource, secretSourceSchema } from './config-secret.ts';

const timeoutsSchema = z
  .strictObject({
    connectMs: z.int().min(100).max(60_000).default(5_000).describe('To open the connection.'),
    firstByteMs: z
      .int()
      .min(1_000)
      .max(3_600_000)
      .default(300_000)
      .describe(
        'From the request to the first byte of the answer; long prompts on small machines take minutes.',
      ),
    idleMs: z
      .int()
      .min(1_000)
      .max(600_000)
      .default(120_000)
      .describe('Between two pieces of an answer.'),
    totalMs: z
      .int()
      .min(1_000)
      .max(14_400_000)
      .default(3_600_000)
      .describe('For the whole answer.'),
  })
  .describe('How long to wait for this provider, in milliseconds.');

const providerBase = {
  models: z
    .array(z.string().min(1).max(modelNameBytesMax))
    .min(1)
    .optional()
    .describe('Model names to serve instead of asking the provider; ["*"] sends any name on.'),
  caFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'PEM file of extra certificate authorities for this provider; read again when it changes.',
    ),
  timeouts: timeoutsSchema.prefault({}),
  maxOutputTokens: z
    .int()
    .min(1)
    .max(10_000_000)
    .optional()
    .describe('The most output tokens that a model of this provider gives, where it is known.'),
  ...providerRouting,
};

const providerCommon = {
  ...providerBase,
  via: viaSchema,
  attested: attestedSchema,
  discover: discoverSchema,
  key: secretSourceSchema.optional().describe('The credential of the gateway at this provider.'),
  operate: operateSchema.optional(),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string().max(1_024))
    .optional()
    .describe('Extra headers for every request; not for credentials.'),
};

const baseUrlSchema = z
  .url({ protocol: /^https?$/ })
  .describe(
    'Base URL; for OpenAI-compatible servers with the version segment (http://127.0.0.1:11434/v1).',
  );

export const providerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('openai').describe('Any OpenAI-compatible server.'),
    baseUrl: baseUrlSchema.default('https://api.openai.com/v1'),
    api: z
      .array(z.enum(['chat', 'completions', 'responses', 'embeddings']))
      .min(1)
      .optional()
      .describe(
        'What the server speaks, the preferred one first. Default: chat, completions and embeddings; at OpenAI itself also responses. Never probed.',
      ),
    ...providerCommon,
  }),
  z.strictObject({
    kind: z
      .literal('anthropic')
      .describe('The Anthropic API or a server that speaks its Messages format.'),
    baseUrl: baseUrlSchema.default('https://api.anthropic.com'),
    countTokens: z
      .boolean()
      .default(true)
      .describe('Does the server have /v1/messages/count_tokens? Else the gateway estimates.'),
    ...providerCommon,
  }),
  z.strictObject({
    kind: z
      .literal('bedrock')
      .describe(
        'Amazon Bedrock with the role of the machine: instance, container, web identity, variables or profile. No key stands here.',
      ),
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/)
      .optional()
      .describe('Default: AWS_REGION, AWS_DEFAULT_REGION, then the region of the profile.'),
    profile: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('A profile of the AWS configuration files. Default: the default chain.'),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe(
        'Another address of the runtime, such as a VPC endpoint. Default: that of the region.',
      ),
    ...providerBase,
  }),
  z.strictObject({ kind: z.literal('builtin').describe('The embedded responder: builtin/eliza.') }),
]);

export type ProviderConfig = z.infer<typeof providerSchema>;
