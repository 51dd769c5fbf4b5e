import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

/** How a provider is used when it is busy, failing or asleep, and by which way it is reached. */

const whileAwaySchema = z
  .enum(['nextTarget', 'wait'])
  .default('nextTarget')
  .describe(
    '`nextTarget`: another target of the alias that can answer now goes first, and only where none can does a request wait. `wait`: a request waits here although another could answer.',
  );

const queueSchema = z
  .strictObject({
    length: z
      .int()
      .min(0)
      .max(10_000)
      .default(64)
      .describe('How many requests may wait; 0: nobody waits.'),
    waitMs: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(30_000)
      .describe('How long one may wait for its turn.'),
    whileBusy: whileAwaySchema,
  })
  .describe('Who waits while `maxConcurrent` requests are running. Callers take turns.');

const healthSchema = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[^\s#]*$/)
      .optional()
      .describe(
        'Path from the root of the server, answered with 200 when it is well (/health). Default: its list of models.',
      ),
    intervalMs: z.int().min(500).max(3_600_000).default(10_000).describe('Between two checks.'),
    timeoutMs: z.int().min(100).max(60_000).default(2_000).describe('How long one check may take.'),
    unhealthyAfter: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('Checks that fail in a row until nothing is sent there.'),
    healthyAfter: z
      .int()
      .min(1)
      .max(100)
      .default(1)
      .describe('Checks that succeed in a row until it is used again.'),
  })
  .describe('Checks of its own, beside what requests show. Left out: none.');

const breakerSchema = z
  .strictObject({
    failures: z
      .int()
      .min(1)
      .max(1_000)
      .default(5)
      .describe('Failures in a row, without a success between them, that open it.'),
    windowMs: z
      .int()
      .min(1_000)
      .max(3_600_000)
      .default(30_000)
      .describe('Failures that lie further apart than this are not in a row.'),
    openMs: z
      .int()
      .min(100)
      .max(3_600_000)
      .default(5_000)
      .describe('How long nothing is sent; each trial that fails doubles it.'),
    openMsMax: z.int().min(100).max(3_600_000).default(60_000).describe('Up to this.'),
  })
  .describe(
    'When a model of this provider fails, nothing is sent to it for a while. false: never.',
  );

const retrySchema = z
  .strictObject({
    times: z
      .int()
      .min(0)
      .max(5)
      .default(1)
      .describe('How often one request goes to the same target again, before its first byte.'),
    ratio: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .describe('Retries that are added to the load at most, as a share of all requests.'),
    burst: z.int().min(0).max(1_000).default(10).describe('Retries that are saved up at most.'),
  })
  .describe(
    'Repetitions at the same target where no other is left: after a failed connection, a 500 or 502, and a 429, 503 or 529 that says when to come back. No wait over a second is slept; the caller is told then.',
  );

const macPattern = /^[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}$/;

const wakeBySchema = z.union([
  z.strictObject({
    lan: z
      .strictObject({
        mac: z.string().regex(macPattern).describe('Address of its network card.'),
        address: z
          .string()
          .min(1)
          .max(253)
          .default('255.255.255.255')
          .describe('Where the packet goes: the broadcast address of its network.'),
        port: z.int().min(1).max(65_535).default(9),
        password: z
          .string()
          .regex(macPattern)
          .optional()
          .describe('SecureOn password of the card. It goes over the network in plain text.'),
      })
      .describe('Wake-on-LAN: a magic packet by UDP.'),
  }),
  z.strictObject({
    command: z
      .array(z.string().min(1).max(4_096))
      .min(1)
      .max(64)
      .describe('A program and its arguments; no shell. Exit code 0 means that it was woken.'),
  }),
  z.strictObject({
    http: z
      .strictObject({
        url: z.url({ protocol: /^https?$/ }),
        method: z.enum(['POST', 'PUT', 'GET']).default('POST'),
        bearer: secretSourceSchema.optional().describe('Token of the Authorization header.'),
        body: z.string().max(65_536).optional().describe('Sent as application/json.'),
      })
      .describe('A call to whatever can switch it on. Any status 2xx means that it was woken.'),
  }),
]);

export type WakeBy = z.infer<typeof wakeBySchema>;

const wakeSchema = z
  .strictObject({
    by: wakeBySchema,
    readyMs: z
      .int()
      .min(1_000)
      .max(3_600_000)
      .default(180_000)
      .describe('How long it may take from waking to answering; requests wait for at most this.'),
    pollMs: z
      .int()
      .min(100)
      .max(60_000)
      .default(2_000)
      .describe('How often it is asked whether it answers by now.'),
    again: z
      .int()
      .min(0)
      .max(100)
      .default(2)
      .describe('How often waking is repeated while it does not answer.'),
    warmUp: z
      .array(z.string().min(1).max(256))
      .max(16)
      .default([])
      .describe('Models that are asked for one token before the first request goes there.'),
    whileAsleep: whileAwaySchema,
  })
  .describe('How a machine that sleeps is switched on when somebody asks for a model of it.');

const hostPort = String.raw`(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}`;
const proxyUrlSchema = z
  .string()
  .regex(new RegExp(String.raw`^(?:socks5h|http)://${hostPort}/?$`))
  .describe('socks5h://HOST:PORT or http://HOST:PORT.');

export const viaSchema = z
  .union([
    z.enum(['direct', 'environment']),
    proxyUrlSchema,
    z.strictObject({
      url: proxyUrlSchema,
      user: z.string().min(1).max(255),
      password: secretSourceSchema,
    }),
  ])
  .default('direct')
  .describe(
    'The way to this provider: `direct`; a SOCKS5 proxy (a userspace tailscaled has one) or an HTTP proxy with CONNECT, which also resolve the name; or `environment`: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say. These variables count only here.',
  );

export type ViaConfig = z.infer<typeof viaSchema>;

/** Fields of every provider that is reached over a network. */
export const providerRouting = {
  maxConcurrent: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('Requests that run there at the same time; the others wait in `queue`.'),
  queue: queueSchema.prefault({}),
  health: healthSchema.optional(),
  breaker: z.union([z.literal(false), breakerSchema]).prefault({}),
  retry: retrySchema.prefault({}),
  wake: wakeSchema.optional(),
};

/** One step of an alias: a target, or targets that share its requests by weight. */
export const aliasStepSchema = z.union([
  z.string().min(3).max(256),
  z
    .record(z.string().min(3).max(256), z.int().min(1).max(1_000))
    .refine((targets) => Object.keys(targets).length > 0, { error: 'names no target' })
    .describe('Targets with their weights: {"a/m": 3, "b/m": 1}.'),
]);

export type AliasStep = z.infer<typeof aliasStepSchema>;
