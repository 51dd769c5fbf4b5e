/**
 * @module Identity from the mesh: the headers of `tailscale serve`, and the local tailscaled: whois, its state, its Serve.
 *
 * Promises: headers count on the serve socket alone (the gateway asks for them nowhere else); both ways give the same
 * principal for the same person; a tagged node is its tags and nobody's user; a daemon that does not answer is 503 and
 * never "anonymous". Refuses: several forwarded addresses, texts that serve would not have written, Funnel callers.
 */
export { createLocalApiWhois, type LocalApiOptions, type RememberingWhois } from './local-api.ts';
export { askLocalFacts, type LocalFacts, turnFunnelOff } from './local-facts.ts';
export {
  askLocalNode,
  askLocalServer,
  askStatusText,
  joinLocalNode,
  type JoinRequest,
  type LocalNode,
  logOutLocalNode,
} from './local-node.ts';
export { meetPeers } from './local-peers.ts';
export * from './local-report.ts';
export * from './local-serve.ts';
export {
  findLocalApi,
  type LocalApiPlace,
  localSockets,
  macApp,
  macStoreApp,
  watchLocalApi,
} from './local-socket.ts';
export * from './serve.ts';
