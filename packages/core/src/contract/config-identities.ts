import { z } from 'zod';
import { secretSourceSchema } from './config-providers.ts';

const issuerSchema = z
  .strictObject({
    issuer: z.string().min(1).max(1_024).describe('The `iss` claim, compared exactly.'),
    audience: z.array(z.string().min(1)).min(1).describe('Accepted `aud` values.'),
    algorithms: z
      .array(
        z.enum([
          'RS256',
          'RS384',
          'RS512',
          'PS256',
          'PS384',
          'PS512',
          'ES256',
          'ES384',
          'ES512',
          'EdDSA',
          'HS256',
        ]),
      )
      .min(1)
      .describe('Accepted algorithms. HS256 only with `secret`, and then alone.'),
    jwksUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where the issuer publishes its keys.'),
    jwksFile: z.string().min(1).optional().describe('A file with the issuer’s JWK set.'),
    secret: secretSourceSchema
      .optional()
      .describe('The shared secret of an HS256 issuer (Supabase style).'),
    leewaySeconds: z.int().min(0).max(60).default(30),
    lifetimeSecondsMax: z
      .int()
      .min(60)
      .max(31_536_000)
      .default(86_400)
      .describe('Tokens that live longer are refused.'),
    displayClaim: z.string().default('email').describe('The claim shown to people.'),
  })
  .refine(
    (issuer) =>
      [issuer.jwksUrl, issuer.jwksFile, issuer.secret].filter((source) => source !== undefined)
        .length === 1,
    { error: 'an issuer needs exactly one of jwksUrl, jwksFile and secret' },
  )
  .refine(
    (issuer) =>
      (issuer.secret !== undefined) === issuer.algorithms.includes('HS256') &&
      (issuer.secret === undefined || issuer.algorithms.length === 1),
    { error: 'HS256 goes with `secret` and stands alone; every other algorithm goes with keys' },
  );

export type IssuerConfig = z.infer<typeof issuerSchema>;

const selectorSchema = z
  .string()
  .regex(/^(?:group:[\w.@-]+|tag:[\w-]+|[^\s@:]+@[^\s@]+)$/)
  .describe('A user (alice@example.com), group:… or tag:….');

const mappingSchema = z.union([
  z.strictObject({
    issuer: z.string().min(1),
    claim: z
      .string()
      .min(1)
      .max(128)
      .describe('The claim to look at; an e-mail counts only when verified.'),
    value: z
      .string()
      .min(1)
      .max(1_024)
      .optional()
      .describe('The value that it must have or contain; absent: the value itself names the user.'),
    as: z
      .array(selectorSchema)
      .default([])
      .describe(
        'What such a caller is for policy; empty with a claim that is an e-mail: that user.',
      ),
  }),
  z.strictObject({
    key: z.string().min(1).describe('Name or id of a key; `*` is every key.'),
    as: z.array(selectorSchema).min(1),
  }),
  z.strictObject({
    app: z.string().min(1).describe('An attested app id.'),
    as: z.array(selectorSchema).min(1),
  }),
  z.strictObject({
    local: z
      .literal(true)
      .describe(
        'Whoever runs Postern: on the control socket (`postern ask`), and over loopback with `trustLoopback`.',
      ),
    as: z.array(selectorSchema).min(1),
  }),
]);

export type IdentityMapping = z.infer<typeof mappingSchema>;

export const identitiesSchema = z.strictObject({
  issuers: z.array(issuerSchema).max(16).default([]),
  map: z
    .array(mappingSchema)
    .max(10_000)
    .default([])
    .describe(
      'What keys, tokens, apps and the local operator are for policy. Who is not mapped matches no grant.',
    ),
});
