import { ok } from '@postern/core/base';
import { formatPrefix, maskedPrefix, parsePrefix } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { ContainmentCommand } from './containment-command.ts';
import type { Block, ContainmentState, IncidentNote } from './containment-state.ts';
import { blockKey, isBlockOver } from './containment-state.ts';
import type { DecideContext, Decision } from './decision.ts';
import { stateLimits } from './limits.ts';

type Of<K extends ContainmentCommand['kind']> = Extract<ContainmentCommand, { kind: K }>;

/** Steps and scopes are words that we give out; texts of people are judged with all others. */
const wordPattern = /^[a-z0-9][a-z0-9-]{0,63}$/;
const incidentId = /^inc_[0-9A-Za-z-]{1,64}$/;

/** The first thing wrong with a command of containment, apart from its texts, whatever the state. */
export function containmentCommandFlaw(command: ContainmentCommand): Refusal | undefined {
  switch (command.kind) {
    case 'block.create': {
      const { target } = command;
      return target.by === 'address' ? prefixFlaw(target.prefix) : undefined;
    }
    case 'block.lift':
    case 'isolation.lift':
      return undefined;
    case 'isolation.set':
      return wordPattern.test(command.scope)
        ? undefined
        : invalid('scope', 'Needs `all`, or the id of a provider.');
    case 'incident.note':
      return noteFlaw(command.note);
    default:
      return command satisfies never;
  }
}

function prefixFlaw(text: string): Refusal | undefined {
  const prefix = parsePrefix(text);
  if (!prefix.ok || formatPrefix(maskedPrefix(prefix.value)) !== text)
    return invalid('target.prefix', 'Needs a prefix without host bits, such as 203.0.113.7/32.');
  // What would keep everybody out, the operator too, is no block.
  return prefix.value.bits === 0
    ? invalid('target.prefix', 'That is everybody. Isolate or stop the gateway instead.')
    : undefined;
}

function noteFlaw({ id, step, digest, atMs }: IncidentNote): Refusal | undefined {
  if (!incidentId.test(id)) return invalid('note.id', 'This is no id of an incident.');
  if (!wordPattern.test(step)) return invalid('note.step', 'This is no step.');
  if (!/^[0-9a-f]{64}$/.test(digest)) return invalid('note.digest', 'Needs a SHA-256.');
  return Number.isSafeInteger(atMs) && atMs >= 0 && atMs <= stateLimits.timeMsMax
    ? undefined
    : invalid('note.atMs', 'Needs a time in whole milliseconds since 1970.');
}

/** Blocks, replaces a block that ends earlier, or finds that it is so already. */
export function createBlock(
  state: ContainmentState,
  { target, expiresAtMs, reason }: Of<'block.create'>,
  { nowMs, newId, author }: DecideContext,
): Decision {
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
    return refuse('invalid_request', 'expiresAtMs: the block would be over already.', {
      param: 'expiresAtMs',
    });
  const before = state.blocksByTarget.get(blockKey(target));
  const isSo = before !== undefined && !isBlockOver(before, nowMs);
  if (isSo && endOf(before) >= endOf({ expiresAtMs })) return ok([]);
  const over = [...state.blocksById.values()].filter((each) => isBlockOver(each, nowMs));
  const isFull = state.blocksById.size >= stateLimits.blocksMax;
  if (isFull && before === undefined && over.length === 0)
    return refuse(
      'conflict',
      `There are ${state.blocksById.size} blocks, as many as Postern keeps. Lift some first, or block a wider prefix.`,
    );
  const block: Block = {
    id: `blk_${newId()}`,
    target,
    atMs: nowMs,
    createdBy: author.actor.principal,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(reason === undefined ? {} : { reason }),
  };
  const gone = over.filter(({ id }) => id !== before?.id).map(({ id }) => id);
  return ok([
    ...(gone.length === 0 ? [] : [{ kind: 'blocks.dropped' as const, ids: gone }]),
    { kind: 'block.created', block },
  ]);
}

function endOf({ expiresAtMs }: Pick<Block, 'expiresAtMs'> | { expiresAtMs: undefined }): number {
  return expiresAtMs ?? Number.POSITIVE_INFINITY;
}

export function liftBlock(state: ContainmentState, { id }: Of<'block.lift'>): Decision {
  return state.blocksById.has(id)
    ? ok([{ kind: 'blocks.dropped', ids: [id] }])
    : refuse('not_found', `There is no block ${id}.`, { param: 'id' });
}

export function setIsolation(
  state: ContainmentState,
  { scope, reason }: Of<'isolation.set'>,
  { nowMs, author }: DecideContext,
): Decision {
  // Isolated is isolated: what is shut for one reason is not opened by another.
  if (state.isolation?.scope === scope || state.isolation?.scope === 'all') return ok([]);
  return ok([
    {
      kind: 'isolation.began',
      isolation: {
        scope,
        atMs: nowMs,
        createdBy: author.actor.principal,
        ...(reason === undefined ? {} : { reason }),
      },
    },
  ]);
}

export function liftIsolation(state: ContainmentState): Decision {
  return ok(state.isolation === undefined ? [] : [{ kind: 'isolation.ended' }]);
}

export function noteIncident({ note }: Of<'incident.note'>): Decision {
  return ok([{ kind: 'incident.noted', note }]);
}

function invalid(param: string, message: string): Refusal {
  return refusal('invalid_request', `${param}: ${message}`, { param });
}
