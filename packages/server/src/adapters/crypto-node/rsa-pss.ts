import { constants, verify } from 'node:crypto';
import type { RsaPssCheck } from '@postern/core/attest';
import { publicKey } from './ecdsa.ts';

const saltBytes = { sha256: 32, sha384: 48, sha512: 64 } as const;
/** Below 2048 bits is breakable; above 8192 a verification costs milliseconds and nobody signs so. */
const modulusBits = { least: 2048, most: 8192 } as const;

/** True only for a correct RSASSA-PSS signature with the salt as long as the hash. Malformed is false. */
export function verifyRsaPss(check: RsaPssCheck): boolean {
  const key = publicKey(check.spki);
  if (key?.asymmetricKeyType !== 'rsa' && key?.asymmetricKeyType !== 'rsa-pss') return false;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < modulusBits.least || bits > modulusBits.most) return false;
  try {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const saltLength = saltBytes[check.hash];
    return verify(check.hash, check.message, { key, padding, saltLength }, check.signature);
  } catch {
    return false;
  }
}
