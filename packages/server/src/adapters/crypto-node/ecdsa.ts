import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { EcdsaCheck } from '@postern/core/attest';

const opensslCurves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1' } as const;
const scalarBytes = { 'P-256': 32, 'P-384': 48 } as const;

/** True only for a correct signature by a key on the stated curve. Malformed input is false. */
export function verifyEcdsa(check: EcdsaCheck): boolean {
  const key = publicKey(check.spki);
  if (key?.asymmetricKeyType !== 'ec') return false;
  if (key.asymmetricKeyDetails?.namedCurve !== opensslCurves[check.curve]) return false;
  const raw = check.encoding === 'p1363';
  // OpenSSL pads or cuts a raw signature of another length; one signature must have one form.
  if (raw && check.signature.length !== 2 * scalarBytes[check.curve]) return false;
  try {
    const dsaEncoding = raw ? 'ieee-p1363' : 'der';
    return verify(check.hash, check.message, { key, dsaEncoding }, check.signature);
  } catch {
    return false;
  }
}

/** The key of a DER SubjectPublicKeyInfo, or undefined where OpenSSL does not read it. */
export function publicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    // The bytes are lent, not copied: createPublicKey wants a Buffer.
    const key = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
