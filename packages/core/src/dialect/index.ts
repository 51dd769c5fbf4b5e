/**
 * @module The wire formats: one canonical conversation, one descriptor for each format, any in and any out.
 *
 * Promises: what two formats share survives translation; what passes through in its own format is not touched but
 * for the named patch. Refuses: I/O, clocks, ids of its own, silent loss (what cannot be said is refused; each
 * format's page names the few hints that are left out).
 */
export * from './dialect.ts';
export type * from './model.ts';
export { toolUses } from './model.ts';
export {
  answerChars,
  answerCharsPerToken,
  estimateInputTokens,
  estimateTextTokens,
} from './estimate.ts';
export { EventFold, fold, unfold } from './fold.ts';
export { otherModelIn } from './other-model.ts';
export { noUsage, withApart } from './usage.ts';
export { dialectNamed, dialects } from './table.ts';
export {
  countTokensPath,
  decodeCountAnswer,
  encodeCountAnswer,
  encodeCountRequest,
  patchCountRequest,
} from './anthropic-messages/index.ts';
