/**
 * @module The audit log as bytes: records, their chain, the tree over them, signed checkpoints, and what proves what.
 * `docs/reference/audit-format.md` is the same in words; whoever has only that page can verify a log.
 *
 * Promises: one text for each record; the hash of a record is both its link in the chain and its leaf in an RFC 6962
 * tree; proofs are those of RFC 6962, checkpoints those of C2SP; every reader is total and bounded.
 * Refuses: storage, hashing and signing (passed in), fractions and null.
 * Limits: `auditLimits`.
 */
export * from './chain.ts';
export * from './checkpoint.ts';
export * from './limits.ts';
export * from './note.ts';
export * from './receipt.ts';
export * from './record.ts';
export * from './tree.ts';
export * from './verify.ts';
