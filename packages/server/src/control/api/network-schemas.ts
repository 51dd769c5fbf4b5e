import { z } from '@hono/zod-openapi';
import { userRoles } from '@postern/core/state';
import { engineKinds } from '../engine/ports.ts';

const time = z.iso.datetime({ offset: true });
const login = z.string().describe('Such as alice@example.com.');
const tags = z.array(z.string()).describe('Such as tag:ci. A node with tags belongs to nobody.');

export const nodeSchema = z
  .strictObject({
    id: z.string(),
    name: z.string().describe('The label of its name.'),
    fqdn: z.string().optional().describe('The whole name, while the engine runs.'),
    named: z.boolean().describe('Somebody chose the name; it does not follow the host.'),
    user: login.optional(),
    tags,
    addresses: z.array(z.string()),
    approved: z.boolean(),
    ephemeral: z.boolean(),
    expired: z.boolean(),
    key_expires_at: time.optional().describe('Absent: its key does not expire.'),
    node_key: z.string(),
    machine_key: z.string(),
    created_at: time,
    admitted_by: z.string().optional().describe('Id of the pre-auth key.'),
    routes: z
      .strictObject({
        advertised: z.array(z.string()),
        approved: z.array(z.string()),
      })
      .describe('What it offers to route and what it may. Both are needed.'),
    online: z.boolean(),
    last_seen: time.optional(),
    os: z.string().optional(),
    client_version: z.string().optional(),
    hostname: z.string().optional(),
    endpoints: z.array(z.string()).optional(),
    relay: z.int().optional(),
  })
  .openapi('Node');

export const waitingSchema = z
  .strictObject({
    id: z.string(),
    hostname: z.string(),
    os: z.string(),
    machine_key: z.string(),
    url: z.string().describe('The sign-in page that it showed.'),
    since: time,
    expires_at: time,
  })
  .openapi('WaitingMachine');

export const nodeApproveSchema = z
  .strictObject({
    user: login
      .optional()
      .describe('Whose machine it becomes, where it waits at its sign-in page.'),
    tags: tags.optional(),
  })
  .openapi('NodeApprove');

export const nodeRenameSchema = z
  .strictObject({
    name: z
      .string()
      .optional()
      .describe('A label in lower case. Absent: it follows the host name again.'),
  })
  .openapi('NodeRename');

export const nodeTagSchema = z.strictObject({ tags }).openapi('NodeTag');

export const nodeRoutesSchema = z
  .strictObject({
    approved: z.array(z.string()).describe('All prefixes that it may route from now on.'),
  })
  .openapi('NodeRoutes');

export const preAuthKeySchema = z
  .strictObject({
    id: z.string(),
    hint: z.string().describe('The last four characters of the secret.'),
    standing: z.enum(['active', 'used', 'expired', 'revoked']),
    user: login.optional(),
    tags,
    reusable: z.boolean(),
    ephemeral: z.boolean(),
    pre_approved: z.boolean(),
    created_by: z.string(),
    created_at: time,
    expires_at: time,
    used_at: time.optional(),
    description: z.string().optional(),
  })
  .openapi('PreAuthKey');

export const preAuthKeyCreateSchema = z
  .strictObject({
    user: login.optional(),
    tags: tags.default([]),
    reusable: z.boolean().default(false).describe('More than one machine may join by it.'),
    ephemeral: z.boolean().default(false).describe('Its machines are forgotten when they go away.'),
    pre_approved: z.boolean().default(true).describe('Its machines need no approval.'),
    lifetime_seconds: z
      .int()
      .min(1)
      .max(366 * 86_400)
      .default(3_600),
    description: z.string().max(500).optional(),
  })
  .openapi('PreAuthKeyCreate');

export const createdPreAuthKeySchema = z
  .strictObject({
    key: preAuthKeySchema,
    secret: z.string().describe('The key itself. It is shown this once and kept nowhere.'),
    command: z.string().optional().describe('What to type on the machine.'),
  })
  .openapi('CreatedPreAuthKey');

export const networkUserSchema = z
  .strictObject({
    id: z.string(),
    login,
    display_name: z.string(),
    authority: z.string(),
    role: z.enum(userRoles).optional().describe('What policies name as `autogroup:admin`, …'),
    created_at: time,
    nodes: z.int(),
  })
  .openapi('NetworkUser');

