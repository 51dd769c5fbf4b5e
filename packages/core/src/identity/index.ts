/**
 * @module Who is asking: `Principal`, `Caller` and the scope of a credential.
 *
 * Promises: one type whatever the authority, keyed by (authority, stable id). Refuses: deciding anything
 * (`policy` does) and proving anything (the authenticators of the server do).
 */
export * from './principal.ts';
