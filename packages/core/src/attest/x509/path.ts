/** Path building and validation (RFC 5280 6.1, RFC 4158), with a budget for everything. */
import { equalBytes, ok, present, type Result } from '../../base/index.ts';
import type { SignatureAlgorithm, SignatureVerifier, UnsupportedAlgorithm } from './algorithm.ts';
import { type Certificate, isKeyIdentified } from './certificate.ts';
import { ConstraintState } from './constraint.ts';
import type { RevocationList } from './crl.ts';
import type { KeyUsage } from './extension.ts';
import { isKeyFor } from './key.ts';
import { x509Limits } from './limits.ts';
import { isSameName } from './name.ts';
import { extensionOid, usageOid } from './oid.ts';
import { hasPeerName, type PeerName } from './peer-name.ts';
import { type CertificateProfile, profileViolation, validityViolation } from './profile.ts';
import { refuse, type X509Refusal } from './refusal.ts';
import { type RevocationPolicy, revocationViolation } from './revocation.ts';

/** What a path must satisfy. */
export interface PathQuery {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly profile: CertificateProfile;
  /** Extended key usages that the leaf must allow, and authorities must not exclude. */
  readonly purposes: readonly string[];
  readonly keyUsages?: readonly KeyUsage[];
  /** Every one must be among the leaf's alternative names. */
  readonly peerNames: readonly PeerName[];
  /** Intermediates between leaf and anchor, counted as path lengths are: self-issued ones are free. */
  readonly intermediatesMax?: number;
  readonly revocation?: RevocationPolicy;
}

export interface PathInput extends PathQuery {
  readonly leaf: Certificate;
  /** What the peer sent besides, in any order, believed in nothing. */
  readonly intermediates: readonly Certificate[];
  /** Trusted authorities. They need not be self-signed, and must fit the profile themselves. */
  readonly anchors: readonly Certificate[];
}

/** Leaf first, anchor last. */
export type CertificatePath = readonly Certificate[];

/** Finds a valid path from the leaf to an anchor. */
export function verifyPath(
  input: PathInput,
  verifier: SignatureVerifier,
): Result<CertificatePath, X509Refusal> {
  const violation = leafViolation(input.leaf, input);
  if (violation !== undefined) return { ok: false, error: violation };
  if (input.intermediates.length > x509Limits.intermediatesMax) {
    return refuse('too-complex', 'too many intermediates');
  }
  return new PathSearch(input, verifier).run();
}

/** What is wrong with a leaf whatever its path. Nothing here costs a signature check. */
function leafViolation(leaf: Certificate, query: PathQuery): X509Refusal | undefined {
  const general =
    profileViolation(leaf, { role: 'leaf', profile: query.profile, isSelfSigned: () => false }) ??
    validityViolation(leaf, query.at);
  if (general !== undefined) return general;
  if (!allowsPurposes(leaf, query.purposes)) {
    return refuse('wrong-usage', 'leaf: extended key usage').error;
  }
  const missing = query.keyUsages?.find((usage) => leaf.keyUsage?.has(usage) === false);
  if (missing !== undefined) return refuse('wrong-usage', `leaf: no ${missing}`).error;
  const absent = query.peerNames.find((name) => !hasPeerName(leaf, name));
  return absent === undefined
    ? undefined
    : refuse('wrong-name', 'the expected name is not among the alternative names').error;
}

function allowsPurposes(certificate: Certificate, purposes: readonly string[]): boolean {
  const usages = certificate.extendedKeyUsage;
  if (usages === undefined || usages.includes(usageOid.any)) return true;
  return purposes.every((purpose) => usages.includes(purpose));
}

interface Signed {
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm | UnsupportedAlgorithm;
}

class PathSearch {
  readonly #input: PathInput;
  readonly #verifier: SignatureVerifier;
  readonly #intermediatesMax: number;
  readonly #known = new Map<Signed, Map<Certificate, boolean>>();
  #signatureChecks = 0;
  #candidates = 0;
  #paths = 0;
  #refusal: X509Refusal | undefined;

  constructor(input: PathInput, verifier: SignatureVerifier) {
    this.#input = input;
    this.#verifier = verifier;
    this.#intermediatesMax = input.intermediatesMax ?? x509Limits.pathIntermediatesDefault;
  }

