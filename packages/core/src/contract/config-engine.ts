import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

const addressOrOff = z
  .string()
  .regex(/^(?:off|(?:\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}|\d{1,5})$/)
  .optional();

const oidcSchema = z
  .strictObject({
    issuer: z.url().describe('Where people sign in; its discovery document is read from here.'),
    clientId: z.string().min(1).max(512),
    clientSecretEnv: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .optional()
      .describe('The environment variable with the client secret; none for a public client.'),
    allowedDomains: z
      .array(z.string().min(1).max(253))
      .max(1_000)
      .default([])
      .describe(
        'Only verified e-mail addresses of these domains may join; empty: all of the issuer.',
      ),
  })
  .describe('Sign-in of people whose machines join without a key.');

const httpUrl = z.url({ protocol: /^https?$/ });

const headscaleSchema = z
  .strictObject({
    url: httpUrl
      .optional()
      .describe('Its `server_url`, where its API is, too. Default: HEADSCALE_URL.'),
    apiKey: secretSourceSchema.optional().describe('Default: HEADSCALE_API_KEY.'),
  })
  .describe('Where Headscale is, and by what Postern signs on.');

const tailscaleSchema = z
  .strictObject({
    apiKey: secretSourceSchema.optional().describe('An API access token. Default: TS_API_KEY.'),
    clientId: z
      .string()
      .min(1)
      .optional()
      .describe('An OAuth client instead, with its secret. Default: TS_CLIENT_ID.'),
    clientSecret: secretSourceSchema.optional().describe('Default: TS_CLIENT_SECRET.'),
    url: httpUrl.optional().describe('Of the API. Default https://api.tailscale.com.'),
    loginServer: httpUrl
      .optional()
      .describe('What machines are told to join. Default: that of Tailscale.'),
  })
  .describe('By what Postern signs on to Tailscale.');

export const engineSchema = z
  .strictObject({
    kind: z
      .enum(['embedded', 'headscale', 'tailscale'])
      .optional()
      .describe(
        'What coordinates the network. Default embedded, which is off until it has a URL. See `postern network use`.',
      ),
    headscale: headscaleSchema.optional(),
    tailscale: tailscaleSchema.optional(),
    apiAddress: addressOrOff.describe(
      'Of the API of the embedded engine (Tailscale API v2), together with the registry. Default 127.0.0.1:8000 where that is free, `off` for none. Also POSTERN_CONTROL_ADDR.',
    ),
    url: z
      .url()
      .optional()
      .describe('Where machines find this server, such as https://vpn.example.com. Also --url.'),
    tls: z
      .union([
        z.strictObject({ certificateFile: z.string().min(1), keyFile: z.string().min(1) }),
        z.literal('proxy'),
      ])
      .optional()
      .describe('PEM files, or "proxy" behind one that speaks TLS and passes Upgrade on POST.'),
    controlKey: secretSourceSchema
      .optional()
      .describe(
        'The key by which machines know this server, 32 bytes in hex (`openssl rand -hex 32`); the same on all gateways that share PostgreSQL. Absent: made at the first start, in the state folder.',
      ),
    certificateHook: z
      .array(z.string().min(1).max(4_096))
      .min(1)
      .max(64)
      .optional()
      .describe(
        'A program and its first arguments that puts a TXT record into public DNS; the name and the value follow, and it ends with 0 once the record can be seen. With it machines get certificates for their names (`tailscale cert`). Absent: they get none.',
      ),
    address: addressOrOff.describe('Of the coordination listener. Default :8090.'),
    stunAddress: addressOrOff.describe('UDP, default :3478; `off` for none.'),
    derpAddress: addressOrOff.describe(
      'Of the relay, where the URL is plain http; default :3343, `off` for none.',
    ),
    baseDomain: z
      .string()
      .regex(/^(?=.{1,200}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/)
      .optional()
      .describe('Names of machines end in it. Default mesh.internal.'),
    ipv4: z.string().optional().describe('Addresses of machines. Default 100.64.0.0/10.'),
    ipv6: z.string().optional().describe('Default fd7a:115c:a1e0::/48.'),
    keyDays: z
      .int()
      .min(0)
      .max(3_650)
      .optional()
      .describe('How long the key of a person’s machine lives; 0: for ever. Default 180.'),
    deviceApproval: z
      .boolean()
      .optional()
      .describe('Machines wait for an operator, unless their pre-auth key was approved before.'),
    ephemeralMinutes: z
      .int()
      .min(1)
      .max(10_080)
      .optional()
      .describe('How long an ephemeral machine may be away. Default 30.'),
    oidc: oidcSchema.optional(),
    join: z
      .enum(['existing', 'start', 'off'])
      .optional()
      .describe(
        'How this process itself is on the network: by the tailscaled that runs here; by one that it starts where none may be used; or not. Also --join. Default existing.',
      ),
    nodeName: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
      .optional()
      .describe('What its node is called. Default ai.'),
    nodePort: z
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe('Where it listens on its own addresses of the network. Default 80.'),
  })
  .describe('The private network: what coordinates it, and how this process is on it.');

export type EngineSettings = z.infer<typeof engineSchema>;
