import { present, unreachable } from '@postern/core/base';
import { Table } from './table.ts';

/** Whom a block keeps out. */
export type BlockTarget =
  /** A prefix in its canonical form, such as `203.0.113.7/32`. */
  | { readonly by: 'address'; readonly prefix: string }
  /** `principalKey` of a subject, or of who carries it. */
  | { readonly by: 'principal'; readonly principal: string };

export interface Block {
  /** `blk_…`. */
  readonly id: string;
  readonly target: BlockTarget;
  readonly atMs: number;
  readonly createdBy: string;
  /** It ends at this time, not after. */
  readonly expiresAtMs?: number;
  readonly reason?: string;
}

/** No listener is reachable from outside the private network while this is in force. */
export interface Isolation {
  /** `all`, or the provider for whose sake it was set. */
  readonly scope: string;
  readonly atMs: number;
  readonly createdBy: string;
  readonly reason?: string;
}

/** That a step of an incident, or of a drill, was carried out, and whether its proof held. */
export interface IncidentNote {
  /** `inc_…`: names the evidence file. */
  readonly id: string;
  readonly step: string;
  readonly verdict: 'proven' | 'unproven';
  /** SHA-256 of the evidence, hex in lower case. */
  readonly digest: string;
  readonly atMs: number;
  readonly isDrill: boolean;
}

export interface ContainmentState {
  readonly blocksById: Table<Block>;
  readonly blocksByTarget: Table<Block>;
  readonly isolation?: Isolation;
  /** The last one of each step, drills apart; the oldest first. */
  readonly notes: readonly IncidentNote[];
}

export const emptyContainment: ContainmentState = Object.freeze({
  blocksById: Table.empty<Block>(),
  blocksByTarget: Table.empty<Block>(),
  notes: Object.freeze([]),
});

/** One text for each target, so that blocking again replaces. */
export function blockKey(target: BlockTarget): string {
  return target.by === 'address' ? `address ${target.prefix}` : `principal ${target.principal}`;
}

export function isBlockOver(block: Block, nowMs: number): boolean {
  return block.expiresAtMs !== undefined && nowMs >= block.expiresAtMs;
}

/** The block of a principal that is in force, if any. */
export function principalBlock(
  containment: ContainmentState,
  principal: string,
  nowMs: number,
): Block | undefined {
  const block = containment.blocksByTarget.get(blockKey({ by: 'principal', principal }));
  return block === undefined || isBlockOver(block, nowMs) ? undefined : block;
}

/** What containment adds up to, as a text keeps it. */
export interface ContainmentParts {
  readonly blocks: readonly Block[];
  readonly isolation?: Isolation;
  readonly notes: readonly IncidentNote[];
}

export function containmentParts(state: ContainmentState): ContainmentParts {
  const { blocksById, isolation, notes } = state;
  return {
    blocks: [...blocksById.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    ...(isolation === undefined ? {} : { isolation }),
    notes,
  };
}

export function containmentOf({ blocks, isolation, notes }: ContainmentParts): ContainmentState {
  return Object.freeze({
    blocksById: Table.of(blocks.map((block) => [block.id, block])),
    blocksByTarget: Table.of(blocks.map((block) => [blockKey(block.target), block])),
    ...(isolation === undefined ? {} : { isolation }),
    notes,
  });
}

export function reduceContainment(
  state: ContainmentState,
  event: ContainmentEvent,
): ContainmentState {
  switch (event.kind) {
    case 'block.created': {
      const { block } = event;
      const before = state.blocksByTarget.get(blockKey(block.target));
      const kept = before === undefined ? state : withoutBlock(state, before.id);
      return {
        ...kept,
        blocksById: kept.blocksById.set(block.id, block),
        blocksByTarget: kept.blocksByTarget.set(blockKey(block.target), block),
      };
    }
    case 'blocks.dropped':
      return event.ids.reduce(withoutBlock, state);
    case 'isolation.began':
      return { ...state, isolation: event.isolation };
    case 'isolation.ended': {
      const { isolation: _ended, ...rest } = state;
      return rest;
    }
    case 'incident.noted': {
      const { note } = event;
      const others = state.notes.filter(
        ({ step, isDrill }) => step !== note.step || isDrill !== note.isDrill,
      );
      return { ...state, notes: [...others, note] };
    }
    default:
      return unreachable(event);
  }
}

function withoutBlock(state: ContainmentState, id: string): ContainmentState {
  const block = present(state.blocksById.get(id), `block ${id} to drop`);
  return {
    ...state,
    blocksById: state.blocksById.delete(id),
    blocksByTarget: state.blocksByTarget.delete(blockKey(block.target)),
  };
}

/** What happened, as the journal has it. */
export type ContainmentEvent =
  | { readonly kind: 'block.created'; readonly block: Block }
  | { readonly kind: 'blocks.dropped'; readonly ids: readonly string[] }
  | { readonly kind: 'isolation.began'; readonly isolation: Isolation }
  | { readonly kind: 'isolation.ended' }
  | { readonly kind: 'incident.noted'; readonly note: IncidentNote };
