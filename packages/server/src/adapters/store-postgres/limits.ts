import { assert } from '@postern/core/base';

export const postgresLimits = Object.freeze({
  /** Connections of one process besides the one that listens. Requests never wait for one: money is leased ahead. */
  connections: 4,
  /** How long a connection may take to open, ms. */
  connectMs: 3_000,
  /** How long one statement may take on the server, ms; whoever waits for it gets 503 then. */
  statementMs: 5_000,
  /** How long an answer of the server may take: longer than a statement may, so that its own refusal comes first. */
  answerMs: 6_000,
  /** How long a transaction waits for a row that another one changes, ms. */
  lockMs: 3_000,
  /** A transaction that deadlocked or met another one's insert is done again so often. */
  attempts: 4,
  /** Rows handed over at once. A start after a crash needs about a thousand. */
  pageRowsMax: 1_000,
  /** Text handed over at once: sixteen configurations of the largest size. */
  pageCharsMax: 16 * 1_048_576,
  /** The largest journal: at 1 kB a record, ten million changes. */
  journalBytesMax: 10 * 1_073_741_824,
  /** How often others' changes are looked for where no notification comes, ms: a revoked key is refused everywhere within 10 s. */
  pollMs: 2_000,
  /** The longest wait between two attempts to listen again, ms. */
  relistenMsMax: 5_000,
  /** How long a leader that is silent stays the leader, ms. */
  leaseMs: 10_000,
  /** PostgreSQL takes less than 8,000 bytes as a payload of NOTIFY. */
  payloadBytesMax: 7_900,
  /** How long the number of a process's last batch is kept after it: far longer than any answer can be under way. */
  processKeptMs: 7 * 86_400_000,
});

assert(postgresLimits.pollMs * 2 < 10_000, 'a change is everywhere within ten seconds');
assert(postgresLimits.statementMs < postgresLimits.answerMs, 'the server gives up first');
