import { z } from 'zod';
import { auditSchema } from './config-audit.ts';
import { budgetsSchema, callerLimitsSchema } from './config-budgets.ts';
import { engineSchema } from './config-engine.ts';
import { identitiesSchema } from './config-identities.ts';
import { meshSchema } from './config-mesh.ts';
import { policySchema } from './config-policy.ts';
import { pricesSchema } from './config-prices.ts';
import { modelNameBytesMax, providerSchema } from './config-providers.ts';
import { mcpSchema } from './config-mcp.ts';
import { registrySchema } from './config-registry.ts';
import { routedSchema } from './config-routed.ts';
import { aliasStepSchema } from './config-routing.ts';
import type { SchemaIssue } from './schema-issue.ts';
import { schemaIssues } from './schema-issue.ts';
import { storeSchema } from './config-store.ts';
import { alertsSchema, telemetrySchema } from './config-telemetry.ts';

/**
 * The configuration file. Strict: a key that Postern does not know is an error, because a limit that is misspelt is
 * a limit that does not hold. Every field says what it means; the reference page and the JSON Schema come from here.
 */

const idPattern = /^[a-z0-9][a-z0-9-]{0,31}$/;

const addressSchema = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$|^\d{1,5}$/)
  .describe(
    '`host:port`, `[v6]:port`, `:port` (all addresses) or `port` (both loopback addresses).',
  );

const hostsSchema = z
  .array(z.string().min(1).max(253))
  .default([])
  .describe('More names that Host may have.');

const listenersSchema = z.strictObject({
  gateway: z
    .strictObject({ address: addressSchema.optional(), hosts: hostsSchema })
    .prefault({})
    .describe(
      'Models for callers on this machine or network. Default 8080 on both loopback addresses.',
    ),
  serve: z
    .strictObject({
      enabled: z.boolean().default(false),
      hosts: hostsSchema,
    })
    .prefault({})
    .describe(
      'The unix socket for `tailscale serve`: the only listener that reads its identity headers.',
    ),
  admin: z
    .strictObject({
      address: addressSchema.optional(),
      hosts: hostsSchema,
      enabled: z.boolean().default(true),
    })
    .prefault({})
    .describe('The admin API over TCP. Default 127.0.0.1:8081 when there is a config file.'),
});

const publicEdgeSchema = z
  .strictObject({
    address: addressSchema,
    hosts: z
      .array(z.string().min(1).max(253))
      .min(1)
      .describe(
        'The names by which the public calls it; with TLS files any other Host is refused.',
      ),
    tls: z.union([
      z
        .strictObject({ certificateFile: z.string().min(1), keyFile: z.string().min(1) })
        .describe('PEM files, read again when they change. TLS 1.3 only.'),
      z
        .literal('balancer')
        .describe(
          'Plain HTTP from a balancer named in trustedProxies; any other peer is closed before a byte is read.',
        ),
    ]),
    funnel: z.boolean().default(false).describe('Accept Tailscale Funnel traffic.'),
  })
  .describe('A listener for callers outside the mesh: tokens and keys only.');

const limitsSchema = z.strictObject({
  bodyBytes: z
    .int()
    .min(1_024)
    .max(268_435_456)
    .default(33_554_432)
    .describe('Largest request body. 32 MiB is what the Messages API takes.'),
  connections: z
    .int()
    .min(1)
    .max(100_000)
    .default(10_000)
    .describe('Open connections on one listener.'),
  connectionsPerSource: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe('Open connections from one address.'),
  bodyPauseMs: z
    .int()
    .min(100)
    .max(300_000)
    .default(15_000)
    .describe('How long a request body may pause before the request is given up.'),
  drainDelayMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(0)
    .describe('After SIGTERM, how long to go on accepting while /readyz already says no.'),
  drainMs: z
    .int()
    .min(0)
    .max(3_600_000)
    .default(300_000)
    .describe('How long open answers may run on after SIGTERM.'),
  heartbeatMs: z
    .int()
    .min(1_000)
    .max(300_000)
    .default(15_000)
    .describe('A stream that is silent this long gets a comment.'),
  named: callerLimitsSchema,
  whenStoreDown: z
    .enum(['refuse', 'serve'])
    .default('refuse')
    .describe(
      'What happens to requests that cost money or count under a limit while the store behind budgets or limits does not answer: `refuse` with 503, or `serve` them and charge them afterwards.',
    ),
});

