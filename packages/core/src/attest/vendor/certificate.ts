import { toHex } from '../../base/bytes.ts';
import { decodeDer, DerTag, readPem } from '../../base/der/index.ts';
import type { DerElement } from '../../base/der/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';

/** Signature algorithms that the three vendors use. A certificate with another one cannot be verified. */
export type VendorSignature = 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-pss-sha384';
export type VendorKey = 'P-256' | 'P-384' | 'RSA';

export interface VendorExtension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/**
 * A certificate of a hardware vendor's PKI. The general path validator is not used for these: chip
 * certificates have serial number zero, no BasicConstraints, no KeyUsage and RSA-PSS issuers, all of which a
 * strict profile for TLS peers refuses. Here the chain's shape is fixed by the vendor instead.
 */
export interface VendorCertificate {
  readonly der: Uint8Array;
  readonly tbs: Uint8Array;
  readonly serial: string;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly spki: Uint8Array;
  readonly key: VendorKey;
  readonly signatureAlgorithm: VendorSignature;
  readonly signature: Uint8Array;
  readonly extensions: ReadonlyMap<string, VendorExtension>;
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** Undefined where the certificate has no KeyUsage. Bit 5 keyCertSign, bit 6 cRLSign. */
  readonly keyUsage: ReadonlySet<number> | undefined;
}

/** PCK certificates are about 1.3 kB, AMD's about 1.7 kB; a larger one is not a vendor's. */
const certificateBytesMax = 16_384;

const oid = {
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  ecPublicKey: '1.2.840.10045.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaPss: '1.2.840.113549.1.1.10',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
} as const;

const curves: Readonly<Record<string, VendorKey>> = {
  '1.2.840.10045.3.1.7': 'P-256',
  '1.3.132.0.34': 'P-384',
};

/** Parameters of RSASSA-PSS with SHA-384, MGF1-SHA-384, salt 48: the only ones in AMD's certificates. */
const pssSha384Parameters = new Set([
  'a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101',
  'a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130',
]);

/** Extensions whose criticality is understood by this module or by the fixed shape of the chain. */
const understood = new Set<string>([oid.basicConstraints, oid.keyUsage]);

export function parseVendorCertificate(der: Uint8Array): Result<VendorCertificate, Malformed> {
  const parsed = decodeDer(der, readCertificate, { bytesMax: certificateBytesMax });
  return parsed.ok ? parsed : err({ what: parsed.error.detail, offset: parsed.error.offset });
}

/** Certificates of PEM text, or of one DER certificate. */
export function parseVendorBundle(bytes: Uint8Array): Result<VendorCertificate[], Malformed> {
  if (bytes[0] === 0x30) {
    const one = parseVendorCertificate(bytes);
    return one.ok ? ok([one.value]) : one;
  }
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  // Quotes end their chain with a NUL, and some services put no line break between certificates.
  const lines = text.replace(/\0+$/, '').replaceAll('----------BEGIN', '-----\n-----BEGIN');
  const blocks = readPem(lines);
  if (!blocks.ok) return err({ what: `PEM ${blocks.error.code}`, offset: blocks.error.line });
  const certificates: VendorCertificate[] = [];
  for (const block of blocks.value) {
    if (block.label !== 'CERTIFICATE') return err({ what: `PEM label ${block.label}`, offset: 0 });
    const certificate = parseVendorCertificate(block.bytes);
    if (!certificate.ok) return certificate;
    certificates.push(certificate.value);
  }
  return ok(certificates);
}

function readCertificate(root: DerElement): VendorCertificate {
  return root.sequence((cursor) => {
    const tbs = cursor.next();
    const algorithm = cursor.next();
    const signatureAlgorithm = readSignatureAlgorithm(algorithm);
    const signature = cursor.next().bitStringOctets();
    const fields = readTbs(tbs, algorithm.bytes);
    return { der: root.bytes, tbs: tbs.bytes, signatureAlgorithm, signature, ...fields };
  });
}

