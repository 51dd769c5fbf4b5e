/** Revocation by lists that are given: authenticated, complete, current (RFC 5280 6.3.3). */
import { type Certificate, isKeyIdentified } from './certificate.ts';
import type { CrlScope, RevocationList } from './crl.ts';
import type { GeneralName } from './general-name.ts';
import { isSameName } from './name.ts';
import { extensionOid } from './oid.ts';
import { refuse, type X509Refusal } from './refusal.ts';

export interface RevocationPolicy {
  readonly lists: readonly RevocationList[];
  /** `required`: a certificate that no list covers is refused. */
  readonly mode: 'if-listed' | 'required';
}

/** Tells whether a list is signed with an authority's key. */
export type IsListSigned = (list: RevocationList, issuer: Certificate) => boolean;

/**
 * Why a certificate counts as revoked, or why it cannot be known. A list that covers the certificate
 * and cannot be believed is a refusal, since whoever could spoil it could hide a revocation.
 */
export function revocationViolation(
  certificate: Certificate,
  issuer: Certificate,
  query: {
    readonly at: number;
    readonly policy: RevocationPolicy;
    readonly isSigned: IsListSigned;
  },
): X509Refusal | undefined {
  const covering = query.policy.lists.filter(
    (list) =>
      isSameName(list.issuer, certificate.issuer) &&
      isInScope(certificate, list.scope) &&
      // An authority that changes its key has a list for each; the other key's is not about this one.
      (isKeyIdentified(issuer, list.authorityKeyIdentifier?.keyIdentifier) ||
        query.isSigned(list, issuer)),
  );
  for (const list of covering) {
    const defect = listDefect(list, issuer, query);
    if (defect !== undefined) return refuse('bad-revocation-list', defect).error;
    if (list.revoked.has(certificate.serialHex)) {
      return refuse('revoked', `serial number ${certificate.serialHex}`).error;
    }
  }
  if (covering.length === 0 && query.policy.mode === 'required') {
    return refuse('revocation-unknown', 'no revocation list of the issuer').error;
  }
  return undefined;
}

function listDefect(
  list: RevocationList,
  issuer: Certificate,
  query: { readonly at: number; readonly isSigned: IsListSigned },
): string | undefined {
  if (list.unknownCritical.length > 0) return `critical extension ${list.unknownCritical[0]}`;
  if (list.isDelta) return 'a delta list';
  if (list.scope?.isUnusable === true) return 'a scope that is not supported';
  if (list.extensions.get(extensionOid.issuingDistributionPoint)?.critical === false) {
    return 'its scope is not critical';
  }
  if (list.crlNumber === undefined) return 'no list number';
  if (list.extensions.get(extensionOid.crlNumber)?.critical !== false) {
    return 'its list number is critical';
  }
  if (list.authorityKeyIdentifier?.keyIdentifier === undefined) return 'no key identifier';
  if (list.extensions.get(extensionOid.authorityKeyIdentifier)?.critical !== false) {
    return 'its key identifier is critical';
  }
  if (list.nextUpdate === undefined) return 'no next update';
  const second = Math.floor(query.at / 1_000) * 1_000;
  if (second < list.thisUpdate) return 'not yet current';
  if (second > list.nextUpdate) return 'no longer current';
  if (issuer.keyUsage?.has('cRLSign') === false) return 'its issuer may not sign lists';
  return query.isSigned(list, issuer) ? undefined : 'its signature is wrong';
}

function isInScope(certificate: Certificate, scope: CrlScope | undefined): boolean {
  if (scope === undefined || scope.isUnusable) return true;
  const isAuthority = certificate.basicConstraints?.ca === true;
  if (isAuthority ? scope.onlyUserCertificates : scope.onlyAuthorityCertificates) return false;
  if (scope.names === undefined) return true;
  const points = certificate.distributionPoints ?? [];
  return points.some((point) =>
    (point.names ?? []).some((name) => scope.names?.some((other) => isSameUri(name, other))),
  );
}

function isSameUri(a: GeneralName, b: GeneralName): boolean {
  return a.kind === 'uri' && b.kind === 'uri' && a.value === b.value;
}