  run(): Result<CertificatePath, X509Refusal> {
    const path = this.#extend([this.#input.leaf]);
    if (path !== undefined) return ok(path);
    if (this.#isExhausted) return refuse('too-complex', 'the search for a path was cut off');
    return this.#refusal === undefined
      ? refuse('no-path', 'no path to a trusted authority')
      : { ok: false, error: this.#refusal };
  }

  get #isExhausted(): boolean {
    return (
      this.#signatureChecks > x509Limits.signatureChecksMax ||
      this.#candidates > x509Limits.candidatesMax ||
      this.#paths > x509Limits.pathsMax
    );
  }

  /** Depth first, anchors before intermediates, so that the shortest way out of a loop comes first. */
  #extend(path: CertificatePath): CertificatePath | undefined {
    for (const anchor of this.#issuers(path, this.#input.anchors, 'anchor')) {
      this.#paths += 1;
      if (this.#isExhausted) return undefined;
      const whole = [...path, anchor];
      const violation = this.#pathViolation(whole);
      if (violation === undefined) return whole;
      this.#refusal = violation;
    }
    if (path.length >= x509Limits.pathCertificatesMax) return undefined;
    const counted = path.slice(1).filter((authority) => !authority.isSelfIssued).length;
    for (const issuer of this.#issuers(path, this.#input.intermediates, 'intermediate')) {
      if (counted >= this.#intermediatesMax && !issuer.isSelfIssued) continue;
      const found = this.#extend([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Certificates that may issue the path's last one and did sign it; cheap checks come first. */
  *#issuers(
    path: CertificatePath,
    candidates: readonly Certificate[],
    role: 'anchor' | 'intermediate',
  ): Generator<Certificate> {
    const last = present(path.at(-1), 'a path has a last certificate');
    const keyIdentifier = last.authorityKeyIdentifier?.keyIdentifier;
    // Key identifiers only say where to look first (RFC 5280 4.2.1.1): the signature decides.
    const isFirst = (candidate: Certificate): boolean => isKeyIdentified(candidate, keyIdentifier);
    const named = candidates.filter((candidate) => isSameName(candidate.subject, last.issuer));
    const ordered = [...named.filter(isFirst), ...named.filter((one) => !isFirst(one))];
    for (const candidate of ordered) {
      this.#candidates += 1;
      if (this.#isExhausted) return;
      if (isOnPath(candidate, path)) continue;
      const violation =
        profileViolation(candidate, {
          role,
          profile: this.#input.profile,
          isSelfSigned: () => this.#isSigned(candidate, candidate),
        }) ?? validityViolation(candidate, this.#input.at);
      if (violation !== undefined) {
        this.#refusal ??= violation;
      } else if (this.#isSigned(last, candidate)) {
        yield candidate;
      } else {
        this.#refusal ??= refuse('bad-signature', 'not signed by the authority it names').error;
      }
    }
  }

  #isSigned(signed: Signed, issuer: Certificate): boolean {
    const known = this.#known.get(signed) ?? new Map<Certificate, boolean>();
    this.#known.set(signed, known);
    const before = known.get(issuer);
    if (before !== undefined) return before;
    const algorithm = signed.signatureAlgorithm;
    if (algorithm.kind === 'unsupported' || !isKeyFor(issuer.publicKey, algorithm)) return false;
    this.#signatureChecks += 1;
    if (this.#isExhausted) return false;
    const isValid = this.#verifier.verify({
      spki: issuer.spki,
      algorithm,
      message: signed.tbs,
      signature: signed.signature,
    });
    known.set(issuer, isValid);
    return isValid;
  }

  /** What concerns a whole path: from the anchor down, as RFC 5280 6.1 walks it. */
  #pathViolation(path: CertificatePath): X509Refusal | undefined {
    const constraints = new ConstraintState();
    let authoritiesLeft = Number.POSITIVE_INFINITY;
    for (let index = path.length - 1; index >= 0; index -= 1) {
      const certificate = present(path[index], 'within the path');
      const issuer = path[index + 1];
      const isLeaf = index === 0;
      if (issuer !== undefined) {
        const isNamed = isLeaf || !certificate.isSelfIssued;
        const violation =
          (isNamed ? constraints.violation(certificate) : undefined) ??
          this.#revocationViolation(certificate, issuer);
        if (violation !== undefined) return violation;
        if (!isLeaf && !certificate.isSelfIssued) authoritiesLeft -= 1;
        if (!isLeaf && authoritiesLeft < 0) return refuse('path-too-long', 'path length').error;
      }
      if (isLeaf) break;
      if (!allowsPurposes(certificate, this.#input.purposes)) {
        return refuse('wrong-usage', 'authority: extended key usage').error;
      }
      constraints.add(certificate.nameConstraints);
      const pathLength = certificate.basicConstraints?.pathLength;
      if (pathLength !== undefined) authoritiesLeft = Math.min(authoritiesLeft, pathLength);
    }
    return undefined;
  }

  #revocationViolation(certificate: Certificate, issuer: Certificate): X509Refusal | undefined {
    const given = this.#input.revocation ?? { lists: [], mode: 'if-listed' };
    // Whoever marks where its lists are as critical asks that none of its certificates pass unlisted.
    const points = certificate.extensions.get(extensionOid.crlDistributionPoints);
    const policy: RevocationPolicy =
      points?.critical === true ? { ...given, mode: 'required' } : given;
    return revocationViolation(certificate, issuer, {
      at: this.#input.at,
      policy,
      isSigned: (list: RevocationList, authority) => this.#isSigned(list, authority),
    });
  }
}

/** The same name with the same key again would be a loop (RFC 4158 2.4.2). */
function isOnPath(candidate: Certificate, path: CertificatePath): boolean {
  return path.some(
    (certificate) =>
      isSameName(certificate.subject, candidate.subject) &&
      equalBytes(certificate.spki, candidate.spki),
  );
}
