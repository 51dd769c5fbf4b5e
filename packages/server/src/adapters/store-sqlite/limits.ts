export const sqliteLimits = Object.freeze({
  /** Rows handed over at once. A start after a crash needs about a thousand. */
  pageRowsMax: 20_000,
  /** Text handed over at once, so that a page of configurations does not become a spike of memory. */
  pageCharsMax: 16 * 1_048_576,
  /** Rows verified before other work gets its turn: some 10 ms. */
  verifyRowsPerTurn: 1_000,
  /** How long to wait for another process to let go of the state: a restart overlaps by moments. */
  lockWaitMs: 250,
  /** The write-ahead log is cut back to this after a checkpoint. */
  walBytesMax: 16 * 1_048_576,
  /** The state file. Ten million records fit; the bound keeps a runaway from filling the disk. */
  databaseBytesMax: 16 * 1_073_741_824,
  /** First two lines of a backup; the manifest has about 300 bytes. */
  manifestBytesMax: 4_096,
  copyChunkBytes: 1_048_576,
});
