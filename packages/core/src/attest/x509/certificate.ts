import { type DerElement, type DerError, DerTag, decodeDer } from '../../base/der/index.ts';
import { equalBytes, type Result, toHex } from '../../base/index.ts';
import {
  type Extension,
  type KnownExtensions,
  knownExtensions,
  readExtensions,
  unknownCritical,
} from './extension.ts';
import { type PublicKey, readPublicKey } from './key.ts';
import { x509Limits } from './limits.ts';
import { type DistinguishedName, isSameName, readName } from './name.ts';
import { type Said, type Signed, readSigned } from './signed.ts';

/** A well-formed X.509 certificate (RFC 5280 4.1). Whether to trust it is another question. */
export interface Certificate extends KnownExtensions, Signed {
  readonly version: 1 | 2 | 3;
  readonly serial: bigint;
  /** The serial number's contents octets in hex: the key of revocation lists. */
  readonly serialHex: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Epoch milliseconds, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** DER SubjectPublicKeyInfo: a view of the input. */
  readonly spki: Uint8Array;
  readonly publicKey: PublicKey;
  readonly hasUniqueIds: boolean;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly unknownCritical: readonly string[];
  /** Issuer and subject are one name (RFC 5280 3.2: not the same as self-signed). */
  readonly isSelfIssued: boolean;
}

const noExtensions: ReadonlyMap<string, Extension> = new Map();

/** Parses one DER certificate, strictly. Unknown critical extensions are kept for the validator. */
export function parseCertificate(bytes: Uint8Array): Result<Certificate, DerError> {
  return decodeDer(bytes, readCertificate, { bytesMax: x509Limits.certificateBytesMax });
}

function readCertificate(root: DerElement): Certificate {
  root.checkTree();
  return readSigned(root, readTbs);
}

function readTbs(tbs: DerElement): Said<Omit<Certificate, keyof Signed>> {
  return tbs.sequence((cursor) => {
    const version = readVersion(cursor.optionalContext(0)?.explicit(0));
    const serialElement = cursor.next();
    const serial = serialElement.integer();
    const innerAlgorithm = cursor.next();
    const issuer = readName(cursor.next());
    const [notBefore, notAfter] = cursor.next().sequence((validity) => {
      return [validity.next().time(), validity.next().time()] as const;
    });
    const subject = readName(cursor.next());
    const key = cursor.next();
    const uniqueIds = [1, 2].map((tag) => {
      return cursor.optionalContext(tag)?.implicit(tag, DerTag.bitString).bitString();
    });
    const last = cursor.optionalContext(3)?.explicit(3);
    const hasUniqueIds = uniqueIds.some((id) => id !== undefined);
    if (version < 3 && last !== undefined) tbs.refuse('extensions before version 3');
    if (version < 2 && hasUniqueIds) tbs.refuse('unique identifiers before version 2');
    const extensions = last === undefined ? noExtensions : readExtensions(last);
    return {
      version,
      serial,
      serialHex: toHex(serialElement.content),
      innerAlgorithm,
      issuer,
      subject,
      notBefore,
      notAfter,
      spki: key.bytes,
      publicKey: readPublicKey(key),
      hasUniqueIds,
      extensions,
      unknownCritical: unknownCritical(extensions),
      isSelfIssued: isSameName(issuer, subject),
      ...knownExtensions(extensions, tbs),
    };
  });
}

function readVersion(element: DerElement | undefined): 1 | 2 | 3 {
  const value = element?.integer();
  if (value === undefined) return 1;
  if (value === 1n) return 2;
  if (value === 2n) return 3;
  // 0 is the default, which DER does not encode.
  return element?.refuse('unknown version') ?? 1;
}

export function isSameCertificate(a: Certificate, b: Certificate): boolean {
  return equalBytes(a.bytes, b.bytes);
}

/** Whether an authority's key is the one that a certificate or list says it was signed with. */
export function isKeyIdentified(
  issuer: Certificate,
  keyIdentifier: Uint8Array | undefined,
): boolean {
  const own = issuer.subjectKeyIdentifier;
  return own === undefined || keyIdentifier === undefined || equalBytes(own, keyIdentifier);
}
