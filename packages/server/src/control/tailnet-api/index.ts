/**
 * @module The Tailscale API v2 over HTTP, on the control listener: machines, keys, OAuth clients, policy, DNS, people,
 * settings.
 *
 * Promises: the shapes, statuses and errors of that API, as its official Go client reads them; an administrator's key
 * or a token with scopes, nothing else; a policy over the one that was read (`If-Match`, 412); what the engine cannot
 * do is 501 with a sentence; every change is in the journal under who asked. Refuses: names of other tailnets,
 * webhooks, services, log streams. Limits: a body as long as the longest policy; tokens live for an hour.
 */
export { tailnetApi, tailnetApiPrefix } from './handler.ts';
export type { TailnetApiOptions } from './ports.ts';
export { knownScopes } from './scopes.ts';
