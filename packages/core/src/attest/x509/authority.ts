/** Issuing: the port, and when which generation of an authority signs and is trusted. */
import type { Result } from '../../base/index.ts';
import type { SpiffeId } from './spiffe.ts';

/** Who a leaf is for. Made from verified evidence or an admitted identity, never from a request. */
export interface LeafIdentity {
  /** The only URI name of the leaf. */
  readonly spiffeId: SpiffeId;
  /** DNS names that the mesh gave to this workload. */
  readonly dnsNames: readonly string[];
}

export interface IssueInput {
  readonly identity: LeafIdentity;
  /** PKCS#10 in DER. It proves possession of its key; its subject and attributes count for nothing. */
  readonly request: Uint8Array;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly lifetimeMs: number;
}

export interface IssuedCertificate {
  /** Leaf first, in DER; the authority is not part of it. */
  readonly chain: readonly Uint8Array[];
  readonly serialHex: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface IssueRefusal {
  readonly code: 'bad-request' | 'weak-key' | 'bad-identity' | 'lifetime' | 'no-signer';
  readonly detail: string;
}

/** What relying parties must trust at one time. */
export interface TrustBundle {
  readonly authorities: readonly Uint8Array[];
  /** Grows with every change; equal numbers mean equal bundles. */
  readonly sequence: number;
}

/** An authority that issues short-lived leaves and changes its key without an outage. */
export interface CertificateAuthority {
  issue(input: IssueInput): Promise<Result<IssuedCertificate, IssueRefusal>>;
  bundle(at: number): TrustBundle;
  /** Makes and publishes the next generation if one is due; whether it did. */
  rotate(at: number): Promise<boolean>;
}

/** Leaves live an hour at most: expiry is what revokes them. */
export const leafLifetimeMsMax = 3_600_000;

/** Clocks of peers may be this far behind; leaves begin that much earlier. */
export const clockSkewMs = 60_000;

export interface RotationPlan {
  /** Validity of one generation. */
  readonly lifetimeMs: number;
  /** From publication to first signature: until then every relying party has fetched the bundle. */
  readonly overlapMs: number;
}

export const defaultRotationPlan: RotationPlan = {
  lifetimeMs: 30 * 24 * 3_600_000,
  overlapMs: 24 * 3_600_000,
};

/** One generation's times, in epoch milliseconds. */
export interface Generation {
  readonly publishedAt: number;
  readonly signsFrom: number;
  readonly notAfter: number;
}

/** The generation that signs at an instant: the newest that is past its overlap and outlives a leaf. */
export function signerAt<G extends Generation>(
  generations: readonly G[],
  at: number,
): G | undefined {
  let signer: G | undefined;
  for (const one of generations) {
    const canSign = one.signsFrom <= at && one.notAfter >= at + leafLifetimeMsMax;
    if (canSign && (signer === undefined || one.signsFrom >= signer.signsFrom)) signer = one;
  }
  return signer;
}

/** When the last leaf of a generation is over: its successor signs, and an hour has passed. */
export function retiresAt(generations: readonly Generation[], one: Generation): number {
  const next = generations
    .map((other) => other.signsFrom)
    .filter((signsFrom) => signsFrom > one.signsFrom)
    .reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return Math.min(one.notAfter, next + leafLifetimeMsMax + clockSkewMs);
}

/** Generations that must be trusted at an instant: published, and not yet retired. */
export function trustedAt<G extends Generation>(
  generations: readonly G[],
  at: number,
): readonly G[] {
  return generations.filter((one) => one.publishedAt <= at && at <= retiresAt(generations, one));
}

/** How often the trusted set has changed until an instant: one count for each coming and each going. */
export function bundleSequence(generations: readonly Generation[], at: number): number {
  const comings = generations.filter((one) => one.publishedAt <= at).length;
  const goings = generations.filter((one) => at > retiresAt(generations, one)).length;
  return comings + goings;
}

/** Whether the next generation must be made now, so that its overlap ends while this one still signs. */
export function isRotationDue(
  generations: readonly Generation[],
  at: number,
  plan: RotationPlan,
): boolean {
  const newest = generations.reduce((last, one) => Math.max(last, one.notAfter), 0);
  return (
    newest - at <= plan.lifetimeMs / 2 || newest - at <= plan.overlapMs + 2 * leafLifetimeMsMax
  );
}
