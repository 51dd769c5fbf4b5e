import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Checkpoint, NoteKey } from '@postern/core/state/audit';
import { checkpointText, noteText, signNote } from '@postern/core/state/audit';
import type { TreeLog } from '../../observe/audit/index.ts';
import {
  appendNote,
  checkpointNames,
  readNewest,
  readResume,
  replaceFile,
  writeResume,
} from './checkpoint-files.ts';
import type { DurableMark } from './durable-mark.ts';
import { readDurableMark } from './durable-mark.ts';
import { makeFolder } from './files.ts';
import { nodeSha256, openLogKey } from './key-file.ts';
import { segmentLimits } from './limits.ts';
import type { LogDamage } from './recover.ts';
import { recover } from './recover.ts';
import type { SegmentBounds } from './writer.ts';
import { SegmentWriter } from './writer.ts';

/** A log with its key, which can say by signature where it is. */
export interface AuditFolder {
  readonly log: TreeLog;
  readonly key: NoteKey;
  /** A C2SP note over a text that ends in a line feed; not for checkpoints, which say where the log is. */
  sign(this: void, text: string): string;
  /**
   * Signs where the log is now, once that is durable, and writes it down: beside the log, and appended to the witness
   * files. Undefined where nothing has changed since the last one, or the log was closed. Throws as files do.
   */
  checkpoint(this: void, options: CheckpointOptions): Promise<Checkpoint | undefined>;
}

export interface CheckpointOptions {
  readonly journal: Checkpoint['journal'];
  /** Files elsewhere, each of which gets every checkpoint. */
  readonly witnesses: readonly string[];
}

export interface FolderOptions {
  readonly dir: string;
  readonly nowMs: () => number;
  readonly bounds?: Partial<SegmentBounds>;
}

/** Opens the audit log of a state folder, making key and folder where they are missing. */
export async function openAuditFolder(
  options: FolderOptions,
): Promise<Result<AuditFolder, LogDamage>> {
  const { dir, nowMs, bounds } = options;
  await makeFolder(dir);
  const { key, sign } = await openLogKey(dir);
  const newest = await readNewest(dir, key);
  const resume = await readResume(dir, newest);
  const durable = furthest(await readDurableMark(dir), newest);
  const recovered = await recover({ dir, origin: key.name, sha256: nodeSha256, resume, durable });
  if (!recovered.ok) return err(recovered.error);
  const { segmentBytesMax, reserveBytes, retryMs, slowMs } = segmentLimits;
  const log = new SegmentWriter({
    dir,
    origin: key.name,
    nowMs,
    recovered: recovered.value,
    bounds: { segmentBytesMax, reserveBytes, retryMs, slowMs, ...bounds },
  });
  let last = '';
  /** The place that each witness saw last: one that cannot be written is tried again, and keeps no other from it. */
  const seen = new Map<string, string>();
  const checkpoint: AuditFolder['checkpoint'] = async ({ journal, witnesses }) => {
    const mark = log.mark();
    const { size, hash } = mark.head;
    const place = `${size} ${journal?.hash ?? ''}`;
    const isKnown = place === last && witnesses.every((witness) => seen.get(witness) === place);
    if (size === 0 || isKnown || !(await log.whenDurable(size))) return undefined;
    const made = { origin: key.name, size, root: mark.root, atMs: nowMs(), chain: hash, journal };
    const text = checkpointText(made);
    const signature = signNote(text, key, { sha256: nodeSha256, sign });
    const note = noteText({ text, signatures: [signature] });
    if (place !== last) {
      await appendNote(path.join(dir, checkpointNames.all), note);
      await replaceFile(path.join(dir, checkpointNames.newest), note);
      await writeResume(dir, mark);
      last = place;
    }
    await tellWitnesses(witnesses, { note, place, seen });
    return made;
  };
  const noted = (text: string): string => {
    const signature = signNote(text, key, { sha256: nodeSha256, sign });
    return noteText({ text, signatures: [signature] });
  };
  return ok({ log, key, checkpoint, sign: noted });
}

/** What was signed was durable before, also where the other files that say so are gone. */
function furthest(
  mark: DurableMark | undefined,
  newest: Checkpoint | undefined,
): DurableMark | undefined {
  if (newest === undefined || (mark !== undefined && mark.index >= newest.size)) return mark;
  return { index: newest.size, hash: newest.chain };
}

/** Each of them, whatever became of the one before; the first fault is thrown at the end. */
async function tellWitnesses(
  witnesses: readonly string[],
  {
    note,
    place,
    seen,
  }: { readonly note: string; readonly place: string; readonly seen: Map<string, string> },
): Promise<void> {
  const told = await Promise.allSettled(
    witnesses
      .filter((witness) => seen.get(witness) !== place)
      .map(async (witness) => {
        await appendNote(witness, note);
        seen.set(witness, place);
      }),
  );
  for (const each of told) if (each.status === 'rejected') throw each.reason;
}
