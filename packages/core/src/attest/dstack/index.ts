/**
 * @module dstack's evidence: versioned attestations (SCALE and MessagePack), quote answers, event logs.
 *
 * Promises: one reading of each form to the last byte; RTMR3 is replayed from recomputed digests; who the
 * workload is comes only from boot events or documents that the hardware signed; the wrapper's copy of
 * report data is compared and never used. Refuses: TPM quotes (Google Cloud, NitroTPM), host-supplied
 * image hashes. Limits: 10 MiB, 4,096 events.
 */
export { parseDstackAttestation } from './attestation.ts';
export type { DstackAttestation, DstackPlatform } from './form.ts';
export { eventPreimage, replay, runtimeEventType } from './event.ts';
export type { LogEvent, RuntimeEvent } from './event.ts';
export { parseEventLog, parseQuoteAnswer } from './json-form.ts';
export type { QuoteAnswer } from './json-form.ts';
export { configDocumentHash } from './workload.ts';
export {
  type TdxWithEvents,
  verifyDstackAttestation,
  verifyQuoteAnswer,
  verifyTdxWithEvents,
} from './verify.ts';
