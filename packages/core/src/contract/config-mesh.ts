import { z } from 'zod';
import {
  attestedJoinSchema,
  meshAuthoritySchema,
  meshIdentitySchema,
  sessionProofSchema,
} from './config-mesh-identity.ts';

const hex = (digits: string) => z.string().regex(new RegExp(`^[0-9a-fA-F]${digits}$`));
const addressText = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$|^\d{1,5}$/)
  .describe('As in `listeners`: `port`, `:port`, `host:port`.');
const file = z.string().min(1).max(4_096);
const portNumber = z.int().min(1).max(65_535);
const list = <T extends z.ZodType>(item: T) => z.array(item).max(100_000).default([]);

const trustSchema = z
  .strictObject({
    appraisalFile: file
      .optional()
      .describe('Appraisal policy: what evidence must show. Without it no evidence is accepted.'),
    kmsRootsFile: file
      .optional()
      .describe(
        'PEM of KMS roots whose word counts without evidence. A weaker proof: leave it out where every peer has evidence.',
      ),
    bundles: z
      .record(z.string().regex(/^[a-z0-9._-]{1,255}$/), file)
      .default({})
      .describe('SPIFFE bundles (JWK sets) by trust domain.'),
    certificateSecondsMax: z
      .int()
      .min(60)
      .max(31_536_000)
      .default(3_600)
      .describe('Certificates of peers that live longer are refused.'),
    clockSkewSeconds: z.int().min(0).max(900).default(60),
    insecureSimulatorRoot: hex('{64}')
      .optional()
      .describe('Believe a simulator with this root (SHA-256). For tests: it proves nothing.'),
  })
  .prefault({})
  .describe('Whom we believe.');

const revokedSchema = z
  .strictObject({
    apps: list(hex('{40}')),
    instances: list(hex('{1,64}')),
    devices: list(hex('{64}')),
    serials: list(z.string().regex(/^[0-9a-fA-F:]{1,96}$/)),
  })
  .prefault({})
  .describe('Who is refused whatever they show; open connections are cut within 15 s of a reload.');

const serviceSchema = z.strictObject({
  port: portNumber.describe('By which peers and policy know the service.'),
  address: addressText
    .optional()
    .describe('Where we listen for it. Default :8443 for port 443, else all addresses at `port`.'),
  backend: z
    .string()
    .regex(/^(?:registry|unix:\/.{1,100}|127\.0\.0\.1:\d{1,5}|\[::1\]:\d{1,5})$/)
    .describe(
      '`127.0.0.1:port`, `[::1]:port` or `unix:/path`: nothing that others could reach. `registry`: the routes of the registry of this process, for the apps that it allows.',
    ),
  protocol: z
    .enum(['http', 'h2c', 'tcp'])
    .default('http')
    .describe('HTTP/1.1 with upgrades, HTTP/2 (gRPC), or bytes.'),
});

const forwardSchema = z.strictObject({
  address: addressText,
  app: hex('{40}'),
  port: portNumber,
  instance: hex('{1,64}').optional(),
});

export const meshSchema = z
  .strictObject({
    identity: meshIdentitySchema,
    authority: meshAuthoritySchema,
    attestedJoin: attestedJoinSchema,
    sessionProof: sessionProofSchema,
    trust: trustSchema,
    revoked: revokedSchema,
    outbound: z
      .strictObject({
        enabled: z.boolean().default(true),
        address: addressText.optional(),
        hosts: z.array(z.string().min(1).max(253)).max(64).default([]),
        gatewayDomain: z
          .string()
          .max(300)
          .optional()
          .describe('Apps are found at <app>-<port>s.<domain>; `fixed/host:port` for one place.'),
        gatewayUrls: z
          .array(z.url({ protocol: /^https?$/ }).max(500))
          .max(8)
          .default([])
          .describe(
            'Gateways that are asked for the domain (`/prpc/Info`) where none is written. It counts once a call to ourselves through it arrives.',
          ),
        targets: z
          .record(
            z.string().regex(/^[0-9a-fA-F]{40}(?:\/[0-9a-fA-F]{1,64})?:\d{1,5}$/),
            z.array(z.string().min(1).max(300)).min(1).max(8),
          )
          .default({})
          .describe('`app:port` or `app/instance:port` → addresses, before anything else.'),
        bodyBytes: z.int().min(1_024).max(1_099_511_627_776).default(1_073_741_824),
      })
      .prefault({})
      .describe('The door for local programs. Default 8091 on both loopback addresses.'),
    auth: z
      .strictObject({
        enabled: z.boolean().default(false),
        address: addressText.optional(),
        port: portNumber.default(443).describe('The service behind nginx, for policy.'),
      })
      .prefault({})
      .describe('Answers nginx’s auth_request. Default 8092 on both loopback addresses.'),
    inbound: z.array(serviceSchema).max(256).default([]).describe('Services for peers.'),
    forwards: z
      .array(forwardSchema)
      .max(256)
      .default([])
      .describe('Local ports that lead to apps.'),
    agentPassthrough: z
      .array(z.enum(['Info', 'GetQuote']))
      .max(2)
      .default([])
      .describe('Methods of the guest agent that unrouted requests may call.'),
  })
  .describe('The attested mesh: calls to and from apps on other machines, both ends judged.');

export type MeshConfig = z.infer<typeof meshSchema>;
