import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok, toHex, utf8Text } from '@postern/core/base';
import type {
  Checkpoint,
  LeafRange,
  LogVerdict,
  NoteKey,
  PlacedRecord,
} from '@postern/core/state/audit';
import {
  consistencyRanges,
  hashBytes,
  inclusionRanges,
  LogVerifier,
  RangeHasher,
  readLine,
} from '@postern/core/state/audit';
import { checkedCheckpoint, checkpointNames } from './checkpoint-files.ts';
import { ClaimedNotes } from './claimed-notes.ts';
import type { SegmentPath } from './files.ts';
import { linesOf, listSegments } from './files.ts';
import { nodeSha256 } from './key-file.ts';
import { lastNotes } from './last-notes.ts';

export interface VerifyOptions {
  readonly key: NoteKey;
  /** Files of checkpoints that were kept elsewhere. */
  readonly against?: readonly string[];
  /** Whose cosignatures are required: what no checkpoint with all of them covers is not taken for witnessed. */
  readonly witnesses?: readonly NoteKey[];
  /** Told of each record that is good so far. */
  readonly onRecord?: (record: PlacedRecord, hash: Uint8Array) => void;
}

export interface FolderVerdict extends LogVerdict {
  readonly origin: string;
  /** Records that the newest checkpoint covers which every witness cosigned; absent where none was named. */
  readonly witnessed?: number;
  /** Notes in the files of checkpoints that are none of this log, or that its key did not sign. */
  readonly strangeNotes: number;
  /** Files of `against` without a checkpoint of this log: they were asked for and prove nothing. */
  readonly unwitnessing: readonly string[];
}

/** Reads a whole log and every checkpoint of it. Read errors are exceptions. */
export async function verifyFolder(dir: string, options: VerifyOptions): Promise<FolderVerdict> {
  const { key, against = [], witnesses = [], onRecord } = options;
  const files = [
    path.join(dir, checkpointNames.newest),
    path.join(dir, checkpointNames.all),
    ...against,
  ];
  const claimed = new ClaimedNotes(key);
  const unwitnessing = new Set<string>();
  for (const file of files) {
    const isSigned = await claimed.read(file);
    if (!isSigned && against.includes(file)) unwitnessing.add(file);
  }
  const verifier = new LogVerifier({
    sha256: nodeSha256,
    origin: key.name,
    claimed: claimed.inOrder(),
    ...(onRecord === undefined ? {} : { onRecord }),
  });
  const segments = await listSegments(dir);
  const last = segments.at(-1);
  for (const segment of segments) {
    await verifySegment(verifier, segment, segment === last);
    if (verifier.flaw !== undefined) break;
  }
  const verdict = verifier.end();
  return {
    ...verdict,
    origin: key.name,
    strangeNotes: claimed.strange,
    unwitnessing: [...unwitnessing],
    // Every checkpoint is compared with the records, so that this one agrees as long as there is no flaw.
    ...(witnesses.length === 0 ? {} : { witnessed: claimed.witnessed(witnesses) }),
  };
}

async function verifySegment(
  verifier: LogVerifier,
  { file, first }: SegmentPath,
  isLast: boolean,
): Promise<void> {
  let isBegun = false;
  let torn = 0;
  for await (const { lines, rest } of linesOf(file)) {
    for (const line of lines) {
      if (isBegun) verifier.line(line);
      else verifier.header(line, first);
      isBegun = true;
    }
    torn = rest;
    if (verifier.flaw !== undefined) return;
  }
  if (isBegun) verifier.rest(torn, isLast);
  else verifier.unbegun(first, torn, isLast);
}

/** What `postern audit prove` prints. */
export type AuditProof =
  | {
      readonly kind: 'inclusion';
      readonly index: number;
      readonly before: string;
      readonly body: string;
      readonly proof: readonly string[];
      readonly checkpoint: string;
    }
  | {
      readonly kind: 'consistency';
      readonly older: string;
      readonly proof: readonly string[];
      readonly checkpoint: string;
    };

/** The proof that a record is in the log which the newest checkpoint covers, or why there is none. */
export async function proveRecord(
  dir: string,
  key: NoteKey,
  index: number,
): Promise<Result<AuditProof, string>> {
  const newest = await newestNote(path.join(dir, checkpointNames.newest), key);
  if (!newest.ok) return newest;
  const { checkpoint, note } = newest.value;
  if (index < 1 || index > checkpoint.size) {
    return err(`The newest checkpoint covers records 1 to ${checkpoint.size}.`);
  }
  let before: string | undefined;
  let body: string | undefined;
  const proof = await hashesOf(dir, inclusionRanges(index - 1, checkpoint.size), (line, at) => {
    if (at === index - 1) before = toHex(line.hash);
    if (at === index) body = utf8Text(line.body);
  });
  if (body === undefined || proof === undefined) return err('Records of the log are missing.');
  before ??= '0'.repeat(2 * hashBytes);
  return ok({ kind: 'inclusion', index, before, body, proof, checkpoint: note });
}

/** The proof that the log continues what an older checkpoint covers. */
export async function proveContinuation(
  dir: string,
  key: NoteKey,
  olderFile: string,
): Promise<Result<AuditProof, string>> {
  const older = await newestNote(olderFile, key);
  if (!older.ok) return older;
  const newest = await newestNote(path.join(dir, checkpointNames.newest), key);
  if (!newest.ok) return newest;
  const from = older.value.checkpoint.size;
  const { checkpoint, note } = newest.value;
  if (from < 1 || from > checkpoint.size) {
    return err(`${olderFile} covers ${from} records, the newest checkpoint ${checkpoint.size}.`);
  }
  const proof = await hashesOf(dir, consistencyRanges(from, checkpoint.size), () => undefined);
  if (proof === undefined) return err('Records of the log are missing.');
  return ok({ kind: 'consistency', older: older.value.note, proof, checkpoint: note });
}

async function newestNote(
  file: string,
  key: NoteKey,
): Promise<Result<{ readonly note: string; readonly checkpoint: Checkpoint }, string>> {
  for (const note of (await lastNotes(file)).toReversed()) {
    const checkpoint = checkedCheckpoint(note, key);
    if (checkpoint !== undefined) return ok({ note, checkpoint });
  }
  return err(`${file} holds no checkpoint of ${key.name}.`);
}

type LineTaker = (
  line: { readonly hash: Uint8Array; readonly body: Uint8Array },
  index: number,
) => void;

/** Hashes of subtrees over the stored leaf hashes: that these belong to the records, `verify` says. */
async function hashesOf(
  dir: string,
  ranges: readonly LeafRange[],
  take: LineTaker,
): Promise<readonly string[] | undefined> {
  const hasher = new RangeHasher(ranges, nodeSha256);
  for (const { file, first } of await listSegments(dir)) {
    let index = first - 1;
    for await (const { lines } of linesOf(file)) {
      for (const line of lines) {
        const record = readLine(line);
        if (record === undefined) continue;
        index += 1;
        hasher.append(record.hash);
        take(record, index);
      }
    }
  }
  return hasher.hashes()?.map(toHex);
}