export const configSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors.'),
  providers: z
    .record(z.string().regex(idPattern), providerSchema)
    .default({})
    .describe('Where models run, by id.'),
  aliases: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/), z.array(aliasStepSchema).min(1).max(16))
    .default({})
    .describe(
      'Names such as instant or thinking for an ordered list of provider/model; targets in one object share the requests by weight.',
    ),
  defaultModel: z
    .string()
    .min(1)
    .max(modelNameBytesMax)
    .optional()
    .describe('What answers a request that names no model.'),
  listeners: listenersSchema.prefault({}),
  engine: engineSchema.optional(),
  mesh: meshSchema.optional(),
  registry: registrySchema.optional(),
  publicEdge: publicEdgeSchema.optional(),
  routed: routedSchema.optional(),
  trustedProxies: z
    .array(z.string().min(1))
    .max(256)
    .default([])
    .describe('Addresses or prefixes of proxies whose X-Forwarded-For counts.'),
  trustLoopback: z
    .boolean()
    .default(false)
    .describe(
      'Believe the local operator although there is a configuration file; what they may call, the policy says (`identities.map` with `local`).',
    ),
  identities: identitiesSchema.prefault({}),
  policy: policySchema.prefault({}),
  mcp: mcpSchema.prefault({}),
  limits: limitsSchema.prefault({}),
  budgets: budgetsSchema,
  prices: pricesSchema,
  audit: auditSchema.prefault({}),
  store: storeSchema.optional(),
  telemetry: telemetrySchema.prefault({}),
  alerts: alertsSchema.prefault({}),
});

/** The configuration as parsed: every default filled in. */
export type Config = z.infer<typeof configSchema>;

export function parseConfig(
  value: unknown,
): { readonly config: Config } | { readonly issues: readonly SchemaIssue[] } {
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) return { issues: schemaIssues(configSchema, value, parsed.error) };
  const issues = crossCheck(parsed.data);
  return issues.length > 0 ? { issues } : { config: parsed.data };
}

/** What no single field can know: names that point at each other. */
function crossCheck(config: Config): SchemaIssue[] {
  const issues: SchemaIssue[] = [];
  const providers = new Set([...Object.keys(config.providers), 'builtin']);
  for (const [id, provider] of Object.entries(config.providers)) {
    if ('discover' in provider && provider.discover !== undefined && config.registry === undefined)
      issues.push({ pointer: `/providers/${id}/discover`, message: 'there is no "registry" here' });
  }
  for (const [alias, steps] of Object.entries(config.aliases)) {
    if (providers.has(alias))
      issues.push({
        pointer: `/aliases/${alias}`,
        message: 'an alias cannot have the name of a provider',
      });
    steps.forEach((step, i) => {
      const pointer = `/aliases/${alias}/${i}`;
      for (const target of typeof step === 'string' ? [step] : Object.keys(step)) {
        const provider = target.split('/', 1)[0] ?? '';
        if (!target.includes('/'))
          issues.push({ pointer, message: `"${target}" needs the form provider/model` });
        else if (!providers.has(provider))
          issues.push({ pointer, message: `there is no provider "${provider}"` });
      }
    });
  }
  const issuers = new Set(config.identities.issuers.map((issuer) => issuer.issuer));
  if (issuers.size !== config.identities.issuers.length)
    issues.push({ pointer: '/identities/issuers', message: 'an issuer is listed twice' });
  config.identities.map.forEach((mapping, i) => {
    if ('issuer' in mapping && !issuers.has(mapping.issuer))
      issues.push({
        pointer: `/identities/map/${i}/issuer`,
        message: `no such issuer is configured: ${mapping.issuer}`,
      });
  });
  if (config.publicEdge?.tls === 'balancer' && config.trustedProxies.length === 0) {
    issues.push({
      pointer: '/publicEdge/tls',
      message: 'behind a balancer, trustedProxies must name it',
    });
  }
  return issues;
}

/** JSON Schema of the file, for editors and docs. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' });
}
