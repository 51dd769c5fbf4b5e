/**
 * @module CBOR (RFC 8949) as attestation documents use it: a strict reader and a writer of the same subset.
 *
 * Promises: every document has one reading; depth, item count and size are bounded; a declared length
 * allocates nothing. Refuses: indefinite lengths (unless the caller's
 * profile has them, and in strings always), non-minimal heads, duplicate or non-scalar map keys,
 * floating point, simple values other than false, true, null and undefined, trailing bytes.
 */
export * from './read.ts';
export * from './write.ts';
