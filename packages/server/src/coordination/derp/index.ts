/**
 * @module A DERP relay (version 2): carries packets between nodes that cannot reach each other, by node key.
 *
 * Promises: a client is who its key says (NaCl box) and was admitted; packets reach the newest living connection of
 * their destination; a slow reader loses its oldest packets and nobody else's; memory per client is bounded and no
 * declared length allocates. Refuses: relays of one region (mesh keys, forwarding), WebSocket, reading what it carries,
 * which is end-to-end encrypted. Limits: `derpLimits`.
 *
 * `DerpRelay` serves any Duplex; `http` is its HTTP face for whatever listener stands in front; `openDerpListener` is
 * a TLS listener of its own.
 */
export { boxKey, openBox, sealBox } from './box.ts';
export {
  createMetaCertificate,
  createPinnedCertificate,
  type PinnedCertificate,
  pinnedCertName,
} from './certificate.ts';
export {
  type ClientInfo,
  type ClientInfoProblem,
  parseClientInfo,
  parseMeshKey,
} from './client-info.ts';
export { type DropReason, isDisco } from './connection.ts';
export {
  formatFrame,
  formatFrameHeader,
  type Frame,
  type FrameBytesMax,
  frameHeaderBytes,
  type FrameProblem,
  FrameReader,
  frameType,
  keyBytes,
  magic,
  parseFrameHeader,
  type PeerGoneReason,
  peerGoneReason,
  protocolVersion,
} from './frame.ts';
export {
  acceptDerpUpgrade,
  answerDerp,
  type DerpAnswer,
  type DerpRequest,
  isDerpUpgrade,
} from './http.ts';
export { type DerpLimits, derpLimits, packetBytesMax } from './limits.ts';
export { type DerpListener, type DerpListenerOptions, openDerpListener } from './listener.ts';
export {
  type DerpMapMessage,
  derpMapOf,
  type DerpNodeMessage,
  type DerpRegionMessage,
  ownRegionId,
  type OwnRelay,
} from './map.ts';
export { formatNodeKey, parseNodeKey } from './node-key.ts';
export { DerpRelay, type DerpRelayOptions, type DerpSource, type DerpStats } from './relay.ts';
