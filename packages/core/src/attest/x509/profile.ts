import { equalBytes } from '../../base/index.ts';
import type { Certificate } from './certificate.ts';
import { ipText } from './identifier.ts';
import { weaknessOf } from './key.ts';
import { commonNames } from './name.ts';
import { extensionOid, usageOid } from './oid.ts';
import type { X509Code, X509Refusal } from './refusal.ts';

/** Where a certificate stands in a path. */
export type PathRole = 'leaf' | 'intermediate' | 'anchor';

/** What a deployment asks of certificates beyond what every profile asks. */
export interface CertificateProfile {
  readonly name: 'rfc5280' | 'webpki' | 'mesh' | 'svid' | 'kms';
  /** RFC 5280 lets the last certificate of a path be an authority's; everybody else does not. */
  readonly leafMayBeAuthority: boolean;
  /** `server`: CA/Browser Forum 7.1.2.7 (usage required, not critical, never `any`, none in roots). */
  readonly leafUsage: 'as-given' | 'server';
  readonly leafMustSign: boolean;
  readonly keyIdentifiers: 'required' | 'as-given';
  readonly authorityKeyUsage: 'required' | 'as-given';
  readonly nameConstraints: 'critical' | 'as-given';
  /** CA/Browser Forum 6.1.5, 7.1.4.3, 7.1.2.1.3 and 7.1.2.7.12: what only public servers keep to. */
  readonly isPublic: boolean;
}

const rfc5280: CertificateProfile = {
  name: 'rfc5280',
  leafMayBeAuthority: true,
  leafUsage: 'as-given',
  leafMustSign: false,
  keyIdentifiers: 'required',
  authorityKeyUsage: 'as-given',
  nameConstraints: 'critical',
  isPublic: false,
};

const mesh: CertificateProfile = {
  ...rfc5280,
  name: 'mesh',
  leafMayBeAuthority: false,
  leafMustSign: true,
  authorityKeyUsage: 'required',
};

/**
 * `rfc5280` is the standard's own profile, `webpki` what public server certificates follow, `mesh` what
 * our own authority issues, `svid` what SPIFFE authorities issue, `kms` what dstack's KMS issues.
 */
export const profiles: Readonly<Record<CertificateProfile['name'], CertificateProfile>> = {
  rfc5280,
  webpki: {
    name: 'webpki',
    leafMayBeAuthority: false,
    leafUsage: 'server',
    leafMustSign: false,
    keyIdentifiers: 'required',
    authorityKeyUsage: 'required',
    nameConstraints: 'as-given',
    isPublic: true,
  },
  mesh,
  // The SPIFFE standard asks for no key identifiers.
  svid: { ...mesh, name: 'svid', keyIdentifiers: 'as-given' },
  // The KMS's library writes subject key identifiers into authorities and nothing into leaves.
  kms: { ...mesh, name: 'kms', keyIdentifiers: 'as-given' },
};

/** How a certificate is to be judged. */
export interface ProfileContext {
  readonly role: PathRole;
  readonly profile: CertificateProfile;
  /** Whether the certificate's signature verifies with its own key; asked for anchors only. */
  readonly isSelfSigned: () => boolean;
}

interface Subject extends ProfileContext {
  readonly certificate: Certificate;
}

/** One requirement: the text says what is wrong where it is violated. */
interface Rule {
  readonly code: X509Code;
  readonly violation: (subject: Subject) => string | false;
}

const mustNotBeCritical: readonly string[] = [
  extensionOid.authorityKeyIdentifier,
  extensionOid.subjectKeyIdentifier,
  extensionOid.authorityInfoAccess,
  extensionOid.subjectInfoAccess,
  extensionOid.freshestCrl,
];

const mustBeCritical: readonly string[] = [
  extensionOid.policyConstraints,
  extensionOid.inhibitAnyPolicy,
];

/** Serial numbers have at most 20 octets (RFC 5280 4.1.2.2). */
const serialOctetsMax = 20;

