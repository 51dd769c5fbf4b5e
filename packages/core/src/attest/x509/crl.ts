import { type DerElement, type DerError, DerTag, decodeDer } from '../../base/der/index.ts';
import { type Result, toHex } from '../../base/index.ts';
import {
  type AuthorityKeyIdentifier,
  decodeExtension,
  type Extension,
  readAuthorityKeyIdentifier,
  readExtensions,
  readPointNames,
} from './extension.ts';
import type { GeneralName } from './general-name.ts';
import { x509Limits } from './limits.ts';
import { type DistinguishedName, readName } from './name.ts';
import { extensionOid } from './oid.ts';
import { type Said, type Signed, readSigned } from './signed.ts';

export interface RevokedEntry {
  /** Epoch milliseconds. */
  readonly revokedAt: number;
  /** CRLReason number (RFC 5280 5.3.1); 0 where the list gives none. */
  readonly reason: number;
}

/** The scope that a critical issuingDistributionPoint gives a list (RFC 5280 5.2.5). */
export interface CrlScope {
  readonly names: readonly GeneralName[] | undefined;
  readonly onlyUserCertificates: boolean;
  readonly onlyAuthorityCertificates: boolean;
  /** Attribute certificates, some reasons, or entries of other issuers: nothing we can use. */
  readonly isUnusable: boolean;
}

/** A well-formed version 2 revocation list (RFC 5280 5.1). */
export interface RevocationList extends Signed {
  readonly issuer: DistinguishedName;
  /** Epoch milliseconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
  /** By serial number, the contents octets in hex. */
  readonly revoked: ReadonlyMap<string, RevokedEntry>;
  readonly crlNumber: bigint | undefined;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined;
  readonly scope: CrlScope | undefined;
  readonly isDelta: boolean;
  readonly extensions: ReadonlyMap<string, Extension>;
  /** Critical extensions of the list or of an entry that nothing here understands. */
  readonly unknownCritical: readonly string[];
}

const understoodInList: ReadonlySet<string> = new Set([
  extensionOid.authorityKeyIdentifier,
  extensionOid.crlNumber,
  extensionOid.issuingDistributionPoint,
  extensionOid.deltaCrlIndicator,
  extensionOid.freshestCrl,
  extensionOid.issuerAltName,
]);

const understoodInEntry: ReadonlySet<string> = new Set([
  extensionOid.reasonCode,
  extensionOid.invalidityDate,
]);

/** Parses one DER CertificateList. Entries of every kind are read, so an unreadable one is an error. */
export function parseRevocationList(bytes: Uint8Array): Result<RevocationList, DerError> {
  return decodeDer(bytes, (root) => readSigned(root, readTbsList), {
    bytesMax: x509Limits.crlBytesMax,
    // An entry with a reason is eight elements.
    elementsMax: 8 * x509Limits.crlEntriesMax + 4_096,
  });
}

function readTbsList(tbs: DerElement): Said<Omit<RevocationList, keyof Signed>> {
  return tbs.sequence((cursor) => {
    const version = cursor.next();
    if (version.integer() !== 1n) version.refuse('not a version 2 list');
    const innerAlgorithm = cursor.next();
    const issuer = readName(cursor.next());
    const thisUpdate = cursor.next().time();
    const nextUpdate = isTime(cursor.peek()) ? cursor.next().time() : undefined;
    const entries = cursor.optional(DerTag.sequence);
    const unknown: string[] = [];
    const revoked = entries === undefined ? new Map() : readEntries(entries, unknown);
    const last = cursor.optionalContext(0)?.explicit(0);
    const extensions = last === undefined ? new Map<string, Extension>() : readExtensions(last);
    unknown.push(...criticalOutside(extensions, understoodInList));
    return {
      innerAlgorithm,
      issuer,
      thisUpdate,
      nextUpdate,
      revoked,
      extensions,
      unknownCritical: unknown,
      ...readListExtensions(extensions, tbs),
    };
  });
}

