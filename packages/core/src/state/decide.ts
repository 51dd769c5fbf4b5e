import type { Result } from '@postern/core/base';
import { err, ok, unreachable } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Command, StateEvent } from './command.ts';
import type { DecideContext, Decision } from './decision.ts';
import {
  createBlock,
  liftBlock,
  liftIsolation,
  noteIncident,
  setIsolation,
} from './containment-decide.ts';
import { stateLimits } from './limits.ts';
import { keyStanding } from './lookup.ts';
import {
  approveNode,
  createPreAuthKey,
  createUser,
  deleteNode,
  expireNode,
  renameNode,
  revokePreAuthKey,
  routeNode,
  setDns,
  setUserRole,
  tagNode,
} from './network-decide.ts';
import { adoptNode } from './network-adopt.ts';
import { registerNode } from './network-register.ts';
import {
  expireInstances,
  leaveInstance,
  registerInstance,
  rotateGroup,
} from './registry-decide.ts';
import type { KeyRecord, Revocation, RevocationTarget, State } from './model.ts';
import {
  applyPolicy,
  approvePlan,
  confirmPolicy,
  createPlan,
  rollBackPolicy,
} from './policy-decide.ts';
import { targetKey } from './reduce.ts';
import { widening } from './scope.ts';
import { commandFlaw } from './validate.ts';

export type { DecideContext, Decision } from './decision.ts';

/**
 * What a command changes, or why it is refused. Pure and total: any command in any state has an answer, and nothing
 * changes but by the events. No events means that what was asked for is so already.
 */
export function decide(state: State, command: Command, context: DecideContext): Decision {
  const flaw = commandFlaw(command);
  if (flaw !== undefined) return err(flaw);
  const author = authorKey(state, context);
  if (!author.ok) return author;
  switch (command.kind) {
    case 'key.create':
      return createKey(state, command, context, author.value);
    case 'key.revoke':
      return revokeKey(state, command, context);
    case 'key.rotate':
      return rotateKey(state, command, context, author.value);
    case 'revocation.create':
      return revokeToken(state, command, context);
    case 'revocation.lift': {
      if (state.revocationsById.has(command.id)) {
        return unrevokeToken(state, command.id);
      }
      return refuse('not_found', `There is no revocation ${command.id}.`, { param: 'id' });
    }
    case 'config.apply':
      return applyConfig(state, command, context);
    case 'policy.apply':
      return applyPolicy(state.policy, command, context);
    case 'policy.confirm':
      return confirmPolicy(state.policy, command, context);
    case 'policy.rollback':
      return rollBackPolicy(state.policy, command, context);
    case 'plan.create':
      return createPlan(state.policy, command, context);
    case 'plan.approve':
      return approvePlan(state.policy, command, context);
    case 'user.create':
      return createUser(state.network, command, context.nowMs);
    case 'user.role':
      return setUserRole(state.network, command);
    case 'preauthkey.create':
      return createPreAuthKey(state.network, command, context);
    case 'preauthkey.revoke':
      return revokePreAuthKey(state.network, command, context.nowMs);
    case 'node.register':
      return registerNode(state.network, command, context);
    case 'node.adopt':
      return adoptNode(state.network, command, context.nowMs);
    case 'node.expire':
      return expireNode(state.network, command, context.nowMs);
    case 'node.approve':
      return approveNode(state.network, command);
    case 'node.delete':
      return deleteNode(state.network, command);
    case 'node.rename':
      return renameNode(state.network, command);
    case 'node.tag':
      return tagNode(state.network, command);
    case 'node.routes':
      return routeNode(state.network, command);
    case 'dns.set':
      return setDns(state.network, command);
    case 'instance.register':
      return registerInstance(state.registry, command, context.nowMs);
    case 'instance.leave':
      return leaveInstance(state.registry, command, context.nowMs);
    case 'instances.expire':
      return expireInstances(state.registry, command, context.nowMs);
    case 'group.rotate':
      return rotateGroup(state.registry, command, context.nowMs);
    case 'block.create':
      return createBlock(state.containment, command, context);
    case 'block.lift':
      return liftBlock(state.containment, command);
    case 'isolation.set':
      return setIsolation(state.containment, command, context);
    case 'isolation.lift':
      return liftIsolation(state.containment);
    case 'incident.note':
      return noteIncident(command);
    case 'state.restored': {
      const { index, headHash, backupAtMs } = command;
      return ok([{ kind: 'state.restored', index, headHash, backupAtMs }]);
    }
    default:
      return unreachable(command);
  }
}

/** `id` or name of a key, to the key. A name means the key that holds it now. */
export function findKey(state: State, idOrName: string): KeyRecord | undefined {
  return state.keysById.get(idOrName) ?? state.keysByName.get(idOrName);
}

