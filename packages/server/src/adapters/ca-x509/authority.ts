import {
  bundleSequence,
  type Certificate,
  type CertificateAuthority,
  type CertificateRequest,
  clockSkewMs,
  defaultRotationPlan,
  type Generation,
  type IssuedCertificate,
  type IssueInput,
  type IssueRefusal,
  isDnsName,
  isRotationDue,
  leafLifetimeMsMax,
  parseCertificate,
  parseCertificateRequest,
  parseSpiffeId,
  profiles,
  provesPossession,
  type RotationPlan,
  type SignatureVerifier,
  type SpiffeId,
  signerAt,
  type TrustBundle,
  trustedAt,
  usageOid,
  verifyPath,
} from '@postern/core/attest/x509';
import {
  assert,
  err,
  fromBase64,
  ok,
  present,
  type Result,
  Secret,
  toBase64,
} from '@postern/core/base';
import type * as Issuing from './issue.ts';
import { provideMetadata } from './reflect.ts';

export interface StoredGeneration extends Generation {
  /** The authority's certificate in DER. */
  readonly certificate: Uint8Array;
  /** PKCS#8 in base64. */
  readonly privateKey: Secret;
}

/** Where generations are kept, oldest first. Several processes may share one. */
export interface AuthorityStore {
  load(): Promise<readonly StoredGeneration[]>;
  /** Appends if exactly `count` generations are there; false if another process was first. */
  append(generation: StoredGeneration, count: number): Promise<boolean>;
}

export interface AuthorityOptions {
  readonly trustDomain: string;
  readonly store: AuthorityStore;
  /** Checks requests and, before they leave, the leaves. */
  readonly verifier: SignatureVerifier;
  readonly plan?: RotationPlan;
}

/** Leaves shorter than this would be over before peers with slow clocks accept them. */
const leafLifetimeMsMin = 2 * clockSkewMs;
const dnsNamesMax = 32;

interface LoadedGeneration extends StoredGeneration {
  readonly parsed: Certificate;
  readonly signingKey: Issuing.SigningKey;
}

/** Opens an authority. The library is loaded here, not at start: it costs a tenth of a second. */
export async function createCertificateAuthority(
  options: AuthorityOptions,
): Promise<CertificateAuthority> {
  const domain = present(parseSpiffeId(`spiffe://${options.trustDomain}`), 'a valid trust domain');
  provideMetadata();
  const authority = new X509Authority(domain, options, await import('./issue.ts'));
  await authority.reload();
  return authority;
}

class X509Authority implements CertificateAuthority {
  readonly #domain: SpiffeId;
  readonly #options: AuthorityOptions;
  readonly #plan: RotationPlan;
  readonly #issue: typeof Issuing;
  #generations: readonly LoadedGeneration[] = [];