function readTbs(
  tbs: DerElement,
  outerAlgorithm: Uint8Array,
): Omit<VendorCertificate, 'der' | 'tbs' | 'signatureAlgorithm' | 'signature'> {
  return tbs.sequence((cursor) => {
    const version = cursor.next().explicit(0).smallInteger(2);
    if (version !== 2) tbs.refuse('not a version 3 certificate');
    const serial = toHex(readSerial(cursor.next()));
    const algorithm = cursor.next();
    if (toHex(algorithm.bytes) !== toHex(outerAlgorithm)) {
      algorithm.refuse('signature algorithm differs from the outer one');
    }
    const issuer = cursor.next().bytes;
    const [notBeforeMs, notAfterMs] = cursor
      .next()
      .sequence((times) => [times.next().time(), times.next().time()]);
    const subject = cursor.next();
    const spki = cursor.next();
    const extensions = readExtensions(cursor.optionalContext(3));
    return {
      serial,
      issuer,
      subject: subject.bytes,
      commonName: readCommonName(subject),
      notBeforeMs,
      notAfterMs,
      spki: spki.bytes,
      key: readKeyKind(spki),
      extensions,
      ...readBasicConstraints(extensions.get(oid.basicConstraints), tbs),
      keyUsage: readKeyUsage(extensions.get(oid.keyUsage), tbs),
    };
  });
}

function readSerial(element: DerElement): Uint8Array {
  element.integer();
  return element.content;
}

function readCommonName(name: DerElement): string {
  let commonName = '';
  name.sequenceOf((set) => {
    set.setOf((pair) => {
      pair.sequence((cursor) => {
        const type = cursor.next().oid();
        const value = cursor.next().text().text;
        if (type === oid.commonName) commonName = value;
      });
    });
  });
  return commonName;
}

function readKeyKind(spki: DerElement): VendorKey {
  return spki.sequence((cursor) => {
    const kind = cursor.next().sequence((algorithm) => {
      const type = algorithm.next().oid();
      const parameters = algorithm.done ? undefined : algorithm.next();
      if (type === oid.rsaEncryption || type === oid.rsaPss) return 'RSA';
      if (type !== oid.ecPublicKey || parameters === undefined) return spki.refuse('unknown key');
      return curves[parameters.oid()] ?? spki.refuse('unknown curve');
    });
    cursor.next().bitStringOctets();
    return kind;
  });
}

export function readSignatureAlgorithm(algorithm: DerElement): VendorSignature {
  return algorithm.sequence((cursor) => {
    const type = cursor.next().oid();
    const parameters = cursor.done ? undefined : cursor.next();
    if (type === oid.ecdsaSha256 && parameters === undefined) return 'ecdsa-sha256';
    if (type === oid.ecdsaSha384 && parameters === undefined) return 'ecdsa-sha384';
    if (type === oid.rsaPss && parameters !== undefined) {
      if (pssSha384Parameters.has(toHex(parameters.content))) return 'rsa-pss-sha384';
    }
    return algorithm.refuse(`signature algorithm ${type} or its parameters`);
  });
}

export function readExtensions(field: DerElement | undefined): Map<string, VendorExtension> {
  const extensions = new Map<string, VendorExtension>();
  if (field === undefined) return extensions;
  field.explicit(field.tag).sequenceOf((extension) => {
    extension.sequence((cursor) => {
      const id = cursor.next().oid();
      const critical = cursor.optional(DerTag.boolean)?.boolean() ?? false;
      if (extensions.has(id)) extension.refuse(`extension ${id} appears twice`);
      if (critical && !understood.has(id)) extension.refuse(`critical extension ${id}`);
      extensions.set(id, { critical, value: cursor.next().octetString() });
    });
  });
  return extensions;
}

function readBasicConstraints(
  extension: VendorExtension | undefined,
  at: DerElement,
): { readonly isCa: boolean; readonly pathLength: number | undefined } {
  if (extension === undefined) return { isCa: false, pathLength: undefined };
  const read = decodeDer(extension.value, (root) =>
    root.sequence((cursor) => {
      const isCa = cursor.optional(DerTag.boolean)?.boolean() ?? false;
      const pathLength = cursor.optional(DerTag.integer)?.smallInteger(255);
      return { isCa, pathLength };
    }),
  );
  return read.ok ? read.value : at.refuse('BasicConstraints');
}

function readKeyUsage(
  extension: VendorExtension | undefined,
  at: DerElement,
): ReadonlySet<number> | undefined {
  if (extension === undefined) return undefined;
  // AMD writes trailing zero bits, which DER forbids in a named bit list; the bits read the same.
  const read = decodeDer(extension.value, (root) => bitsOf(root.bitString().bytes));
  return read.ok ? read.value : at.refuse('KeyUsage');
}

function bitsOf(bytes: Uint8Array): ReadonlySet<number> {
  const bits = new Set<number>();
  for (const [index, byte] of bytes.entries()) {
    for (let bit = 0; bit < 8; bit += 1)
      if ((byte & (0x80 >> bit)) !== 0) bits.add(8 * index + bit);
  }
  return bits;
}
