import type { Socket } from 'node:net';
import type { HeadRules, JudgedHead } from '../../http/head.ts';
import type { OwnAnswer } from '../answer.ts';
import type { MeshLimits } from '../limits.ts';
import type { MeshSpan } from '../spans.ts';
import type { WirePool } from './wire-pool.ts';

/** Where a request goes on to. */
export interface FastWay {
  readonly pool: WirePool;
  /** Field lines that only we may write, each with its line end. */
  readonly fields: string;
  /** Undefined: not traced. */
  readonly span?: MeshSpan | undefined;
}

/** What one door does with requests of the usual shape. `Memo` is what it works out of a head once. */
export interface FastDoor<Memo> {
  readonly limits: MeshLimits;
  readonly rules: HeadRules;
  /** Undefined: for the long way. */
  prepare(head: JudgedHead, raw: readonly string[]): Memo | undefined;
  /** Asked for every request: where it goes, what we answer ourselves, or undefined for the long way. */
  admit(memo: Memo, socket: Socket): FastWay | OwnAnswer | undefined;
  /** Gives the connection and what was read of it to node:http. */
  handOver(socket: Socket, bytes: Buffer): void;
  /** May a request be repeated that was lost on a kept connection? Spends from the budget. */
  mayRepeat(): boolean;
  /** A request that was not lost. */
  settled(): void;
  /** We answered ourselves because nobody could be asked. */
  failed(answer: OwnAnswer): void;
}

/** How often times are looked at. */
export const laneTickMs = 1_000;

/** One connection, as its lane sees it. */
export interface LaneUser {
  /** Called once a tick. */
  look(): void;
  /** Ends it after the answer that is under way. */
  end(): void;
}

/** A lane, as its connections see it. */
export interface Lane<Memo> {
  readonly door: FastDoor<Memo>;
  /** Ticks since the start: a clock that costs nothing to read. */
  readonly tick: number;
  left(connection: LaneUser): void;
}
