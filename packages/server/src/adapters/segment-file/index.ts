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
export { checkedCheckpoint, checkpointNames, isCosigned } from './checkpoint-files.ts';
export { copyLog, restoreLog } from './copy.ts';
export { type Lines, linesOf, listSegments, type SegmentPath } from './files.ts';
export {
  type AuditFolder,
  type CheckpointOptions,
  type FolderOptions,
  openAuditFolder,
} from './folder.ts';
export { nodeEd25519Verify, nodeSha256, readLogKey } from './key-file.ts';
export { segmentLimits } from './limits.ts';
export { readRecords } from './read.ts';
export type { LogDamage, Resume } from './recover.ts';
export {
  type AuditProof,
  type FolderVerdict,
  proveContinuation,
  proveRecord,
  type VerifyOptions,
  verifyFolder,
} from './verify.ts';
export type { SegmentBounds } from './writer.ts';
