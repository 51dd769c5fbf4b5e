import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Instance } from '@postern/core/registry';
import {
  claimFlaw,
  isInstanceId,
  isNodeType,
  isSameClaim,
  registryLimits,
} from '@postern/core/registry';
import type { StateEvent } from './command.ts';
import type { Decision } from './decision.ts';
import type { RegistryCommand, Rotation } from './registry-command.ts';
import type { RegistryState } from './registry-state.ts';
import { epochOf, ownedBy, rosterOf } from './registry-state.ts';

type Of<K extends RegistryCommand['kind']> = Extract<RegistryCommand, { kind: K }>;

/** The first thing wrong with a command of the registry, whatever the state. */
export function registryCommandFlaw(command: RegistryCommand): Refusal | undefined {
  switch (command.kind) {
    case 'instance.register':
      return claimFlaw(command.claim) ?? ownerFlaw(command.owner);
    case 'instance.leave':
      return isInstanceId(command.uuid) ? undefined : invalid('uuid', 'This is no instance id.');
    case 'instances.expire':
      return command.leases.length <= registryLimits.expiredMax
        ? undefined
        : invalid('leases', `At most ${registryLimits.expiredMax} leases end at once.`);
    case 'group.rotate':
      return command.nodeType === '' || isNodeType(command.nodeType)
        ? undefined
        : invalid('node_type', 'This is no node type.');
    default:
      return command satisfies never;
  }
}

/** Registers, updates, or finds that all of it is so already. Only its owner changes what is registered. */
export function registerInstance(
  registry: RegistryState,
  { claim, owner, rotation }: Of<'instance.register'>,
  nowMs: number,
): Decision {
  const before = registry.instancesById.get(claim.uuid);
  if (before !== undefined && before.owner !== owner) return refuseForeign(claim.uuid);
  if (before !== undefined && isSameClaim(before, claim)) return ok([]);
  const moves = before?.nodeType !== claim.nodeType;
  const full = moves
    ? fullness(registry, claim.nodeType, before === undefined ? owner : undefined)
    : undefined;
  if (full !== undefined) return err(full);
  const { port, ...said } = claim;
  const instance: Instance = {
    ...said,
    ...(port === undefined ? {} : { port }),
    owner,
    registeredAtMs: before?.registeredAtMs ?? nowMs,
    updatedAtMs: nowMs,
  };
  const left = moves && before !== undefined && rotation !== 'never' ? [before.nodeType] : [];
  const joined = moves && rotation === 'change' ? [claim.nodeType] : [];
  return ok([
    { kind: 'instance.saved', instance },
    ...rotations(registry, [...left, ...joined], nowMs),
  ]);
}

/** To leave twice is no mistake: whoever crashed in between asks again. */
export function leaveInstance(
  registry: RegistryState,
  { uuid, owner, rotation }: Of<'instance.leave'>,
  nowMs: number,
): Decision {
  const instance = registry.instancesById.get(uuid);
  if (instance === undefined) return ok([]);
  if (owner !== undefined && instance.owner !== owner) return refuseForeign(uuid);
  return ok(removal(registry, [instance], { cause: 'left', rotation, nowMs }));
}

export function expireInstances(
  registry: RegistryState,
  { leases, rotation }: Of<'instances.expire'>,
  nowMs: number,
): Decision {
  const over = new Map(
    leases.flatMap(({ uuid, updatedAtMs }) => {
      const instance = registry.instancesById.get(uuid);
      return instance?.updatedAtMs === updatedAtMs ? [[uuid, instance] as const] : [];
    }),
  );
  if (over.size === 0) return ok([]);
  return ok(removal(registry, [...over.values()], { cause: 'expired', rotation, nowMs }));
}

export function rotateGroup(
  registry: RegistryState,
  { nodeType }: Of<'group.rotate'>,
  nowMs: number,
): Decision {
  if (nodeType !== '' && !registry.rosters.has(nodeType) && !registry.groups.has(nodeType)) {
    return refuse('not_found', `There is no node of type ${nodeType}.`, { param: 'node_type' });
  }
  const epoch = epochOf(registry, nodeType) + 1;
  return ok([{ kind: 'group.rotated', nodeType, epoch, atMs: nowMs }]);
}

function removal(
  registry: RegistryState,
  gone: readonly Instance[],
  how: {
    readonly cause: 'left' | 'expired';
    readonly rotation: Rotation;
    readonly nowMs: number;
  },
): readonly StateEvent[] {
  const types = how.rotation === 'never' ? [] : gone.map(({ nodeType }) => nodeType);
  return [
    { kind: 'instances.removed', uuids: gone.map(({ uuid }) => uuid), cause: how.cause },
    ...rotations(registry, types, how.nowMs),
  ];
}

/** Who has joined without a type shares no key with others of none. */
function rotations(
  registry: RegistryState,
  types: readonly string[],
  atMs: number,
): readonly StateEvent[] {
  return [...new Set(types)]
    .filter((nodeType) => nodeType !== '')
    .map((nodeType) => ({
      kind: 'group.rotated',
      nodeType,
      epoch: epochOf(registry, nodeType) + 1,
      atMs,
    }));
}

function fullness(
  registry: RegistryState,
  nodeType: string,
  newOwner: string | undefined,
): Refusal | undefined {
  const { instancesMax, instancesPerOwnerMax, membersPerTypeMax, typesMax } = registryLimits;
  const members = rosterOf(registry, nodeType).length;
  if (members >= membersPerTypeMax) return tooMany(`instances of one type`, membersPerTypeMax);
  if (members === 0 && registry.types.length >= typesMax) return tooMany('types', typesMax);
  if (newOwner === undefined) return undefined;
  if (registry.instancesById.size >= instancesMax) return tooMany('instances', instancesMax);
  if (ownedBy(registry, newOwner) >= instancesPerOwnerMax)
    return tooMany('instances of one owner', instancesPerOwnerMax);
  return undefined;
}

function ownerFlaw(owner: string): Refusal | undefined {
  const ownerCharsMax = 1_024;
  return owner !== '' && owner.length <= ownerCharsMax
    ? undefined
    : invalid('owner', 'An owner has a name.');
}

function tooMany(what: string, max: number): Refusal {
  return refusal('conflict', `The registry holds at most ${max} ${what}.`);
}

/** It does not say whose it is. */
function refuseForeign(uuid: string): Decision {
  return refuse('access_denied', `The instance ${uuid} was registered by somebody else.`, {
    param: 'uuid',
  });
}

function invalid(param: string, message: string): Refusal {
  return { ...refusal('invalid_request', `${param}: ${message}`), param };
}
