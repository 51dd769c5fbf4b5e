import { type DerElement, type DerError, decodeDer } from '../../base/der/index.ts';
import type { Result } from '../../base/index.ts';
import {
  readSignatureAlgorithm,
  type SignatureAlgorithm,
  type SignatureVerifier,
  type UnsupportedAlgorithm,
} from './algorithm.ts';
import { isKeyFor, type PublicKey, readPublicKey } from './key.ts';
import { type DistinguishedName, readName } from './name.ts';

/** A PKCS#10 request (RFC 2986). Only its key is of use here: attributes are skipped unread. */
export interface CertificateRequest {
  readonly info: Uint8Array;
  readonly subject: DistinguishedName;
  readonly spki: Uint8Array;
  readonly publicKey: PublicKey;
  readonly signatureAlgorithm: SignatureAlgorithm | UnsupportedAlgorithm;
  readonly signature: Uint8Array;
}

/** A request is a key, a name and a few extensions. */
const requestBytesMax = 16_384;

export function parseCertificateRequest(bytes: Uint8Array): Result<CertificateRequest, DerError> {
  return decodeDer(bytes, readRequest, { bytesMax: requestBytesMax });
}

function readRequest(root: DerElement): CertificateRequest {
  root.checkTree();
  return root.sequence((cursor) => {
    const info = cursor.next();
    const signatureAlgorithm = readSignatureAlgorithm(cursor.next());
    const signature = cursor.next().bitStringOctets();
    return info.sequence((fields) => {
      const version = fields.next();
      if (version.integer() !== 0n) version.refuse('not a version 1 request');
      const subject = readName(fields.next());
      const key = fields.next();
      const attributes = fields.next();
      if (!attributes.isContext(0)) attributes.refuse('expected [0]', 'unexpected-tag');
      return {
        info: info.bytes,
        subject,
        spki: key.bytes,
        publicKey: readPublicKey(key),
        signatureAlgorithm,
        signature,
      };
    });
  });
}

/** Whether the request is signed with the key that it asks a certificate for. */
export function provesPossession(
  request: CertificateRequest,
  verifier: SignatureVerifier,
): boolean {
  const { signatureAlgorithm: algorithm, publicKey } = request;
  if (algorithm.kind === 'unsupported' || !isKeyFor(publicKey, algorithm)) return false;
  return verifier.verify({
    spki: request.spki,
    algorithm,
    message: request.info,
    signature: request.signature,
  });
}
