/**
 * @module The part of SCALE (parity-scale-codec) that dstack attestations use: compact lengths, byte
 * vectors, strings, little-endian integers; reader and writer.
 *
 * Promises: compact integers only in their shortest form; a declared length allocates nothing.
 * Refuses: big-integer compacts (no length needs 2^30 here), strings that are not UTF-8, any schema.
 */
export * from './scale.ts';
