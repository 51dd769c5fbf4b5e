export const valkeyLimits = Object.freeze({
  /** How long a connection may take to open, ms. */
  connectMs: 3_000,
  /** How long an answer may take, ms: a request waits for it. */
  answerMs: 1_000,
  /** Commands that wait for an answer: some 5 MB; one more is refused. */
  waitingMax: 10_000,
  /** The longest wait between two attempts to connect again, ms. */
  reconnectMsMax: 1_000,
  /** A connection is asked for a sign of life so often, and given up after so long without any, ms. */
  pingMs: 1_000,
  silentMsMax: 3_000,
  /** A server that refused is tried again after so long, ms. */
  probeMs: 500,
  /** Ends of requests that wait for the server; more are dropped: their slots lapse, their rates drain. */
  endingsMax: 10_000,
  /** Ends of requests that are told at once. */
  endingsAtOnce: 64,
  /** After an end that the server was not told, ms. */
  retryMs: 500,
  /** Slots renewed by one script: a fraction of a millisecond of the server's one thread. */
  renewedAtOnce: 200,
  /** How long a shutdown waits for the last ends, ms. */
  closeMs: 1_000,
});
