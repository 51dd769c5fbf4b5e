import { generateKeyPairSync, sign } from 'node:crypto';
import { Secret } from '@postern/core/base';
import { der } from '@postern/core/base/der';

/** A fresh key, and a request (PKCS#10, RFC 2986) that proves that we hold it. */
export interface FreshRequest {
  /** PKCS#8 in PEM. */
  readonly key: Secret;
  readonly csr: Uint8Array;
}

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/** A new P-256 key for each certificate. The request has no name: what a certificate says is the authority's word. */
export function createRequest(): FreshRequest {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const info = der.sequence(der.integer(0), der.sequence(), spki, der.explicit(0));
  const signature = new Uint8Array(sign('sha256', info, privateKey));
  const algorithm = der.sequence(der.oid(ecdsaWithSha256));
  const csr = der.sequence(info, algorithm, der.bitString(signature));
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return { key: new Secret(pem), csr };
}
