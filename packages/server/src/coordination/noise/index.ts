/**
 * @module The secure channel of ts2021: Noise IK (25519, ChaChaPoly, BLAKE2s) in both roles, its framing, the record
 * layer with big-endian counters, and a Duplex on which HTTP/2 runs.
 *
 * Promises: whoever finished a handshake holds the private half of the key that is reported; a record that was
 * changed, repeated, dropped or reordered ends the stream; memory per connection is bounded by one record.
 * Refuses: any other Noise pattern; continuing after a failure. Forward secrecy is that of IK: the first message is
 * readable by whoever later gets the control key.
 */
export {
  type KeyPair,
  generateKeyPair,
  keyBytes,
  keyPairOf,
  rawPrivate,
  sharedSecret,
} from './x25519.ts';
export {
  type ControlHandshakeFailure,
  type ControlInitiation,
  acceptControlClient,
  initiationBytes,
  responseBytes,
  startControlClient,
} from './control-handshake.ts';
export { earlyPayload, splitEarlyPayload } from './early-payload.ts';
export { type HandshakeFailure, initiate, respond } from './ik.ts';
export {
  type Opened,
  type RecordFailure,
  RecordOpener,
  RecordSealer,
  recordBytesMax,
  recordPlaintextBytesMax,
} from './records.ts';
export { type NoiseStreamOptions, NoiseStream, RecordError } from './stream.ts';
export type { TransportKeys } from './symmetric-state.ts';
