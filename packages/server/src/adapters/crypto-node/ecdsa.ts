import type { EcdsaCheck } from '@postern/core/attest';
import { verifySignature } from './signature.ts';

/** SubjectPublicKeyInfo of an uncompressed point up to the point's coordinates (RFC 5480 section 2). */
const prefixes = {
  'P-256': Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex'),
  'P-384': Buffer.from('3076301006072a8648ce3d020106052b8104002203620004', 'hex'),
} as const;

/** True only for a correct signature by a key on the stated curve. Malformed input is false. */
export function verifyEcdsa(check: EcdsaCheck): boolean {
  const { curve, hash, spki, message, signature, encoding } = check;
  const prefix = prefixes[curve];
  if (!prefix.equals(spki.subarray(0, prefix.length))) return false;
  return verifySignature({
    spki,
    algorithm: { kind: 'ecdsa', hash },
    message,
    signature,
    encoding,
  });
}
