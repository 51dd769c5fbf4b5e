/**
 * @module Sets of public keys in JSON (RFC 7517), as issuers of tokens publish them.
 *
 * Promises: every key that comes out is strong, fits its curve, is for signatures, and is bound to the
 * algorithms it may be used with, so that no token header chooses. Refuses whole sets that hold secret
 * or private keys or one key id twice. Ignores, with the reason, single keys that it does not accept, so
 * that one odd key does not stop an issuer. Limits: `jwkLimits`.
 */
export {
  type JwkSet,
  type JwkSetError,
  type JwsAlgorithm,
  jwkLimits,
  jwsAlgorithms,
  parseJwkSet,
  type VerificationKey,
} from './jwk.ts';
