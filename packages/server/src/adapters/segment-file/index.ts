/**
 * @module An append-only log in files: `NNNNNNNNNNNNNNNNNNNN.log`, each record chained to the one before.
 *
 * Promises: a record at or below `durableIndex` survives kill -9 and a loss of power; one write and one fdatasync for
 * each batch, off the event loop; what a crash cut off is removed at the next start, what is damaged before that is
 * reported and never touched; a disk that is full refuses records and keeps space for those of the log and of
 * operators; it heals without a restart. Folder 0700, files 0600.
 * Refuses: two writers of one folder (the state folder's lock sees to that), signing, deleting.
 * Limits: `segmentLimits`.
 */
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Sha256 } from '@postern/core/state/audit';
import type { TreeLog } from '../../observe/audit/index.ts';
import { makeFolder } from './files.ts';
import { segmentLimits } from './limits.ts';
import type { LogDamage, Resume } from './recover.ts';
import { recover } from './recover.ts';
import type { SegmentBounds } from './writer.ts';
import { SegmentWriter } from './writer.ts';

export { type Lines, linesOf, listSegments, type SegmentPath } from './files.ts';
export { segmentLimits } from './limits.ts';
export { readRecords } from './read.ts';
export type { LogDamage, Resume } from './recover.ts';
export type { SegmentBounds } from './writer.ts';

export interface OpenOptions {
  readonly dir: string;
  /** Which log it is; a folder of another log is refused. */
  readonly origin: string;
  readonly sha256: Sha256;
  readonly nowMs: () => number;
  /** Read only what comes after this place. */
  readonly resume?: Resume | undefined;
  readonly bounds?: Partial<SegmentBounds>;
}

/** Opens the log of a folder, making it where it is missing, and repairs what a crash left. */
export async function openSegmentLog(options: OpenOptions): Promise<Result<TreeLog, LogDamage>> {
  const { dir, origin, nowMs, bounds } = options;
  await makeFolder(dir);
  const recovered = await recover(options);
  if (!recovered.ok) return err(recovered.error);
  const { segmentBytesMax, reserveBytes, retryMs } = segmentLimits;
  return ok(
    new SegmentWriter({
      dir,
      origin,
      nowMs,
      recovered: recovered.value,
      bounds: { segmentBytesMax, reserveBytes, retryMs, ...bounds },
    }),
  );
}
