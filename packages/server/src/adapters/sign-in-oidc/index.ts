/**
 * @module Sign-in of people with an OpenID Connect issuer (authorization code with PKCE), for machines that join
 * without a key.
 *
 * Promises: a person is the issuer and its subject, never an e-mail address; an address counts as login only where the
 * issuer verified it; the answer belongs to the browser that asked; all calls go through the given way out.
 * Refuses: implicit flows, tokens without an id token. Limits: `pendingMax`, `lifeMs`, `answerBytesMax`.
 */
export { createOidcSignIn, type OidcSignInOptions } from './sign-in.ts';