  constructor(domain: SpiffeId, options: AuthorityOptions, issue: typeof Issuing) {
    this.#domain = domain;
    this.#options = options;
    this.#plan = options.plan ?? defaultRotationPlan;
    this.#issue = issue;
    assert(this.#plan.overlapMs + 2 * leafLifetimeMsMax < this.#plan.lifetimeMs, 'rotation plan');
  }

  async reload(): Promise<void> {
    const stored = await this.#options.store.load();
    this.#generations = await Promise.all(stored.map((one) => this.#loadOne(one)));
  }

  async #loadOne(stored: StoredGeneration): Promise<LoadedGeneration> {
    const parsed = parseCertificate(stored.certificate);
    assert(parsed.ok, 'a stored authority is a certificate');
    const key = present(fromBase64(stored.privateKey.reveal()), 'a stored key is base64');
    return { ...stored, parsed: parsed.value, signingKey: await this.#issue.importSigningKey(key) };
  }

  bundle(at: number): TrustBundle {
    return {
      authorities: trustedAt(this.#generations, at).map((one) => one.certificate),
      sequence: bundleSequence(this.#generations, at),
    };
  }

  async rotate(at: number): Promise<boolean> {
    if (!isRotationDue(this.#generations, at, this.#plan)) return false;
    // Another process may have rotated since: its generation is as good as ours.
    await this.reload();
    if (!isRotationDue(this.#generations, at, this.#plan)) return false;
    const signer = signerAt(this.#generations, at);
    const notAfter = wholeSecond(at + this.#plan.lifetimeMs);
    const validity = { notBefore: wholeSecond(at - clockSkewMs), notAfter };
    const made = await this.#issue.makeAuthority(this.#domain, validity);
    const generation: StoredGeneration = {
      publishedAt: at,
      // With nobody to sign meanwhile there is nothing to overlap with.
      signsFrom:
        signer === undefined
          ? at
          : Math.min(at + this.#plan.overlapMs, signer.notAfter - leafLifetimeMsMax),
      notAfter,
      certificate: made.certificate,
      privateKey: new Secret(toBase64(made.privateKey)),
    };
    const isOurs = await this.#options.store.append(generation, this.#generations.length);
    await this.reload();
    return isOurs;
  }

  async issue(input: IssueInput): Promise<Result<IssuedCertificate, IssueRefusal>> {
    const request = this.#checkInput(input);
    if (!request.ok) return request;
    const signer = signerAt(this.#generations, input.at);
    if (signer === undefined) return refuseIssue('no-signer', 'no generation signs at this time');
    const notBefore = Math.max(wholeSecond(input.at - clockSkewMs), signer.parsed.notBefore);
    const validity = { notBefore, notAfter: wholeSecond(notBefore + input.lifetimeMs) };
    const { certificate, serialHex } = await this.#issue.makeLeaf({
      identity: input.identity,
      spki: request.value.spki,
      authority: signer.certificate,
      signingKey: signer.signingKey,
      validity,
    });
    this.#assertValid(certificate, signer.parsed, input.at);
    return ok({ chain: [certificate], serialHex, ...validity });
  }

  #checkInput(input: IssueInput): Result<CertificateRequest, IssueRefusal> {
    const { identity, lifetimeMs } = input;
    if (!(lifetimeMs >= leafLifetimeMsMin && lifetimeMs <= leafLifetimeMsMax)) {
      return refuseIssue('lifetime', `between ${leafLifetimeMsMin} and ${leafLifetimeMsMax} ms`);
    }
    const id = parseSpiffeId(identity.spiffeId.uri);
    if (id === undefined || id.path === '' || id.trustDomain !== this.#domain.trustDomain) {
      return refuseIssue('bad-identity', 'not a workload of this trust domain');
    }
    if (identity.dnsNames.length > dnsNamesMax || !identity.dnsNames.every(isDnsName)) {
      return refuseIssue('bad-identity', 'DNS names');
    }
    const request = parseCertificateRequest(input.request);
    if (!request.ok) return refuseIssue('bad-request', request.error.detail);
    const key = request.value.publicKey;
    if (key.kind !== 'ec' || key.curve === 'P-521') {
      return refuseIssue('weak-key', 'keys are of P-256 or P-384');
    }
    return provesPossession(request.value, this.#options.verifier)
      ? request
      : refuseIssue('bad-request', 'no proof of possession');
  }

  /** What we issue is what we would accept; anything else is a bug and stays here. */
  #assertValid(certificate: Uint8Array, authority: Certificate, at: number): void {
    const leaf = parseCertificate(certificate);
    assert(leaf.ok, 'an issued leaf is a certificate');
    const path = verifyPath(
      {
        leaf: leaf.value,
        intermediates: [],
        anchors: [authority],
        at,
        profile: profiles.mesh,
        purposes: [usageOid.serverAuth, usageOid.clientAuth],
        peerNames: [],
      },
      this.#options.verifier,
    );
    assert(path.ok, `an issued leaf is valid: ${path.ok ? '' : path.error.detail}`);
  }
}

function wholeSecond(epochMs: number): number {
  return Math.floor(epochMs / 1_000) * 1_000;
}

function refuseIssue(code: IssueRefusal['code'], detail: string): Result<never, IssueRefusal> {
  return err({ code, detail });
}