const everywhere: readonly Rule[] = [
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => c.version !== 3 && 'not a version 3 certificate',
  },
  {
    code: 'unknown-critical',
    violation: ({ certificate: c }) =>
      c.unknownCritical.length > 0 && `critical extension ${c.unknownCritical.join(', ')}`,
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) =>
      (c.serial <= 0n || c.serialHex.length > 2 * serialOctetsMax) && 'serial number out of range',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => c.issuer.isEmpty && 'empty issuer',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => c.hasUniqueIds && 'unique identifiers',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => c.notAfter < c.notBefore && 'ends before it begins',
  },
  {
    code: 'weak-algorithm',
    // An anchor is trusted as it is configured; nobody checks its own signature.
    violation: ({ certificate: c, role }) =>
      role !== 'anchor' &&
      c.signatureAlgorithm.kind === 'unsupported' &&
      `signature algorithm ${c.signatureAlgorithm.oid}`,
  },
  {
    code: 'weak-key',
    violation: ({ certificate: c }) => weaknessOf(c.publicKey) ?? false,
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      profile.isPublic && c.publicKey.kind === 'ed25519' && 'a key that public CAs do not certify',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => {
      const oid = mustNotBeCritical.find((id) => c.extensions.get(id)?.critical === true);
      return oid !== undefined && `extension ${oid} is critical`;
    },
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => {
      const oid = mustBeCritical.find((id) => c.extensions.get(id)?.critical === false);
      return oid !== undefined && `extension ${oid} is not critical`;
    },
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      profile.nameConstraints === 'critical' &&
      c.extensions.get(extensionOid.nameConstraints)?.critical === false &&
      'name constraints are not critical',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) =>
      c.nameConstraints !== undefined && !isAuthority(c) && 'name constraints of no authority',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) =>
      c.keyUsage?.has('keyCertSign') === true && !isAuthority(c) && 'keyCertSign without cA',
  },
  {
    code: 'unknown-critical',
    violation: ({ certificate: c }) =>
      c.requireExplicitPolicy !== undefined && 'an explicit policy is required',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      profile.isPublic &&
      c.authorityKeyIdentifier?.namesCertificate === true &&
      'authority key identifier names a certificate',
  },
];

const ofKeyIdentifiers: readonly Rule[] = [
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      profile.keyIdentifiers === 'required' &&
      isAuthority(c) &&
      c.subjectKeyIdentifier === undefined &&
      'authority without subject key identifier',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, role, profile, isSelfSigned }) => {
      if (profile.keyIdentifiers !== 'required') return false;
      const identifier = c.authorityKeyIdentifier;
      if (identifier?.keyIdentifier !== undefined) return false;
      // RFC 5280 4.2.1.1: who signs with the certified key itself may leave the extension out.
      const mayOmit = identifier === undefined && role === 'anchor' && isSelfSigned();
      return !mayOmit && 'no authority key identifier';
    },
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, role }) => {
      const own = c.subjectKeyIdentifier;
      const other = c.authorityKeyIdentifier?.keyIdentifier;
      if (role !== 'anchor' || !c.isSelfIssued) return false;
      if (own === undefined || other === undefined) return false;
      return !equalBytes(own, other) && 'self-signed by another key identifier';
    },
  },
];

const ofAuthorities: readonly Rule[] = [
  { code: 'not-authority', violation: ({ certificate: c }) => !isAuthority(c) && 'cA is not set' },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) =>
      c.extensions.get(extensionOid.basicConstraints)?.critical !== true &&
      'basic constraints are not critical',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) => c.subject.isEmpty && 'authority without a name',
  },
  {
    code: 'not-authority',
    violation: ({ certificate: c }) =>
      c.keyUsage?.has('keyCertSign') === false && 'key usage is without keyCertSign',
  },
  {
    code: 'not-authority',
    violation: ({ certificate: c, profile }) =>
      profile.authorityKeyUsage === 'required' && c.keyUsage === undefined && 'no key usage',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, role, profile }) =>
      profile.leafUsage === 'server' &&
      role === 'anchor' &&
      c.isSelfIssued &&
      c.extendedKeyUsage !== undefined &&
      'root with extended key usage',
  },
];

