/**
 * @module Attested models: providers whose upstream proves which code it runs before a byte is sent to it, and receipts of
 * what was verified.
 *
 * Promises: an upstream that is somebody else gets no byte; what was verified is a line of the audit log for each request,
 * and a receipt of it for the caller; without such a provider nothing of it is loaded. Refuses: http without evidence,
 * receipts for anybody else. Limits: 100,000 receipts of a day at once, older ones among the last 50,000 records.
 */
export { AttestedDesk } from './desk.ts';
export type { MeshCalls } from './upstreams.ts';
