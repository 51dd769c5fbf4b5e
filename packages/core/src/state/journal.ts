import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { canonicalJson } from './canonical.ts';
import type { RecordBody } from './codec.ts';
import { decodeRecordBody } from './codec.ts';
import type { Sha256Hex } from './lookup.ts';
import type { Snapshot, State } from './model.ts';
import { emptyState, reduce } from './reduce.ts';

/**
 * The journal: every accepted command with what it changed, each record bound to the one before. The hash of a record
 * is SHA-256 over the UTF-8 text `postern.journal.v1` LF, then the canonical JSON (RFC 8785) of
 * `{actor, atMs, command, events, index, prevHash, v}`; `prevHash` of the first record is 64 zeros. A chain shows that
 * nothing inside it was changed; that nothing was cut off its end, only a checkpoint kept elsewhere can show.
 */
export interface JournalRecord extends Omit<RecordBody, 'v'> {
  readonly hash: string;
}

/** A record as a store keeps it: the body as the very text that was hashed, the columns repeated from it. */
export interface JournalRow {
  readonly index: number;
  readonly atMs: number;
  readonly prevHash: string;
  readonly hash: string;
  readonly body: string;
}

/** A place in the journal. */
export interface Head {
  readonly index: number;
  readonly hash: string;
}

/** Where a journal stops being one, and what is wrong there. */
export interface JournalFlaw {
  readonly index: number;
  readonly what: string;
}

export const genesis: Head = Object.freeze({ index: 0, hash: '0'.repeat(64) });

export function rowHash(body: string, sha256Hex: Sha256Hex): string {
  return sha256Hex(`postern.journal.v1\n${body}`);
}

/** The row of the record that follows `head`. */
export function sealRecord(
  head: Head,
  record: Omit<RecordBody, 'v' | 'index' | 'prevHash'>,
  sha256Hex: Sha256Hex,
): JournalRow {
  const index = head.index + 1;
  const body = canonicalJson({ v: 1, ...record, index, prevHash: head.hash } satisfies RecordBody);
  const { atMs } = record;
  return { index, atMs, prevHash: head.hash, hash: rowHash(body, sha256Hex), body };
}

/** The record of a row that must follow `head`, or what is wrong with it. */
export function openRow(
  head: Head,
  row: JournalRow,
  sha256Hex: Sha256Hex,
): Result<JournalRecord, JournalFlaw> {
  const at = head.index + 1;
  const flaw = (what: string): Result<never, JournalFlaw> => err({ index: at, what });
  if (row.index !== at) return flaw(`record ${at} is missing; the next one is ${row.index}`);
  if (row.prevHash !== head.hash) return flaw('it does not continue the record before it');
  if (rowHash(row.body, sha256Hex) !== row.hash) return flaw('its content does not have its hash');
  const body = decodeRecordBody(row.body);
  if (body === undefined) return flaw('its content is of a kind that this release does not know');
  if (body.index !== row.index || body.atMs !== row.atMs || body.prevHash !== row.prevHash) {
    return flaw('its columns contradict its content');
  }
  const { actor, atMs, command, events, index, prevHash } = body;
  return ok({ actor, atMs, command, events, index, prevHash, hash: row.hash });
}

export function emptySnapshot(): Snapshot {
  return snapshotOf(emptyState(), genesis, 0);
}

export function snapshotOf(state: State, head: Head, atMs: number): Snapshot {
  return Object.freeze({ ...state, index: head.index, headHash: head.hash, atMs });
}

export function headOf(snapshot: Snapshot): Head {
  return { index: snapshot.index, hash: snapshot.headHash };
}

/** The snapshot after some more rows, each verified; or the first flaw. */
export function replay(
  from: Snapshot,
  rows: Iterable<JournalRow>,
  sha256Hex: Sha256Hex,
): Result<Snapshot, JournalFlaw> {
  let state: State = from;
  let head = headOf(from);
  let { atMs } = from;
  for (const row of rows) {
    const record = openRow(head, row, sha256Hex);
    if (!record.ok) return record;
    const after = reduceAll(state, record.value);
    if (!after.ok) return after;
    state = after.value;
    head = { index: row.index, hash: row.hash };
    ({ atMs } = row);
  }
  return ok(snapshotOf(state, head, atMs));
}

/** A forged journal may hash well and still make no sense, such as revoking a key that never was. */
function reduceAll(state: State, record: JournalRecord): Result<State, JournalFlaw> {
  try {
    return ok(record.events.reduce(reduce, state));
  } catch (cause) {
    return err({ index: record.index, what: `it does not fit the state: ${String(cause)}` });
  }
}
