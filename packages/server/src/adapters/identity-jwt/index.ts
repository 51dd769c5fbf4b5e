/**
 * @module Tokens of configured issuers (JWT, RFC 7519) as credentials.
 *
 * Promises: algorithms are bound to the issuer and to the kind of key; keys come from where the operator said and are
 * looked up by id in a Map; a rotation of keys refuses nobody; an issuer that cannot be reached is 503, never 401;
 * revocation by token, subject and issuer counts on every request. Refuses: encrypted tokens, critical extensions,
 * keys and addresses inside a token, and secrets as public keys. Limits: 64 KiB and 64 keys a set, one load in 30 s.
 */
export * from './authenticator.ts';
export {
  type IssuerKeys,
  type LoadKeySet,
  PublishedKeys,
  type ReadSecret,
  SharedSecret,
} from './issuer-keys.ts';
export * from './sources.ts';
