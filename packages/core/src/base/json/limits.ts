/** What a JSON text may be. Exceeding any of these is a refusal, before anything is allocated for the excess. */
export interface JsonLimits {
  readonly bytesMax: number;
  /** Nesting of arrays and objects; the outermost one counts as 1. */
  readonly depthMax: number;
  /** Members of any one object. */
  readonly keysPerObjectMax: number;
  /** Values in the whole text, of every kind. */
  readonly valuesMax: number;
  /** Bytes of one string between its quotes, as written. */
  readonly stringBytesMax: number;
  /** Characters of one number as written. */
  readonly numberCharsMax: number;
  /** `refuse`: a key named twice is a problem. `last`: the last one counts, for texts that we do not pass on. */
  readonly duplicateKeys: 'refuse' | 'last';
}

const mebibyte = 1024 * 1024;

/**
 * Bodies of callers. 32 MiB is what the largest provider accepts; the deepest tool schema seen in the wild nests
 * under 30; a key list of 10,000 is far beyond any request and keeps one object from becoming a hash table attack.
 */
export const requestJsonLimits: JsonLimits = Object.freeze({
  bytesMax: 32 * mebibyte,
  depthMax: 64,
  keysPerObjectMax: 10_000,
  valuesMax: 1_000_000,
  stringBytesMax: 32 * mebibyte,
  numberCharsMax: 64,
  duplicateKeys: 'refuse',
});

/** Answers of upstreams: chosen by the operator, so looser; still bounded, since a broken server is no reason to die. */
export const answerJsonLimits: JsonLimits = Object.freeze({
  bytesMax: 64 * mebibyte,
  depthMax: 256,
  keysPerObjectMax: 100_000,
  valuesMax: 4_000_000,
  stringBytesMax: 64 * mebibyte,
  numberCharsMax: 400,
  duplicateKeys: 'last',
});
