import { present, unreachable } from '@postern/core/base';
import type { StateEvent } from './command.ts';
import { stateLimits } from './limits.ts';
import type {
  ConfigGeneration,
  KeyRecord,
  PolicyState,
  Revocation,
  RevocationTarget,
  State,
} from './model.ts';
import type { ContainmentParts } from './containment-state.ts';
import { containmentOf, emptyContainment, reduceContainment } from './containment-state.ts';
import type { NetworkParts } from './network-state.ts';
import { emptyNetwork, networkOf, reduceNetwork } from './network-state.ts';
import { emptyPolicy, reducePolicy } from './policy-state.ts';
import type { RegistryParts } from './registry-state.ts';
import { emptyRegistry, reduceRegistry, registryOf } from './registry-state.ts';
import { Table } from './table.ts';

export function emptyState(): State {
  return Object.freeze({
    keysById: Table.empty<KeyRecord>(),
    keysByDigest: Table.empty<KeyRecord>(),
    keysByName: Table.empty<KeyRecord>(),
    revocationsById: Table.empty<Revocation>(),
    revocationsByTarget: Table.empty<Revocation>(),
    generations: Object.freeze([]),
    policy: emptyPolicy,
    network: emptyNetwork,
    registry: emptyRegistry,
    containment: emptyContainment,
  });
}

/** The state after a fact. Facts come from `decide` or from a journal whose chain verified: one that does not fit is a fault. */
export function reduce(state: State, event: StateEvent): State {
  switch (event.kind) {
    case 'key.created':
      return withKey(state, event.key);
    case 'key.revoked': {
      const { id, atMs, reason } = event;
      const key = present(state.keysById.get(id), `key ${id} to revoke`);
      return withKey(state, {
        ...key,
        revokedAtMs: atMs,
        ...(reason === undefined ? {} : { revokedReason: reason }),
      });
    }
    case 'keys.dropped':
      return event.ids.reduce(withoutKey, state);
    case 'revocation.created':
      return withRevocation(state, event.revocation);
    case 'revocation.lifted':
      return withoutRevocation(state, event.id);
    case 'revocations.dropped':
      return event.ids.reduce(withoutRevocation, state);
    case 'config.applied': {
      const generation = Object.freeze({ ...event.generation });
      const kept = state.generations.slice(0, stateLimits.generationsKept - 1);
      return Object.freeze({ ...state, generations: Object.freeze([generation, ...kept]) });
    }
    case 'policy.applied':
    case 'policy.confirmed':
    case 'policy.rolled_back':
    case 'plan.created':
    case 'plan.approved':
    case 'plans.dropped':
      return Object.freeze({ ...state, policy: deepFrozen(reducePolicy(state.policy, event)) });
    case 'user.saved':
    case 'preauthkey.saved':
    case 'preauthkeys.dropped':
    case 'node.saved':
    case 'node.removed':
    case 'dns.changed':
      return Object.freeze({
        ...state,
        network: Object.freeze(reduceNetwork(state.network, deepFrozen(structuredClone(event)))),
      });
    case 'instance.saved':
    case 'instances.removed':
    case 'group.rotated':
      return Object.freeze({
        ...state,
        registry: Object.freeze(reduceRegistry(state.registry, event)),
      });
    case 'block.created':
    case 'blocks.dropped':
    case 'isolation.began':
    case 'isolation.ended':
    case 'incident.noted':
      return Object.freeze({
        ...state,
        containment: Object.freeze(
          reduceContainment(state.containment, deepFrozen(structuredClone(event))),
        ),
      });
    case 'state.restored':
      return state;
    default:
      return unreachable(event);
  }
}

/**
 * The state that holds these: each id once, the newest generation first. The parts become the state's own and are
 * frozen as they are.
 */
