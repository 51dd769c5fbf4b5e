/**
 * @module Conversations that a grant with `capture: "full"` keeps, in files: `DAY.jsonl`, sealed with AES-256-GCM, and
 * `keys/DAY.PRINCIPAL.key`. The audit log has the id of the key and the request; nothing here is needed to verify it.
 *
 * Promises: a key for each principal and day, 0600; whoever lacks it learns the time, the request id and the length;
 * erasing a principal and the retention sweep delete keys first, so that what is left anywhere is noise. Refuses:
 * backups (they hold no content), waiting for the disk (what does not fit in memory is dropped and counted).
 * Limits: `contentLimits`.
 */
export * from './content.ts';
