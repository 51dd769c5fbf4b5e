import { present, unreachable } from '@postern/core/base';
import type { Instance, Roster } from '@postern/core/registry';
import { withMember, withoutMember } from '@postern/core/registry';
import type { RegistryStateEvent } from './registry-command.ts';
import { Table } from './table.ts';

/** The epoch of the key that the members of a type share. The key itself is nowhere in the state. */
export interface Group {
  /** Empty: all types together. */
  readonly nodeType: string;
  readonly epoch: number;
  readonly rotatedAtMs: number;
}

interface Owned {
  readonly count: number;
}

export interface RegistryState {
  readonly instancesById: Table<Instance>;
  /** Types that have members; each in the order of ids. */
  readonly rosters: Table<Roster>;
  /** Types that have members, in order. */
  readonly types: readonly string[];
  readonly owners: Table<Owned>;
  /** Those that were rotated ever; any other is in its first epoch. */
  readonly groups: Table<Group>;
}

export const emptyRegistry: RegistryState = Object.freeze({
  instancesById: Table.empty<Instance>(),
  rosters: Table.empty<Roster>(),
  types: Object.freeze([]),
  owners: Table.empty<Owned>(),
  groups: Table.empty<Group>(),
});

const firstEpoch = 1;

export function rosterOf(registry: RegistryState, nodeType: string): Roster {
  return registry.rosters.get(nodeType) ?? [];
}

export function epochOf(registry: RegistryState, nodeType: string): number {
  return registry.groups.get(nodeType)?.epoch ?? firstEpoch;
}

export function ownedBy(registry: RegistryState, owner: string): number {
  return registry.owners.get(owner)?.count ?? 0;
}

/** What a registry adds up to, as a text keeps it. */
export interface RegistryParts {
  readonly instances: readonly Instance[];
  readonly groups: readonly Group[];
}

export function registryParts({ instancesById, groups }: RegistryState): RegistryParts {
  return {
    instances: [...instancesById.values()].toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1)),
    groups: [...groups.values()].toSorted((a, b) => (a.nodeType < b.nodeType ? -1 : 1)),
  };
}

export function registryOf({ instances, groups }: RegistryParts): RegistryState {
  const ordered = instances.toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1));
  const rosters = Map.groupBy(ordered, ({ nodeType }) => nodeType);
  const owners = Map.groupBy(ordered, ({ owner }) => owner);
  return Object.freeze({
    instancesById: Table.of(ordered.map((each) => [each.uuid, each])),
    rosters: Table.of([...rosters]),
    types: [...rosters.keys()].toSorted(),
    owners: Table.of([...owners].map(([owner, { length }]) => [owner, { count: length }])),
    groups: Table.of(groups.map((group) => [group.nodeType, group])),
  });
}

export function reduceRegistry(registry: RegistryState, event: RegistryStateEvent): RegistryState {
  switch (event.kind) {
    case 'instance.saved': {
      const instance = frozenInstance(event.instance);
      const before = registry.instancesById.get(instance.uuid);
      if (before?.nodeType === instance.nodeType && before.owner === instance.owner) {
        const roster = withMember(rosterOf(registry, instance.nodeType), instance);
        return {
          ...registry,
          instancesById: registry.instancesById.set(instance.uuid, instance),
          rosters: registry.rosters.set(instance.nodeType, roster),
        };
      }
      return withInstance(before === undefined ? registry : without(registry, before), instance);
    }
    case 'instances.removed':
      return event.uuids.reduce(
        (state, uuid) =>
          without(state, present(state.instancesById.get(uuid), `instance ${uuid} to remove`)),
        registry,
      );
    case 'group.rotated': {
      const { nodeType, epoch, atMs: rotatedAtMs } = event;
      return {
        ...registry,
        groups: registry.groups.set(nodeType, { nodeType, epoch, rotatedAtMs }),
      };
    }
    default:
      return unreachable(event);
  }
}

function withInstance(registry: RegistryState, instance: Instance): RegistryState {
  const { uuid, nodeType, owner } = instance;
  const isNewType = !registry.rosters.has(nodeType);
  return {
    ...registry,
    instancesById: registry.instancesById.set(uuid, instance),
    rosters: registry.rosters.set(nodeType, withMember(rosterOf(registry, nodeType), instance)),
    types: isNewType ? [...registry.types, nodeType].toSorted() : registry.types,
    owners: registry.owners.set(owner, { count: ownedBy(registry, owner) + 1 }),
  };
}

function without(registry: RegistryState, instance: Instance): RegistryState {
  const { uuid, nodeType, owner } = instance;
  const roster = withoutMember(rosterOf(registry, nodeType), uuid);
  const left = ownedBy(registry, owner) - 1;
  const isLast = roster.length === 0;
  return {
    ...registry,
    instancesById: registry.instancesById.delete(uuid),
    rosters: isLast ? registry.rosters.delete(nodeType) : registry.rosters.set(nodeType, roster),
    types: isLast ? registry.types.filter((type) => type !== nodeType) : registry.types,
    owners: left <= 0 ? registry.owners.delete(owner) : registry.owners.set(owner, { count: left }),
  };
}

/** A copy of its own: the events of a command may share lists with whoever sent it. */
function frozenInstance(instance: Instance): Instance {
  return Object.freeze({
    ...instance,
    addresses: Object.freeze([...instance.addresses]),
    metadata: Object.freeze({ ...instance.metadata }),
  });
}
