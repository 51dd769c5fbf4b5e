import { assert } from '@postern/core/base';

/** What agents may take of this process. One of them in a loop must not be felt by anybody else. */
export const mcpLimits = Object.freeze({
  /** One message: a policy of the largest size as JSON text, and what is around it. */
  bodyBytesMax: 4 * 1_048_576,
  /** Arguments of tools nest under 10; a schema inside a policy patch under 30. */
  depthMax: 64,
  /** Calls of one principal that run at the same time. */
  callsAtOnceMax: 8,
  /** Calls of all principals: reasoning about a large policy takes a core each. */
  callsAtOnceOfAllMax: 32,
  /** Calls of one principal in a minute, and how many of them may come at once. */
  callsPerMinute: 120,
  callsBurst: 60,
  /** Of these, calls of tools that change something. */
  changesPerMinute: 20,
  changesBurst: 10,
  /** Principals whose pace is remembered; the oldest is forgotten, and begins with a full bucket. */
  principalsMax: 10_000,
  /** A call that takes longer is answered as refused; what it began still ends by itself. */
  callMsMax: 30_000,
  /** Questions to people that wait for an answer, of one principal and of all. */
  questionsPerPrincipalMax: 16,
  questionsMax: 1_024,
  /** People read before they agree; ten minutes later they agree to something else. */
  questionMsMax: 600_000,
  /** Secrets that wait to be fetched. */
  secretsMax: 256,
  secretMsMax: 600_000,
  /** Rows of one answer. */
  rowsMax: 50,
  /** Characters of one text that others wrote (names, tags, comments), in an answer. */
  textCharsMax: 512,
  /** Characters of a whole policy, a difference, or a section, in an answer. */
  documentCharsMax: 48_000,
  /** Characters of an answer: what a model reads at once without losing the thread. */
  answerCharsMax: 96_000,
  /** Sessions of clients of the older era, of one principal and of all, and how long one may be silent. */
  sessionsPerPrincipalMax: 16,
  sessionsMax: 256,
  sessionIdleMsMax: 1_800_000,
  /** Streams of notifications that are open at the same time. */
  subscriptionsMax: 32,
});

assert(
  mcpLimits.documentCharsMax < mcpLimits.answerCharsMax,
  'a document fits an answer, with what is around it',
);
assert(
  mcpLimits.questionsPerPrincipalMax < mcpLimits.questionsMax,
  'one principal cannot push out the questions of all others',
);