function isTime(element: DerElement | undefined): boolean {
  return (
    element?.isUniversal(DerTag.utcTime) === true ||
    element?.isUniversal(DerTag.generalizedTime) === true
  );
}

function readListExtensions(
  extensions: ReadonlyMap<string, Extension>,
  tbs: DerElement,
): Pick<RevocationList, 'crlNumber' | 'authorityKeyIdentifier' | 'scope' | 'isDelta'> {
  const read = <T>(oid: string, decode: (root: DerElement) => T): T | undefined =>
    decodeExtension(extensions, oid, decode, tbs);
  const crlNumber = read(extensionOid.crlNumber, (root) => {
    const value = root.integer();
    return value >= 0n && value < 2n ** 160n ? value : root.refuse('list number out of range');
  });
  return {
    crlNumber,
    authorityKeyIdentifier: read(extensionOid.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    scope: read(extensionOid.issuingDistributionPoint, readScope),
    isDelta: extensions.has(extensionOid.deltaCrlIndicator),
  };
}

function readScope(root: DerElement): CrlScope {
  return root.sequence((cursor) => {
    const name = cursor.optionalContext(0);
    const flag = (tag: number): boolean => {
      const element = cursor.optionalContext(tag)?.implicit(tag, DerTag.boolean);
      if (element?.boolean() === false) element.refuse('a default value is encoded');
      return element !== undefined;
    };
    const onlyUserCertificates = flag(1);
    const onlyAuthorityCertificates = flag(2);
    const someReasons = cursor.optionalContext(3)?.implicit(3, DerTag.bitString).namedBits();
    const isIndirect = flag(4);
    const onlyAttributes = flag(5);
    const names = name === undefined ? undefined : readPointNames(name);
    return {
      names,
      onlyUserCertificates,
      onlyAuthorityCertificates,
      isUnusable:
        someReasons !== undefined ||
        isIndirect ||
        onlyAttributes ||
        (name !== undefined && names === undefined) ||
        (onlyUserCertificates && onlyAuthorityCertificates),
    };
  });
}

function readEntries(element: DerElement, unknown: string[]): ReadonlyMap<string, RevokedEntry> {
  const revoked = new Map<string, RevokedEntry>();
  element.sequence((cursor) => {
    // RFC 5280 5.1.2.6: without revoked certificates the list is absent, not empty.
    if (cursor.done) element.refuse('empty list of entries');
    while (!cursor.done) {
      const item = cursor.next();
      if (revoked.size >= x509Limits.crlEntriesMax) item.refuse('too many entries');
      readEntry(item, revoked, unknown);
    }
  });
  return revoked;
}

function readEntry(item: DerElement, revoked: Map<string, RevokedEntry>, unknown: string[]): void {
  item.sequence((cursor) => {
    const serial = cursor.next();
    serial.integer();
    const revokedAt = cursor.next().time();
    const extensions = cursor.done ? new Map<string, Extension>() : readExtensions(cursor.next());
    const reason = decodeExtension(
      extensions,
      extensionOid.reasonCode,
      (root) => {
        const value = root.enumerated();
        const isKnown = value >= 0n && value <= 10n && value !== 7n;
        return isKnown ? Number(value) : root.refuse('unknown reason');
      },
      item,
    );
    decodeExtension(extensions, extensionOid.invalidityDate, (root) => root.time(), item);
    unknown.push(...criticalOutside(extensions, understoodInEntry));
    if (unknown.length > x509Limits.extensionsMax) item.refuse('too many unknown extensions');
    const key = toHex(serial.content);
    if (revoked.has(key)) item.refuse('serial number twice');
    revoked.set(key, { revokedAt, reason: reason ?? 0 });
  });
}

function criticalOutside(
  extensions: ReadonlyMap<string, Extension>,
  understood: ReadonlySet<string>,
): readonly string[] {
  return [...extensions.values()]
    .filter((extension) => extension.critical && !understood.has(extension.oid))
    .map((extension) => extension.oid);
}
