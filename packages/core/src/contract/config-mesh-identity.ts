import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

const file = z.string().min(1).max(4_096);
const appId = z.string().regex(/^[0-9a-f]{40}$/);
const trustDomain = z.string().regex(/^[a-z0-9._-]{1,255}$/);

export const meshIdentitySchema = z
  .union([
    z.strictObject({
      agent: z
        .string()
        .min(1)
        .max(1_024)
        .describe(
          'Socket of the dstack guest agent, or `auto`: where dstack’s own clients look for it.',
        ),
    }),
    z.strictObject({
      certificateFile: file.describe('PEM, leaf first; somebody else renews it.'),
      keyFile: file.describe('PEM; refused where anybody but its owner may read it.'),
    }),
    z.strictObject({
      authority: z
        .strictObject({
          url: z
            .url({ protocol: /^https?$/ })
            .describe(
              'Control listener of the Postern that issues. Plain http only inside a private network: the trust bundle comes this way.',
            ),
          app: appId.describe('The app that our join token is for.'),
          token: secretSourceSchema
            .optional()
            .describe('The join token; read only where this machine has not joined.'),
          caFile: file.optional().describe('PEM of authorities of an https url.'),
        })
        .describe('Certificates by Postern’s own authority (`mesh.authority` there).'),
    }),
    z.strictObject({
      spiffe: z
        .strictObject({
          socket: z
            .string()
            .min(1)
            .max(1_024)
            .default('auto')
            .describe(
              'Socket of a SPIFFE Workload API, as `unix:/path` or `/path`; `auto`: SPIFFE_ENDPOINT_SOCKET.',
            ),
          id: z
            .string()
            .regex(/^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/)
            .optional()
            .describe('Which of several identities. Default: the first.'),
        })
        .describe(
          'Certificates and trust bundles by a SPIFFE Workload API, such as SPIRE’s agent.',
        ),
    }),
  ])
  .default({ agent: 'auto' })
  .describe('Where our own certificate comes from; renewed at half of its life.');

export const meshAuthoritySchema = z
  .strictObject({
    trustDomain: trustDomain.describe('Of the SPIFFE IDs in the certificates.'),
    apps: z
      .array(
        z.strictObject({
          app: appId,
          join: z
            .string()
            .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/)
            .describe('Type of node: keys made with `--join TYPE` are join tokens for this app.'),
        }),
      )
      .max(10_000)
      .default([])
      .describe('Which tokens are for which app. Empty: none.'),
    certificateSeconds: z.int().min(120).max(3_600).default(3_600),
    tokens: z
      .enum(['once', 'reusable'])
      .default('once')
      .describe('Whether a token joins one machine or any number.'),
  })
  .optional()
  .describe(
    'Issue certificates for the mesh, on the control listener. Its keys are in the state folder of this machine.',
  );

export const sessionProofSchema = z
  .enum(['off', 'offered', 'required'])
  .default('off')
  .describe(
    'Evidence for each connection besides the certificate’s, bound to its TLS session, so that it cannot be relayed. Needs a guest agent here. `required`: peers that cannot are refused.',
  );

export const attestedJoinSchema = z
  .strictObject({
    apps: z.array(appId).max(10_000).default([]).describe('Apps that may join. Empty: none.'),
    tags: z
      .array(z.string().regex(/^tag:[A-Za-z][A-Za-z0-9-]{0,62}$/))
      .min(1)
      .max(64)
      .default(['tag:attested'])
      .describe('Of the machines that join so.'),
  })
  .optional()
  .describe(
    'Give keys of the network to machines for evidence alone, on the control listener: what it must show, mesh.trust says. Needs the embedded engine.',
  );

export type MeshIdentityConfig = z.infer<typeof meshIdentitySchema>;
export type MeshAuthorityConfig = NonNullable<z.infer<typeof meshAuthoritySchema>>;
