/**
 * @module Distinguished Encoding Rules (ITU-T X.690) and PEM (RFC 7468), strictly.
 *
 * Promises: one value has one accepted encoding (definite minimal lengths, minimal integers, sorted
 * sets, FF for true, no trailing bytes); what is returned are views of the input, so a declared length
 * never allocates; size, depth and element count are bounded; nothing throws out of `decodeDer`.
 * Refuses: BER (indefinite lengths, constructed strings), tag numbers past 2^28, time with fractions or
 * offsets. Limits: `derLimits`. Elements are read lazily: call `checkTree` to have every nested element
 * proven well formed, also where the decoder does not look.
 */
export { type DerElement, type DerError, type DerErrorCode, DerTag } from './element.ts';
export { DerCursor, decodeDer, readDer } from './element.ts';
export { type DerLimits, derLimits } from './limits.ts';
export {
  type PemBlock,
  type PemError,
  type PemOptions,
  pemLimits,
  readPem,
  writePem,
} from './pem.ts';
export { type BitString, type DerText } from './value.ts';
export * as der from './writer.ts';
