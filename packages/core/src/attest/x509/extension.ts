import { type DerElement, DerTag, decodeDer } from '../../base/der/index.ts';
import {
  type GeneralName,
  type NameSubtree,
  readGeneralName,
  readNameSubtree,
} from './general-name.ts';
import { x509Limits } from './limits.ts';
import { extensionOid } from './oid.ts';

/** One extension as it stands in a certificate or list. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** Contents of the extnValue: a view of the input. */
  readonly value: Uint8Array;
}

export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
}

export interface NameConstraints {
  readonly permitted: readonly NameSubtree[];
  readonly excluded: readonly NameSubtree[];
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier: Uint8Array | undefined;
  /** Issuer and serial name one certificate, which re-issuing the authority would break. */
  readonly namesCertificate: boolean;
}

export interface DistributionPoint {
  /** Full names; undefined where the point has none or one relative to the issuer. */
  readonly names: readonly GeneralName[] | undefined;
  readonly hasReasons: boolean;
  readonly hasIssuer: boolean;
}

export type KeyUsage =
  | 'digitalSignature'
  | 'contentCommitment'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly';

const keyUsages: readonly KeyUsage[] = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

/** The certificate extensions that are understood, decoded. Absent ones are undefined. */
export interface KnownExtensions {
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectAltNames: readonly GeneralName[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly distributionPoints: readonly DistributionPoint[] | undefined;
  /** Certificates to skip before an explicit policy is required, if the extension says so. */
  readonly requireExplicitPolicy: number | undefined;
}

/** Reads an Extensions sequence; the same extension twice is refused (RFC 5280 4.2). */
export function readExtensions(element: DerElement): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  element.sequenceOf((item) => {
    const extension = item.sequence((cursor) => {
      const oid = cursor.next().oid();
      const flag = cursor.optional(DerTag.boolean);
      const critical = flag?.boolean() ?? false;
      if (flag !== undefined && !critical) flag.refuse('a default value is encoded');
      return { oid, critical, value: cursor.next().octetString() };
    });
    if (extensions.has(extension.oid)) item.refuse(`extension ${extension.oid} twice`);
    extensions.set(extension.oid, extension);
    if (extensions.size > x509Limits.extensionsMax) item.refuse('too many extensions');
  });
  if (extensions.size === 0) element.refuse('empty extensions');
  return extensions;
}

function readBasicConstraints(root: DerElement): BasicConstraints {
  return root.sequence((cursor) => {
    const flag = cursor.optional(DerTag.boolean);
    const ca = flag?.boolean() ?? false;
    if (flag !== undefined && !ca) flag.refuse('a default value is encoded');
    const pathLength = cursor.optional(DerTag.integer)?.smallInteger(0xffff);
    if (pathLength !== undefined && !ca) root.refuse('path length without cA');
    return { ca, pathLength };
  });
}

function readKeyUsage(root: DerElement): ReadonlySet<KeyUsage> {
  // AMD's authorities and rcgen, which dstack issues with, leave zero bits at the end.
  const bits = root.looseBits();
  if (bits.size === 0) root.refuse('no key usage');
  const usages = new Set<KeyUsage>();
  for (const bit of bits) {
    const usage = keyUsages[bit];
    if (usage === undefined) return root.refuse('unknown key usage');
    usages.add(usage);
  }
  return usages;
}

/** A SEQUENCE SIZE (1..MAX) OF, bounded. */
export function readSome<T>(
  root: DerElement,
  max: number,
  each: (element: DerElement) => T,
): readonly T[] {
  const values = root.sequence((cursor) => {
    const read: T[] = [];
    while (!cursor.done) {
      if (read.length >= max) root.refuse('too many elements in a sequence');
      read.push(each(cursor.next()));
    }
    return read;
  });
  return values.length === 0 ? root.refuse('empty sequence') : values;
}

export function readGeneralNames(root: DerElement): readonly GeneralName[] {
  return readSome(root, x509Limits.altNamesMax, readGeneralName);
}

function readNameConstraints(root: DerElement): NameConstraints {
  const subtrees = (element: DerElement | undefined, tag: number): readonly NameSubtree[] =>
    element === undefined
      ? []
      : readSome(element.implicit(tag, DerTag.sequence), x509Limits.subtreesMax, (subtree) =>
          // Minimum is 0 by default and maximum absent (RFC 5280 4.2.1.10): only the base is left.
          subtree.sequence((cursor) => readNameSubtree(cursor.next())),
        );
  return root.sequence((cursor) => {
    const permitted = subtrees(cursor.optionalContext(0), 0);
    const excluded = subtrees(cursor.optionalContext(1), 1);
    if (permitted.length + excluded.length === 0) root.refuse('empty name constraints');
    return { permitted, excluded };
  });
}

export function readAuthorityKeyIdentifier(root: DerElement): AuthorityKeyIdentifier {
  return root.sequence((cursor) => {
    const key = cursor.optionalContext(0)?.implicit(0, DerTag.octetString).octetString();
    const issuer = cursor.optionalContext(1)?.implicit(1, DerTag.sequence);
    if (issuer !== undefined) readGeneralNames(issuer);
    const serial = cursor.optionalContext(2)?.implicit(2, DerTag.integer).integer();
    if ((issuer === undefined) !== (serial === undefined)) root.refuse('issuer without serial');
    if (key?.length === 0) root.refuse('empty key identifier');
    return { keyIdentifier: key, namesCertificate: issuer !== undefined };
  });
}

/** The names of a DistributionPointName, which is a choice and therefore tagged explicitly. */
export function readPointNames(element: DerElement): readonly GeneralName[] | undefined {
  const choice = element.explicit(0);
  if (choice.isContext(1)) return undefined;
  return readGeneralNames(choice.implicit(0, DerTag.sequence));
}

