/**
 * @module Who is asking: `Principal`, `Caller`, the scope of a credential, and the rules by which keys, tokens and
 * loopback callers count.
 *
 * Promises: one type whatever the authority, keyed by (authority, stable id); every rule is a pure function of what
 * was learnt and of the time. Refuses: deciding what a caller may do (`policy` does), and fetching, hashing or
 * verifying anything (the authenticators of the server do).
 */
export * from './binding.ts';
export * from './mapping.ts';
export * from './operator.ts';
export * from './presented.ts';
export * from './principal.ts';
export * from './serve-headers.ts';
export * from './token-claims.ts';
export * from './token.ts';
