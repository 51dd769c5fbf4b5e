/**
 * @module The part of MessagePack that dstack attestations use: a strict reader and a small writer.
 *
 * Promises: depth, item count and size are bounded; a declared length allocates nothing. Refuses:
 * extension types, floating point, duplicate or non-text map keys, trailing bytes, and heads that are
 * longer than needed (Rust's serializer always writes the shortest, so a longer one is a second form).
 */
export * from './read.ts';
export * from './write.ts';