export function stateOf(parts: {
  readonly keys: readonly KeyRecord[];
  readonly revocations: readonly Revocation[];
  readonly generations: readonly ConfigGeneration[];
  readonly policy: PolicyState;
  /** Absent in what was written before there was an engine. */
  readonly network?: NetworkParts;
  readonly registry?: RegistryParts;
  readonly containment?: ContainmentParts;
}): State {
  const { keys, revocations, generations, policy, network, registry, containment } =
    deepFrozen(parts);
  const live = keys.filter((key) => key.revokedAtMs === undefined);
  return Object.freeze({
    keysById: Table.of(keys.map((key) => [key.id, key])),
    keysByDigest: Table.of(keys.map((key) => [key.digest, key])),
    keysByName: Table.of(live.map((key) => [key.name, key])),
    revocationsById: Table.of(revocations.map((each) => [each.id, each])),
    revocationsByTarget: Table.of(revocations.map((each) => [targetKey(each.target), each])),
    generations,
    policy,
    network: network === undefined ? emptyNetwork : networkOf(network),
    registry: registry === undefined ? emptyRegistry : registryOf(registry),
    containment: containment === undefined ? emptyContainment : containmentOf(containment),
  });
}

/** The text under which a revocation is found: one per target, so that revoking again replaces. */
export function targetKey(target: RevocationTarget): string {
  switch (target.by) {
    case 'token':
      return JSON.stringify(['token', target.issuer, target.tokenId]);
    case 'subject':
      return JSON.stringify(['subject', target.issuer, target.subject]);
    case 'issuer':
      return JSON.stringify(['issuer', target.issuer]);
    case 'peer':
      return JSON.stringify(['peer', target.kind, target.id]);
    default:
      return unreachable(target);
  }
}

function withKey(state: State, record: KeyRecord): State {
  const key = frozenKey(record);
  const holder = state.keysByName.get(key.name);
  let keysByName = state.keysByName;
  if (key.revokedAtMs === undefined) keysByName = keysByName.set(key.name, key);
  else if (holder?.id === key.id) keysByName = keysByName.delete(key.name);
  return Object.freeze({
    ...state,
    keysById: state.keysById.set(key.id, key),
    keysByDigest: state.keysByDigest.set(key.digest, key),
    keysByName,
  });
}

function withoutKey(state: State, id: string): State {
  const key = present(state.keysById.get(id), `key ${id} to drop`);
  const holder = state.keysByName.get(key.name);
  return Object.freeze({
    ...state,
    keysById: state.keysById.delete(id),
    keysByDigest: state.keysByDigest.delete(key.digest),
    keysByName: holder?.id === id ? state.keysByName.delete(key.name) : state.keysByName,
  });
}

function withRevocation(state: State, given: Revocation): State {
  const revocation = Object.freeze({ ...given, target: Object.freeze({ ...given.target }) });
  const place = targetKey(revocation.target);
  const before = state.revocationsByTarget.get(place);
  const byId =
    before === undefined ? state.revocationsById : state.revocationsById.delete(before.id);
  return Object.freeze({
    ...state,
    revocationsById: byId.set(revocation.id, revocation),
    revocationsByTarget: state.revocationsByTarget.set(place, revocation),
  });
}

function withoutRevocation(state: State, id: string): State {
  const revocation = present(state.revocationsById.get(id), `revocation ${id} to drop`);
  return Object.freeze({
    ...state,
    revocationsById: state.revocationsById.delete(id),
    revocationsByTarget: state.revocationsByTarget.delete(targetKey(revocation.target)),
  });
}

function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) deepFrozen(part);
    Object.freeze(value);
  }
  return value;
}

/** A copy of its own: the events of a command may share lists with whoever sent it. */
function frozenKey(key: KeyRecord): KeyRecord {
  const { models, dialects, join } = key.scope;
  return deepFrozen({
    ...key,
    scope: {
      ...key.scope,
      ...(models === undefined ? {} : { models: [...models] }),
      ...(dialects === undefined ? {} : { dialects: [...dialects] }),
      ...(join === undefined ? {} : { join: [...join] }),
    },
    boundTo: [...key.boundTo],
  });
}
