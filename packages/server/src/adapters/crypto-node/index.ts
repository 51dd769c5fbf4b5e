/**
 * @module The cryptographic primitives of `node:crypto` behind the ports that core declares, and token
 * signatures by jose.
 *
 * Promises: every parameter is explicit; lengths are checked before the primitive sees the bytes; a
 * signature or tag that is wrong in any way is `false` or `undefined`, never an exception.
 * Refuses: algorithms outside of the few that Postern calls; truncated tags; nonces other than 96 bits.
 */
export { nodeCrypto } from './attest.ts';
export { type AeadName, aeadOpen, aeadSeal } from './aead.ts';
export { hkdf, hmac, isHmac } from './derive.ts';
export { x25519SharedSecret } from './exchange.ts';
export { type JwsError, type VerifiedJws, verifyJws } from './jws.ts';
export {
  type EcdsaEncoding,
  nodeSignatureVerifier,
  type SignatureInput,
  verifySignature,
} from './signature.ts';
export { checkTokens } from './token-signatures.ts';
