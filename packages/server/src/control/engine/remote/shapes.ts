import { z } from 'zod';

/** Times of API v2: RFC 3339, or empty where there is none; Go's zero time is none too. */
const time = z
  .string()
  .nullish()
  .transform((text) => {
    const ms = Date.parse(text ?? '');
    return Number.isNaN(ms) || ms <= 0 ? undefined : ms;
  });

const texts = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);

const flag = z
  .boolean()
  .nullish()
  .transform((value) => value === true);

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

export const deviceShape = z.object({
  id: z.string(),
  nodeId: text,
  name: text,
  hostname: text,
  addresses: texts,
  user: text,
  tags: texts,
  connectedToControl: flag,
  authorized: flag,
  isEphemeral: flag,
  isExternal: flag,
  nodeKey: text,
  machineKey: text,
  os: text,
  clientVersion: text,
  created: time,
  expires: time,
  keyExpiryDisabled: flag,
  lastSeen: time,
  enabledRoutes: texts,
  advertisedRoutes: texts,
});
export const devicesShape = z.object({
  devices: z
    .array(deviceShape)
    .nullish()
    .transform((list) => list ?? []),
});

const createShape = z.object({
  reusable: flag,
  ephemeral: flag,
  preauthorized: flag,
  tags: texts,
});

export const keyShape = z.object({
  id: z.string(),
  key: z.string().optional(),
  keyType: z.string().optional(),
  description: text,
  created: time,
  expires: time,
  revoked: time,
  invalid: flag,
  capabilities: z.object({ devices: z.object({ create: createShape }).optional() }).nullish(),
});
export const keysShape = z.object({
  keys: z
    .array(keyShape)
    .nullish()
    .transform((list) => list ?? []),
});

export const userShape = z.object({
  id: z.string(),
  loginName: text,
  displayName: text,
  role: text,
  created: time,
  deviceCount: z
    .number()
    .nullish()
    .transform((count) => count ?? 0),
});
export const usersShape = z.object({
  users: z
    .array(userShape)
    .nullish()
    .transform((list) => list ?? []),
});

const resolversShape = z
  .array(z.object({ address: text }))
  .nullish()
  .transform((list) => (list ?? []).map(({ address }) => address));

export const dnsShape = z.object({
  nameservers: resolversShape,
  splitDNS: z
    .record(z.string(), resolversShape)
    .nullish()
    .transform((record) => record ?? {}),
  searchPaths: texts,
  preferences: z.object({ magicDNS: flag, overrideLocalDNS: flag }).nullish(),
});

export const settingsShape = z.object({
  devicesApprovalOn: z.boolean().optional(),
  devicesKeyDurationDays: z.number().optional(),
  usersApprovalOn: z.boolean().optional(),
  networkFlowLoggingOn: z.boolean().optional(),
  httpsEnabled: z.boolean().optional(),
});

/** `acl/validate` answers 200 with a message where it refuses. */
export const verdictShape = z.object({
  message: text,
  data: z.array(z.unknown()).nullish(),
});

export const previewShape = z.object({
  matches: z
    .array(z.object({ users: texts, ports: texts, lineNumber: z.number() }))
    .nullish()
    .transform((list) => list ?? []),
});
