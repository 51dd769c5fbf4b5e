import { assert } from '@postern/core/base';
import { answerCharsPerToken } from '@postern/core/dialect';

/** Bounds of the data plane that no configuration changes. Units are in the names. */
export const gatewayLimits = Object.freeze({
  /** An upstream's error body is read for its message only. */
  upstreamErrorBytesMax: 65_536,
  /** A whole (not streamed) answer: far above any text, enough for images in base64. */
  answerBytesMax: 67_108_864,
  /** A name that a caller asks for goes into answers and logs; `provider/model` is at most 289 (config). */
  modelNameCharsMax: 512,
  /** A provider's list of models. */
  modelListBytesMax: 4_194_304,
  modelsPerProviderMax: 10_000,
  /** A miss makes a provider list again, but no oftener than this. */
  relistMsMin: 5_000,
  /** How long a list request may take: callers wait for it on a miss. */
  listMsMax: 4_000,
  /** Characters of text for one token, where we have to estimate. */
  charsPerToken: answerCharsPerToken,
});

assert(
  gatewayLimits.upstreamErrorBytesMax < gatewayLimits.answerBytesMax,
  'an error body is smaller than an answer',
);
assert(
  gatewayLimits.listMsMax < gatewayLimits.relistMsMin,
  'one list request ends before the next may start',
);
