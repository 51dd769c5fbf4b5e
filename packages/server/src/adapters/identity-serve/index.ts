/**
 * @module Identity from the mesh: the headers of `tailscale serve`, and whois of the local tailscaled.
 *
 * Promises: headers count on the serve socket alone (the gateway asks for them nowhere else); both ways give the same
 * principal for the same person; a tagged node is its tags and nobody's user; a daemon that does not answer is 503 and
 * never "anonymous". Refuses: several forwarded addresses, texts that serve would not have written, Funnel callers.
 */
export * from './local-api.ts';
export * from './serve.ts';
