import type { Instance } from '@postern/core/registry';
import type { Guard } from './decode.ts';
import { count, list, literal, object, objectWith, record, text } from './decode.ts';
import type { RegistryStateEvent } from './registry-command.ts';
import type { Group, RegistryParts } from './registry-state.ts';

const instance: Guard<Instance> = objectWith(
  {
    uuid: text,
    nodeType: text,
    hostname: text,
    addresses: list(text),
    metadata: record(text),
    owner: text,
    leaseMs: count,
    registeredAtMs: count,
    updatedAtMs: count,
  },
  { port: count },
);

const group: Guard<Group> = object({ nodeType: text, epoch: count, rotatedAtMs: count });

/** One shape for each event of the registry, for the table of all events. */
export const registryEvents: Readonly<
  Record<RegistryStateEvent['kind'], Guard<RegistryStateEvent>>
> = {
  'instance.saved': object({ kind: literal('instance.saved'), instance }),
  'instances.removed': object({
    kind: literal('instances.removed'),
    uuids: list(text),
    cause: literal('left', 'expired'),
  }),
  'group.rotated': object({
    kind: literal('group.rotated'),
    nodeType: text,
    epoch: count,
    atMs: count,
  }),
};

export const registryShape: Guard<RegistryParts> = object({
  instances: list(instance),
  groups: list(group),
});
