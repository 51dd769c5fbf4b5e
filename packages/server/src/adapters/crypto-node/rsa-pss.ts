import type { RsaPssCheck } from '@postern/core/attest';
import { verifySignature } from './signature.ts';

const saltBytes = { sha256: 32, sha384: 48, sha512: 64 } as const;
/** Below 2048 bits is breakable; above 8192 a verification costs milliseconds and nobody signs so. */
const signatureBytes = { least: 256, most: 1024 } as const;

/** True only for a correct RSASSA-PSS signature with the salt as long as the hash. Malformed is false. */
export function verifyRsaPss({ hash, spki, message, signature }: RsaPssCheck): boolean {
  // A signature is as long as its modulus, or `verifySignature` refuses it.
  if (signature.length < signatureBytes.least || signature.length > signatureBytes.most)
    return false;
  const algorithm = { kind: 'rsa-pss', hash, saltLengthBytes: saltBytes[hash] } as const;
  return verifySignature({ spki, algorithm, message, signature });
}