function readDistributionPoints(root: DerElement): readonly DistributionPoint[] {
  return readSome(root, 16, (point) =>
    point.sequence((cursor) => {
      const name = cursor.optionalContext(0);
      const reasons = cursor.optionalContext(1)?.implicit(1, DerTag.bitString).namedBits();
      const issuer = cursor.optionalContext(2)?.implicit(2, DerTag.sequence);
      if (issuer !== undefined) readGeneralNames(issuer);
      if (name === undefined && issuer === undefined) point.refuse('empty distribution point');
      return {
        names: name === undefined ? undefined : readPointNames(name),
        hasReasons: reasons !== undefined,
        hasIssuer: issuer !== undefined,
      };
    }),
  );
}

function readAccessDescriptions(root: DerElement): void {
  readSome(root, 32, (description) =>
    description.sequence((cursor) => {
      cursor.next().oid();
      readGeneralName(cursor.next());
    }),
  );
}

function readPolicies(root: DerElement): void {
  const seen = new Set<string>();
  readSome(root, 32, (policy) =>
    policy.sequence((cursor) => {
      const oid = cursor.next().oid();
      if (seen.has(oid)) policy.refuse('policy twice');
      seen.add(oid);
      if (!cursor.done) readSome(cursor.next(), 8, (qualifier) => qualifier.checkTree());
    }),
  );
}

function readPolicyMappings(root: DerElement): void {
  const anyPolicy = '2.5.29.32.0';
  readSome(root, 32, (mapping) =>
    mapping.sequence((cursor) => {
      const pair = [cursor.next().oid(), cursor.next().oid()];
      if (pair.includes(anyPolicy)) mapping.refuse('anyPolicy is mapped');
    }),
  );
}

function readPolicyConstraints(root: DerElement): number | undefined {
  return root.sequence((cursor) => {
    const explicit = cursor.optionalContext(0)?.implicit(0, DerTag.integer).smallInteger(0xffff);
    const mapping = cursor.optionalContext(1)?.implicit(1, DerTag.integer).smallInteger(0xffff);
    if (explicit === undefined && mapping === undefined) root.refuse('empty policy constraints');
    return explicit;
  });
}

/** Decoders of extensions whose value nothing acts on, but whose syntax is held to the standard. */
const checkedOnly: Readonly<Record<string, (root: DerElement) => unknown>> = {
  [extensionOid.issuerAltName]: readGeneralNames,
  [extensionOid.certificatePolicies]: readPolicies,
  [extensionOid.policyMappings]: readPolicyMappings,
  [extensionOid.inhibitAnyPolicy]: (root) => root.smallInteger(0xffff),
  [extensionOid.freshestCrl]: readDistributionPoints,
  [extensionOid.authorityInfoAccess]: readAccessDescriptions,
  [extensionOid.subjectInfoAccess]: readAccessDescriptions,
};

const understood: ReadonlySet<string> = new Set([
  ...Object.keys(checkedOnly),
  extensionOid.basicConstraints,
  extensionOid.keyUsage,
  extensionOid.extendedKeyUsage,
  extensionOid.subjectAltName,
  extensionOid.nameConstraints,
  extensionOid.authorityKeyIdentifier,
  extensionOid.subjectKeyIdentifier,
  extensionOid.crlDistributionPoints,
  extensionOid.policyConstraints,
]);

/** Critical extensions that nothing here understands: whoever relies on the certificate must refuse it. */
export function unknownCritical(extensions: ReadonlyMap<string, Extension>): readonly string[] {
  return [...extensions.values()]
    .filter((extension) => extension.critical && !understood.has(extension.oid))
    .map((extension) => extension.oid);
}

/** Decodes one extension of `holder`, or refuses there with the extension's name. */
export function decodeExtension<T>(
  extensions: ReadonlyMap<string, Extension>,
  oid: string,
  decode: (root: DerElement) => T,
  holder: DerElement,
): T | undefined {
  const extension = extensions.get(oid);
  if (extension === undefined) return undefined;
  const result = decodeDer(extension.value, decode);
  return result.ok
    ? result.value
    : holder.refuse(`extension ${oid}: ${result.error.detail}`, result.error.code);
}

export function knownExtensions(
  extensions: ReadonlyMap<string, Extension>,
  holder: DerElement,
): KnownExtensions {
  for (const [oid, check] of Object.entries(checkedOnly)) {
    decodeExtension(extensions, oid, check, holder);
  }
  const read = <T>(oid: string, decode: (root: DerElement) => T): T | undefined =>
    decodeExtension(extensions, oid, decode, holder);
  return {
    basicConstraints: read(extensionOid.basicConstraints, readBasicConstraints),
    keyUsage: read(extensionOid.keyUsage, readKeyUsage),
    extendedKeyUsage: read(extensionOid.extendedKeyUsage, (root) =>
      readSome(root, 64, (usage) => usage.oid()),
    ),
    subjectAltNames: read(extensionOid.subjectAltName, readGeneralNames),
    nameConstraints: read(extensionOid.nameConstraints, readNameConstraints),
    authorityKeyIdentifier: read(extensionOid.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    subjectKeyIdentifier: read(extensionOid.subjectKeyIdentifier, (root) => {
      const identifier = root.octetString();
      return identifier.length === 0 ? root.refuse('empty key identifier') : identifier;
    }),
    distributionPoints: read(extensionOid.crlDistributionPoints, readDistributionPoints),
    requireExplicitPolicy: read(extensionOid.policyConstraints, readPolicyConstraints),
  };
}
