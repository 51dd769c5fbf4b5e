/**
 * A small public key infrastructure for tests: certificates, revocation lists and requests put together
 * octet by octet, so that any field can be wrong on purpose. Keys are P-256 unless one is given.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { extensionOid, type SignatureVerifier, usageOid } from '@postern/core/attest/x509';
import { utf8 } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import { nodeSignatureVerifier } from '../../packages/server/src/adapters/crypto-node/index.ts';

/** The product's own verifier, for tests of parts that take it as a port. */
export const verifier: SignatureVerifier = nodeSignatureVerifier;

/** The instant at which everything made here with default times is valid. */
export const pkiNow: number = Date.UTC(2026, 5, 1);

const dayMs = 24 * 3_600_000;

export interface TestKey {
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
  readonly identifier: Uint8Array;
}

export function testKey(namedCurve = 'P-256'): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return keyOf(privateKey, publicKey);
}

export function keyOf(privateKey: KeyObject, publicKey: KeyObject): TestKey {
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  return { privateKey, spki, identifier: new Uint8Array(createHash('sha1').update(spki).digest()) };
}

/** A name of one common name, or of nothing. */
export function nameDer(commonName: string): Uint8Array {
  if (commonName === '') return der.sequence();
  const pair = der.sequence(der.oid('2.5.4.3'), der.utf8String(commonName));
  return der.sequence(der.setOf(pair));
}

export const algorithmDer: Uint8Array = der.sequence(der.oid('1.2.840.10045.4.3.2'));

export function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? [der.boolean(true)] : [];
  return der.sequence(der.oid(oid), ...flag, der.octetString(value));
}

const usageBits = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;

export function keyUsage(...usages: readonly (keyof typeof usageBits)[]): Uint8Array {
  const bits = usages.map((usage) => usageBits[usage]);
  return extension(extensionOid.keyUsage, der.namedBits(...bits), true);
}

export function basicConstraints(ca: boolean, pathLength?: number): Uint8Array {
  const parts = [
    ...(ca ? [der.boolean(true)] : []),
    ...(pathLength === undefined ? [] : [der.integer(pathLength)]),
  ];
  return extension(extensionOid.basicConstraints, der.sequence(...parts), true);
}

export function extendedKeyUsage(...oids: readonly string[]): Uint8Array {
  return extension(extensionOid.extendedKeyUsage, der.sequence(...oids.map(der.oid)));
}

/** `dns:`, `email:`, `uri:` and text, `ip:` and dotted numbers (all of them octets), or `dn:` and a name. */
export function generalName(text: string): Uint8Array {
  const colon = text.indexOf(':');
  const value = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case 'email':
      return der.implicit(1, der.ia5String(value));
    case 'dns':
      return der.implicit(2, der.ia5String(value));
    case 'dn':
      return der.explicit(4, nameDer(value));
    case 'uri':
      return der.implicit(6, der.ia5String(value));
    default:
      return der.implicit(7, der.octetString(Uint8Array.from(value.split('.').map(Number))));
  }
}

export function altNames(names: readonly string[], critical = false): Uint8Array {
  return extension(extensionOid.subjectAltName, der.sequence(...names.map(generalName)), critical);
}

export function nameConstraints(
  permitted: readonly string[],
  excluded: readonly string[] = [],
): Uint8Array {
  const list = (tag: number, names: readonly string[]): Uint8Array[] =>
    names.length === 0
      ? []
      : [der.implicit(tag, der.sequence(...names.map((name) => der.sequence(generalName(name)))))];
  const value = der.sequence(...list(0, permitted), ...list(1, excluded));
  return extension(extensionOid.nameConstraints, value, true);
}

function authorityKeyIdentifier(key: TestKey): Uint8Array {
  const value = der.sequence(der.implicit(0, der.octetString(key.identifier)));
  return extension(extensionOid.authorityKeyIdentifier, value);
}

function subjectKeyIdentifier(key: TestKey): Uint8Array {
  return extension(extensionOid.subjectKeyIdentifier, der.octetString(key.identifier));
}

