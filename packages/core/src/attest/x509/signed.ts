import type { DerElement } from '../../base/der/index.ts';
import {
  isSameAlgorithm,
  readSignatureAlgorithm,
  type SignatureAlgorithm,
  type UnsupportedAlgorithm,
} from './algorithm.ts';

/** What certificates and revocation lists have around what they say (RFC 5280 4.1.1 and 5.1.1). */
export interface Signed {
  /** The whole of it: a view of the input. */
  readonly bytes: Uint8Array;
  /** What the signature covers. */
  readonly tbs: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm | UnsupportedAlgorithm;
  readonly signature: Uint8Array;
}

/** What is said, and the algorithm as it stands among it: both must name the same one. */
export type Said<T> = T & { readonly innerAlgorithm: DerElement };

export function readSigned<T extends object>(
  root: DerElement,
  readTbs: (tbs: DerElement) => Said<T>,
): Signed & Omit<Said<T>, 'innerAlgorithm'> {
  return root.sequence((cursor) => {
    const tbs = cursor.next();
    const algorithm = cursor.next();
    const signature = cursor.next().bitStringOctets();
    const { innerAlgorithm, ...fields } = readTbs(tbs);
    if (!isSameAlgorithm(algorithm, innerAlgorithm)) {
      algorithm.refuse('the two signature algorithms differ');
    }
    return {
      bytes: root.bytes,
      tbs: tbs.bytes,
      signature,
      signatureAlgorithm: readSignatureAlgorithm(algorithm),
      ...fields,
    };
  });
}
