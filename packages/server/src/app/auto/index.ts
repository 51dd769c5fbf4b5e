/**
 * @module The role of a container, read from its environment: server, node or gateway.
 *
 * Promises: every decision is a sentence with the variable that made it; a configuration that somebody wrote counts
 * over all of them; an empty VPC_ALLOWED_APPS is nobody. Refuses: `any` without its flag, roles that cannot work.
 */
export * from './prepare.ts';
export * from './role.ts';
export * from './tailscale-env.ts';