/** The fields of a certificate; tests replace what they are about. */
export interface CertificateFields {
  readonly version: Uint8Array;
  readonly serial: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly issuer: Uint8Array;
  readonly validity: Uint8Array;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

export function certificateDer(fields: CertificateFields, signer: TestKey): Uint8Array {
  const tbs = der.sequence(
    fields.version,
    fields.serial,
    fields.algorithm,
    fields.issuer,
    fields.validity,
    fields.subject,
    fields.spki,
    ...(fields.extensions.length === 0
      ? []
      : [der.explicit(3, der.sequence(...fields.extensions))]),
  );
  const signature = sign('sha256', tbs, signer.privateKey);
  return der.sequence(tbs, algorithmDer, der.bitString(signature));
}

export interface Issued {
  readonly name: string;
  readonly key: TestKey;
  readonly der: Uint8Array;
}

export interface IssueOptions {
  readonly issuer?: { readonly name: string; readonly key: TestKey };
  readonly key?: TestKey;
  readonly extensions?: readonly Uint8Array[];
  readonly fields?: Partial<CertificateFields>;
}

let lastSerial = 1_000;

function issue(name: string, options: IssueOptions, own: readonly Uint8Array[]): Issued {
  const key = options.key ?? testKey();
  const issuer = options.issuer ?? { name, key };
  lastSerial += 1;
  const fields: CertificateFields = {
    version: der.explicit(0, der.integer(2)),
    serial: der.integer(lastSerial),
    algorithm: algorithmDer,
    issuer: nameDer(issuer.name),
    validity: der.sequence(der.time(pkiNow - dayMs), der.time(pkiNow + dayMs)),
    subject: nameDer(name),
    spki: key.spki,
    extensions: [
      subjectKeyIdentifier(key),
      authorityKeyIdentifier(issuer.key),
      ...own,
      ...(options.extensions ?? []),
    ],
    ...options.fields,
  };
  return { name, key, der: certificateDer(fields, issuer.key) };
}

/** An authority, self-signed unless it has an issuer. */
export function authority(
  name: string,
  options: IssueOptions & { readonly pathLength?: number } = {},
): Issued {
  return issue(name, options, [
    basicConstraints(true, options.pathLength),
    keyUsage('keyCertSign', 'cRLSign'),
  ]);
}

/** An end entity for both roles of TLS, named by `names`. */
export function leaf(
  names: readonly string[],
  options: IssueOptions & { readonly issuer: { readonly name: string; readonly key: TestKey } },
): Issued {
  return issue('leaf', options, [
    keyUsage('digitalSignature'),
    extendedKeyUsage(usageOid.serverAuth, usageOid.clientAuth),
    ...(names.length === 0 ? [] : [altNames(names)]),
  ]);
}

export interface ListOptions {
  readonly serials?: readonly number[];
  readonly thisUpdate?: number;
  readonly nextUpdate?: number | 'absent';
  readonly extensions?: readonly Uint8Array[];
  readonly signer?: TestKey;
}

/** A revocation list of an authority. */
export function revocationList(issuer: Issued, options: ListOptions = {}): Uint8Array {
  const { serials = [], nextUpdate = pkiNow + dayMs } = options;
  const entries = serials.map((serial) => der.sequence(der.integer(serial), der.time(pkiNow)));
  const extensions = options.extensions ?? [
    authorityKeyIdentifier(issuer.key),
    extension(extensionOid.crlNumber, der.integer(7)),
  ];
  const tbs = der.sequence(
    der.integer(1),
    algorithmDer,
    nameDer(issuer.name),
    der.time(options.thisUpdate ?? pkiNow - dayMs),
    ...(nextUpdate === 'absent' ? [] : [der.time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [der.sequence(...entries)]),
    ...(extensions.length === 0 ? [] : [der.explicit(0, der.sequence(...extensions))]),
  );
  const signature = sign('sha256', tbs, (options.signer ?? issuer.key).privateKey);
  return der.sequence(tbs, algorithmDer, der.bitString(signature));
}

/** The value of a dstack extension: an OCTET STRING of text or octets. */
export function dstackValue(value: string | Uint8Array): Uint8Array {
  return der.octetString(typeof value === 'string' ? utf8(value) : value);
}

/** The serial number that the last certificate got, for revocation lists. */
export function lastSerialNumber(): number {
  return lastSerial;
}