const ofLeaves: readonly Rule[] = [
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      !profile.leafMayBeAuthority && isAuthority(c) && 'an authority in the place of a leaf',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      !profile.leafMayBeAuthority && c.keyUsage?.has('cRLSign') === true && 'a leaf with cRLSign',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c }) =>
      c.subject.isEmpty &&
      c.extensions.get(extensionOid.subjectAltName)?.critical !== true &&
      'empty subject and no critical alternative name',
  },
  {
    code: 'wrong-usage',
    violation: ({ certificate: c, profile }) =>
      profile.leafMustSign &&
      c.keyUsage?.has('digitalSignature') !== true &&
      'key usage is without digitalSignature',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      profile.isPublic &&
      !c.subject.isEmpty &&
      c.extensions.get(extensionOid.subjectAltName)?.critical === true &&
      'critical alternative name beside a subject',
  },
  {
    code: 'wrong-usage',
    violation: ({ certificate: c, profile }) =>
      profile.leafUsage === 'server' &&
      (c.extendedKeyUsage === undefined ||
        c.extendedKeyUsage.includes(usageOid.any) ||
        c.extensions.get(extensionOid.extendedKeyUsage)?.critical === true) &&
      'extended key usage must be present, plain and not critical',
  },
  {
    code: 'outside-profile',
    violation: ({ certificate: c, profile }) =>
      profile.isPublic && !isCommonNameBacked(c) && 'common name is no alternative name',
  },
];

function isAuthority(certificate: Certificate): boolean {
  return certificate.basicConstraints?.ca === true;
}

/** What some reader would take for an IPv4 address (hexadecimal, octal, short forms) or for IPv6. */
const addressLike = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}$|:/i;

/**
 * CA/Browser Forum 7.1.4.3, as far as a common name could mislead a reader that looks at it: one that
 * reads as an address is the canonical text of an address in the alternative names; beside fully
 * qualified DNS names it is one of them to the letter, or what a wildcard among them stands on.
 */
function isCommonNameBacked(certificate: Certificate): boolean {
  const addresses = new Set<string>();
  const hosts = new Set<string>();
  for (const name of certificate.subjectAltNames ?? []) {
    if (name.kind === 'ip') addresses.add(ipText(name.address));
    if (name.kind !== 'dns' || !name.value.includes('.')) continue;
    hosts.add(name.value).add(name.value.replace(/^\*\./, ''));
  }
  return commonNames(certificate.subject).every((text) => {
    if (addressLike.test(text)) return addresses.has(text);
    return hosts.size === 0 || hosts.has(text);
  });
}

const rulesOf: Readonly<Record<PathRole, readonly Rule[]>> = {
  leaf: [...everywhere, ...ofKeyIdentifiers, ...ofLeaves],
  intermediate: [...everywhere, ...ofKeyIdentifiers, ...ofAuthorities],
  anchor: [...everywhere, ...ofKeyIdentifiers, ...ofAuthorities],
};

/** The first requirement of the profile that a certificate in this role does not meet. */
export function profileViolation(
  certificate: Certificate,
  context: ProfileContext,
): X509Refusal | undefined {
  for (const rule of rulesOf[context.role]) {
    const detail = rule.violation({ certificate, ...context });
    if (detail !== false) return { code: rule.code, detail: `${context.role}: ${detail}` };
  }
  return undefined;
}

/**
 * Whether an instant is in the validity period, both ends included. Periods are whole seconds, so the
 * instant is cut to its second first.
 */
export function validityViolation(certificate: Certificate, at: number): X509Refusal | undefined {
  const second = Math.floor(at / 1_000) * 1_000;
  if (second < certificate.notBefore) {
    return { code: 'not-yet-valid', detail: isoText(certificate.notBefore) };
  }
  if (second > certificate.notAfter) {
    return { code: 'expired', detail: isoText(certificate.notAfter) };
  }
  return undefined;
}

function isoText(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
