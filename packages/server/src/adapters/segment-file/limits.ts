/** The bounds of a log in files. */
export const segmentLimits = Object.freeze({
  /** A new file after this much: small enough to copy and to check alone, large enough that there are few. */
  segmentBytesMax: 64 * 1_048_576,
  /** How long records gather: what a batch costs is paid fifty times a second at most. */
  batchMs: 20,
  /** What may wait for the disk: at 20,000 records a second about two seconds. */
  queueBytesMax: 24 * 1_048_576,
  /** When this much waits the disk is too slow: what remains is for the records of requests that are under way. */
  slowBytes: 16 * 1_048_576,
  /** The same after this long for one batch; a disk that works needs some milliseconds. */
  slowMs: 3_000,
  /** What control records may use of the queue beyond that. */
  controlQueueBytes: 1_048_576,
  /** Set aside on the disk: ten times what waits at 20,000 records a second, and thousands of control records after it. */
  reserveBytes: 12 * 1_048_576,
  /** Between tries while the disk refuses. */
  retryMs: 1_000,
  /** Piece of a file that is read at once. */
  readBytes: 262_144,
  /** Piece of memory in which lines gather. */
  chunkBytes: 65_536,
  /** Pieces that are kept for the next batch. */
  chunksKept: 8,
});
