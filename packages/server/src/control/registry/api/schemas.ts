import { z } from '@hono/zod-openapi';
import { isInstanceId, isNodeType, registryLimits } from '@postern/core/registry';

/** The shapes of the registry's API. Names in snake_case, times in RFC 3339 (UTC); unknown members are refused. */

const time = z.iso.datetime({ offset: true }).describe('RFC 3339, such as 2030-01-31T12:00:00Z.');
const { pageMax, leaseMsMin, leaseMsMax } = registryLimits;

export const uuidSchema = z
  .string()
  .refine(isInstanceId, {
    error: 'an instance id has 1 to 128 letters, digits, dots, colons, dashes',
  })
  .describe('Chosen by the machine, the same for as long as it is the same machine.');

const typeSchema = z
  .string()
  .refine(isNodeType, { error: 'a node type has 1 to 63 letters, digits, dots and dashes' })
  .describe('What it serves, such as `instant`.');

export const uuidParams = z.strictObject({ uuid: uuidSchema });
export const typeParams = z.strictObject({ type: typeSchema });

const healthSchema = z
  .strictObject({
    state: z.enum(['unknown', 'passing', 'failing']),
    why: z.string().optional().describe('What is wrong, for people.'),
  })
  .openapi('Health');

export const nodeSchema = z
  .strictObject({
    uuid: z.string(),
    node_type: z.string(),
    hostname: z.string(),
    addresses: z.array(z.string()).describe('The preferred one first.'),
    port: z.int().optional(),
    metadata: z.record(z.string(), z.string()),
    owner: z.string().describe('Who registered it: nobody else may change it.'),
    health: healthSchema,
    lease_seconds: z.number(),
    lease_ends_at: time,
    registered_at: time,
    updated_at: time,
  })
  .openapi('Node');

const leaseSeconds = z
  .number()
  .min(leaseMsMin / 1_000)
  .max(leaseMsMax / 1_000)
  .describe('How long it counts as alive after a heartbeat.');

export const nodePutSchema = z
  .strictObject({
    node_type: typeSchema,
    hostname: z.string(),
    addresses: z.array(z.string()).min(1).describe('IP addresses, the preferred one first.'),
    port: z.int().optional().describe('Where it serves; default: what whoever looks for it says.'),
    metadata: z.record(z.string(), z.string()).default({}),
    lease_seconds: leaseSeconds.default(30),
  })
  .openapi('NodePut');

export const registeredSchema = z
  .strictObject({ node: nodeSchema, created: z.boolean() })
  .openapi('Registered');

export const heartbeatSchema = z
  .strictObject({
    healthy: z
      .boolean()
      .optional()
      .describe('False: it is there but does not serve. Absent: it says nothing about that.'),
    why: z.string().max(200).optional().describe('What is wrong, for people.'),
  })
  .openapi('Heartbeat');

export const renewedSchema = z
  .strictObject({ uuid: z.string(), lease_ends_at: time })
  .openapi('Renewed');

const limit = z.coerce.number().int().min(1).max(pageMax).default(100);
const after = z.string().max(256).optional().describe('`next` of the page before.');

export const pageQuery = z.strictObject({ limit, after });
export const discoverQuery = z.strictObject({
  limit,
  after,
  health: z
    .enum(['any', 'passing'])
    .default('any')
    .describe('`passing`: without those that are known to fail.'),
});

export const nodePageSchema = z
  .strictObject({
    nodes: z.array(nodeSchema),
    count: z.int().describe('Of this page.'),
    next: z.string().optional().describe('Absent: this was the last page.'),
  })
  .openapi('NodePage');

export const typesSchema = z
  .strictObject({
    types: z.array(
      z.strictObject({ node_type: z.string(), nodes: z.int().describe('Live ones.') }),
    ),
  })
  .openapi('Types');

export const groupKeySchema = z
  .strictObject({
    node_type: z.string(),
    epoch: z.int().describe('Rises whenever the key is replaced (registry.rotateKeys).'),
    key: z.string().describe('64 bytes in base64, the same for all members of the type.'),
  })
  .openapi('GroupKey');

export const joinSchema = z
  .strictObject({
    uuid: uuidSchema,
    node_name: z.string().min(1).max(63),
    node_type: typeSchema,
    with_key: z
      .boolean()
      .default(true)
      .describe('False: it is on the network already and only asks what network this is.'),
  })
  .openapi('Join');

export const joinedSchema = z
  .strictObject({
    login_server: z
      .string()
      .nullable()
      .describe('What its tailscaled is told to join; null: no engine runs behind this registry.'),
    auth_key: z
      .string()
      .nullable()
      .describe('For one machine, short-lived, tagged. Null: none was asked for, or to be had.'),
    auth_key_expires_at: time.nullable(),
    why_no_key: z.string().optional(),
    leave_token: z
      .string()
      .optional()
      .describe('With a key: for leaving, so that the engine forgets the machine, too.'),
    group_key: groupKeySchema,
  })
  .openapi('Joined');

export const leaveSchema = z
  .strictObject({
    leave_token: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe('As the join gave it: the engine forgets the machine that joined by its key.'),
  })
  .openapi('Leave');

export const doneSchema = z
  .strictObject({
    left: z.literal(true),
    device: z
      .enum(['removed', 'absent', 'kept'])
      .optional()
      .describe('What became of the machine at the engine, where a leave_token was sent.'),
    why: z.string().optional().describe('Why it was kept.'),
  })
  .openapi('Left');
