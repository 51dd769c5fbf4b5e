import { z } from 'zod';

/** Zero times are "never", as is Go's own (year 1). */
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

/** grpc-gateway writes uint64 as text; 0.30 may write numbers. */
const id = z.union([z.string(), z.number()]).transform(String);

export const userShape = z.object({
  id,
  name: text,
  email: text,
  displayName: text,
  createdAt: time,
});
export const usersShape = z.object({
  users: z
    .array(userShape)
    .nullish()
    .transform((list) => list ?? []),
});

export const keyShape = z.object({
  id,
  key: text,
  reusable: flag,
  ephemeral: flag,
  used: flag,
  expiration: time,
  createdAt: time,
  aclTags: texts,
  user: userShape.nullish(),
});
export const createdKeyShape = z.object({ preAuthKey: keyShape });
export const keysShape = z.object({
  preAuthKeys: z
    .array(keyShape)
    .nullish()
    .transform((list) => list ?? []),
});

export const nodeShape = z.object({
  id,
  machineKey: text,
  nodeKey: text,
  ipAddresses: texts,
  name: text,
  givenName: text,
  user: userShape.nullish(),
  lastSeen: time,
  expiry: time,
  createdAt: time,
  preAuthKey: keyShape.nullish(),
  online: flag,
  approvedRoutes: texts,
  availableRoutes: texts,
  tags: texts,
});
export const oneNodeShape = z.object({ node: nodeShape });
export const nodesShape = z.object({
  nodes: z
    .array(nodeShape)
    .nullish()
    .transform((list) => list ?? []),
});

export const policyShape = z.object({ policy: text });
export const versionShape = z.object({ version: text });
