/**
 * @module A dstack guest agent without hardware, for development and tests.
 *
 * Promises: everything follows from a seed; quotes, certificates, lists and statements have valid signatures
 * and the forms of the real ones, so that the whole verifier runs. Refuses: to be mistaken for hardware: its
 * root is pinned nowhere, and a verifier has to be told to believe it; Ethereum's signatures (the chain of
 * `GetKey`, `Sign` with secp256k1), which it does not make.
 */
export * from './boot.ts';
export * from './intel-collateral.ts';
export {
  createIntelPki,
  type IntelPki,
  pckExtension,
  serial,
  sgxOid,
  simulatedPlatform,
} from './intel-pki.ts';
export * from './issue.ts';
export * from './signing-key.ts';
export * from './simulator.ts';
export { type AgentSocket, serveAgent } from './socket.ts';
export { createTdQuote, type TdOptions } from './tdx-quote.ts';