/**
 * The key that asks, where a key asks. Judged again here, because it may have been revoked while its command waited:
 * what is acknowledged after a revocation was allowed after it.
 */
function authorKey(state: State, context: DecideContext): Result<KeyRecord | undefined, Refusal> {
  const { principal } = context.author.actor;
  if (!principal.startsWith('key:')) return ok(undefined);
  const key = state.keysById.get(principal.slice('key:'.length));
  if (key === undefined) return refuse('credential_invalid', 'The key that asks is not known.');
  return keyStanding(key, context.nowMs);
}

function createKey(
  state: State,
  command: Extract<Command, { kind: 'key.create' }>,
  context: DecideContext,
  author: KeyRecord | undefined,
): Decision {
  const { name, digest, hint, scope, boundTo, expiresAtMs, description } = command;
  if (expiresAtMs !== undefined && expiresAtMs <= context.nowMs) {
    return refuse('invalid_request', 'expiresAtMs: the key would have expired already.', {
      param: 'expiresAtMs',
    });
  }
  const wider = widening(
    { scope, boundTo, expiresAtMs },
    { scope: context.author.scope, key: author },
  );
  if (wider !== undefined) return err(wider);
  const holder = state.keysByName.get(name);
  if (holder !== undefined) {
    return refuse(
      'conflict',
      `The name ${name} belongs to ${holder.id}. Revoke that key first, or choose another name.`,
      { param: 'name' },
    );
  }
  if (state.keysByDigest.has(digest)) return refuse('conflict', 'This secret is a key already.');
  const room = roomForKey(state);
  if (!room.ok) return room;
  const made = recordOf({ name, digest, hint, scope, boundTo, expiresAtMs }, context);
  const key = description === undefined ? made : { ...made, description };
  return ok([...room.value, { kind: 'key.created', key }]);
}

