/**
 * @module The policy file: every section, read once into typed immutable data with a place for every item.
 *
 * Promises: a file with an error is refused with the sentence of the hosted service where that is known; names
 * that nothing defines are errors; findings have code, severity, pointer, line and column. Refuses: files above
 * the limits of `limits.ts`. What depends on people and machines (tests, unknown users) is in `policy/compile`.
 */
export * from './capability.ts';
export { type Finding, type FindingCode, isError, refusalOf, type Severity } from './finding.ts';
export * from './ipset.ts';
export * from './limits.ts';
export type * from './model.ts';
export { type ParsedPolicy, parsePolicySource, parsePolicyValue } from './parse.ts';
export * from './port.ts';
export * from './posture.ts';
export * from './protocol.ts';
export type { Text } from './reader.ts';
export * from './selector.ts';
export * from './source.ts';
export { parsePolicyText, sourceOfDocument } from './text.ts';
export { checkPeriodMsDefault, checkPeriodMsMax, parseSshUser } from './ssh.ts';