export const userRoleSchema = z
  .strictObject({
    role: z.enum(userRoles).optional().describe('Absent: a member and nothing else.'),
  })
  .openapi('NetworkUserRole');

export const adoptSchema = z
  .strictObject({
    nodes: z
      .array(
        z
          .object({
            id: z.string().optional().describe('Kept where it is free, such as n7.'),
            name: z.string(),
            named: z.boolean().default(false),
            user: login.optional(),
            tags: tags.default([]),
            addresses: z.array(z.string()),
            approved: z.boolean().default(true),
            ephemeral: z.boolean().default(false),
            key_expires_at: time.optional(),
            node_key: z.string(),
            machine_key: z.string(),
            created_at: time.optional(),
            routes: z.object({ approved: z.array(z.string()) }).default({ approved: [] }),
          })
          .describe('A machine as `node.list` shows it. What it reported is passed over.'),
      )
      .max(1_000),
  })
  .openapi('NetworkAdopt');

export const adoptedSchema = z
  .strictObject({
    adopted: z.array(z.string()).describe('Names of the machines that are known now.'),
    known: z.array(z.string()).describe('Those that were here already.'),
    refused: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
  })
  .openapi('NetworkAdopted');

export const engineSyncSchema = z
  .strictObject({
    state: z.enum(['none', 'same', 'behind', 'changed', 'unknown']),
    problem: z.string().optional(),
    etag: z.string().optional(),
  })
  .openapi('EngineSync');

export const enginePolicySchema = z
  .strictObject({
    text: z.string(),
    etag: z.string().describe('Names exactly this text.'),
    state: z
      .enum(['none', 'same', 'behind', 'changed', 'unknown'])
      .describe('How it stands to the one in force here; `changed`: somebody else wrote it.'),
  })
  .openapi('EnginePolicy');

export const networkStatusSchema = z
  .strictObject({
    running: z.boolean(),
    url: z.string().optional(),
    control_key: z.string().optional().describe('By what clients know this server.'),
    base_domain: z.string().optional(),
    ipv4: z.string().optional(),
    ipv6: z.string().optional(),
    relay: z.string().optional(),
    serves: z
      .boolean()
      .optional()
      .describe('Machines are served here: false on a gateway that follows another one.'),
    streams: z.int().optional().describe('Machines that follow their map now.'),
    nodes: z.int(),
    online: z.int(),
    waiting_for_approval: z.int(),
    waiting_for_sign_in: z.array(waitingSchema),
    users: z.int(),
    policy_version: z.int().describe('0: no policy, so no machine reaches another.'),
    engine: z
      .strictObject({
        kind: z.enum(engineKinds),
        url: z.string(),
        version: z.string().optional(),
        api: z.enum(['journal', 'v1', 'v2']).optional(),
        capabilities: z.array(z.string()).describe('What it can do besides what all can.'),
        problem: z.string().optional().describe('Why it cannot be used now.'),
        policy: engineSyncSchema.optional().describe('How its policy stands to ours.'),
      })
      .optional()
      .describe('What coordinates the network.'),
    gateway: z
      .strictObject({
        state: z.enum(['off', 'joining', 'up', 'down']),
        mode: z.enum(['kernel', 'userspace']).optional(),
        name: z.string().optional(),
        addresses: z.array(z.string()),
        problem: z.string().optional(),
      })
      .optional()
      .describe('How this process itself is on the network.'),
  })
  .openapi('NetworkStatus');

export const dnsSchema = z
  .strictObject({
    magic_dns: z.boolean(),
    nameservers: z.array(z.string()).describe('Addresses, or URLs of DNS over HTTPS.'),
    override_local: z.boolean().describe('They replace what the machine has.'),
    routes: z
      .array(z.strictObject({ domain: z.string(), resolvers: z.array(z.string()) }))
      .describe('Split DNS: whose names are asked where.'),
    search_domains: z.array(z.string()),
    extra_records: z.array(
      z.strictObject({ name: z.string(), type: z.enum(['A', 'AAAA']), value: z.string() }),
    ),
  })
  .openapi('DnsSettings');