/** A key as it begins, made by the author now. */
function recordOf(
  {
    expiresAtMs,
    ...fields
  }: Pick<KeyRecord, 'name' | 'digest' | 'hint' | 'scope' | 'boundTo'> & {
    readonly expiresAtMs: number | undefined;
  },
  context: DecideContext,
): KeyRecord {
  return {
    id: `key_${context.newId()}`,
    ...fields,
    createdBy: context.author.actor.principal,
    createdAtMs: context.nowMs,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
}

/** How many entries go at once when a table is full, so that not every command has to sweep. */
const sweepMax = 1_000;

function roomForKey(state: State): Decision {
  if (state.keysById.size < stateLimits.keysMax) return ok([]);
  const revoked = [...state.keysById.values()].filter((key) => key.revokedAtMs !== undefined);
  if (revoked.length === 0) {
    return refuse(
      'conflict',
      `There are ${state.keysById.size} keys, as many as Postern keeps. Revoke some first.`,
    );
  }
  const oldest = revoked.toSorted((a, b) => (a.revokedAtMs ?? 0) - (b.revokedAtMs ?? 0));
  return ok([{ kind: 'keys.dropped', ids: oldest.slice(0, sweepMax).map((key) => key.id) }]);
}

function revokeKey(
  state: State,
  command: Extract<Command, { kind: 'key.revoke' }>,
  context: DecideContext,
): Decision {
  const key = findKey(state, command.key);
  if (key === undefined) {
    return refuse('not_found', `There is no key ${command.key}.`, { param: 'key' });
  }
  const doomed = command.withChildren ? [key, ...descendants(state, key)] : [key];
  const events = doomed
    .filter((each) => each.revokedAtMs === undefined)
    .map(
      (each): StateEvent => ({
        kind: 'key.revoked',
        id: each.id,
        atMs: context.nowMs,
        ...(command.reason === undefined ? {} : { reason: command.reason }),
      }),
    );
  return ok(events);
}

/** One record revokes the old secret and makes the new one, so that no crash leaves a caller without a key. */
function rotateKey(
  state: State,
  command: Extract<Command, { kind: 'key.rotate' }>,
  context: DecideContext,
  author: KeyRecord | undefined,
): Decision {
  const key = findKey(state, command.key);
  if (key === undefined || key.revokedAtMs !== undefined) {
    return refuse('not_found', `There is no key ${command.key} that counts.`, { param: 'key' });
  }
  const standing = keyStanding(key, context.nowMs);
  if (!standing.ok) return refuse('conflict', `${standing.error.message} It needs no successor.`);
  const wider = widening(key, { scope: context.author.scope, key: author });
  if (wider !== undefined) return err(wider);
  const { digest, hint, reason } = command;
  if (state.keysByDigest.has(digest)) return refuse('conflict', 'This secret is a key already.');
  const room = roomForKey(state);
  if (!room.ok) return room;
  const { name, scope, boundTo, expiresAtMs } = key;
  const successor = recordOf({ name, digest, hint, scope, boundTo, expiresAtMs }, context);
  const ended = { id: key.id, atMs: context.nowMs, ...(reason === undefined ? {} : { reason }) };
  return ok([
    ...room.value,
    { kind: 'key.revoked', ...ended },
    { kind: 'key.created', key: successor },
  ]);
}

/** Keys made by a key, by those, and so on. A key cannot be older than its maker, so there is no cycle. */
function descendants(state: State, root: KeyRecord): readonly KeyRecord[] {
  const byMaker = Map.groupBy(state.keysById.values(), (key) => key.createdBy);
  const found: KeyRecord[] = [];
  const open = [root];
  for (let maker = open.pop(); maker !== undefined; maker = open.pop()) {
    const made = byMaker.get(`key:${maker.id}`) ?? [];
    found.push(...made);
    open.push(...made);
  }
  return found;
}

/** How far an epoch may lie ahead: clocks differ, but an epoch in the future locks everybody out until then. */
const epochAheadMsMax = 60_000;

function revokeToken(
  state: State,
  command: Extract<Command, { kind: 'revocation.create' }>,
  context: DecideContext,
): Decision {
  const { target, reason } = command;
  const { nowMs } = context;
  const isTimed = target.by === 'subject' || target.by === 'issuer';
  const epoch = isTimed ? target.issuedBeforeMs : undefined;
  if (epoch !== undefined && epoch > nowMs + epochAheadMsMax) {
    return refuse(
      'invalid_request',
      'target.issuedBeforeMs: lies in the future, so it would refuse tokens that do not exist yet.',
      { param: 'target.issuedBeforeMs' },
    );
  }
  const before = state.revocationsByTarget.get(targetKey(target));
  if (before !== undefined && includes(before.target, target)) return ok([]);
  const room = roomForRevocation(state, before, nowMs);
  if (!room.ok) return room;
  const revocation: Revocation = {
    id: `rev_${context.newId()}`,
    target,
    atMs: nowMs,
    createdBy: context.author.actor.principal,
    ...(reason === undefined ? {} : { reason }),
  };
  return ok([...room.value, { kind: 'revocation.created', revocation }]);
}

/** Whether one revocation of a target says at least as much as another of the same target. */
function includes(before: RevocationTarget, after: RevocationTarget): boolean {
  return reach(before) >= reach(after);
}

function reach(target: RevocationTarget): number {
  if (target.by === 'peer') return Number.POSITIVE_INFINITY;
  const endMs = target.by === 'token' ? target.expiresAtMs : target.issuedBeforeMs;
  return endMs ?? Number.POSITIVE_INFINITY;
}

function roomForRevocation(
  state: State,
  replaced: Revocation | undefined,
  nowMs: number,
): Decision {
  if (replaced !== undefined || state.revocationsById.size < stateLimits.revocationsMax) {
    return ok([]);
  }
  const over = [...state.revocationsById.values()].filter(
    ({ target }) => target.by === 'token' && reach(target) + skewMs < nowMs,
  );
  if (over.length === 0) {
    return refuse(
      'conflict',
      `There are ${state.revocationsById.size} revocations, as many as Postern keeps. Revoke everything of the issuer before a time instead.`,
    );
  }
  return ok([{ kind: 'revocations.dropped', ids: over.slice(0, sweepMax).map(({ id }) => id) }]);
}

/** A token is believed for a little after its end, where clocks differ; its revocation stays for longer. */
const skewMs = 300_000;

function unrevokeToken(state: State, id: string): Decision {
  if (state.revocationsById.get(id)?.target.by === 'issuer') {
    return refuse(
      'conflict',
      'An issuer epoch only rises: lowering it would bring revoked tokens back. New tokens are not touched by it.',
    );
  }
  return ok([{ kind: 'revocation.lifted', id }]);
}

function applyConfig(
  state: State,
  command: Extract<Command, { kind: 'config.apply' }>,
  context: DecideContext,
): Decision {
  const { text, digest, expected, note } = command;
  const current = state.generations[0];
  const number = current?.number ?? 0;
  if (expected !== undefined && expected !== number) {
    return refuse(
      'conflict',
      `Generation ${number} is in force, not ${expected}. Read the configuration again and repeat the change.`,
      { param: 'expected' },
    );
  }
  if (current?.digest === digest) return ok([]);
  return ok([
    {
      kind: 'config.applied',
      generation: {
        number: number + 1,
        digest,
        text,
        appliedBy: context.author.actor.principal,
        appliedAtMs: context.nowMs,
        ...(note === undefined ? {} : { note }),
      },
    },
  ]);
}
