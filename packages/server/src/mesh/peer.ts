import {
  appraisePeer,
  type AppraisalPolicy,
  type CryptoPort,
  type Finding,
  type IntelCollateral,
  targetRefusals,
  type TrustAnchors,
  type VerdictCache,
} from '@postern/core/attest';
import {
  type Certificate,
  dstackOid,
  parseCertificate,
  parseSpiffeId,
  type SignatureVerifier,
  type SpiffeBundle,
  usageOid,
  verifyKmsIdentity,
  verifySvid,
} from '@postern/core/attest/x509';
import { err, ok, type Result, toHex } from '@postern/core/base';
import type { PeerFinding, PeerIdentity, PeerRefusal } from './peer-identity.ts';
import { type Revoked, revokedBy } from './revoked.ts';

/** Whom a deployment believes. Nothing here comes from a peer. */
export interface MeshTrust {
  /** Undefined: evidence is not accepted, because nobody said what it must show. */
  readonly appraisal: AppraisalPolicy | undefined;
  readonly anchors: TrustAnchors;
  /** Pinned KMS roots whose word counts without evidence; empty: none. */
  readonly kmsRoots: readonly Certificate[];
  /** By trust domain. */
  readonly bundles: ReadonlyMap<string, SpiffeBundle>;
  /** Longer-lived certificates are refused: expiry is what ends a stolen key. */
  readonly certificateLifetimeMsMax: number;
  readonly clockSkewMsMax: number;
  readonly revoked: Revoked;
}

/** What the vendor says about the peer's hardware, fetched before the decision. */
export interface PeerFacts {
  readonly intelCollateral: Result<IntelCollateral, Finding> | undefined;
  readonly amdCertificates: readonly Uint8Array[];
  readonly amdRevocationList?: Uint8Array;
}

export const noFacts: PeerFacts = Object.freeze({
  intelCollateral: undefined,
  amdCertificates: [],
});

/** Primitives, passed in. */
export interface PeerTools {
  readonly crypto: CryptoPort;
  readonly signatures: SignatureVerifier;
  readonly gunzip?: (bytes: Uint8Array, bytesMax: number) => Uint8Array | undefined;
  readonly cache?: VerdictCache;
}

/** Whom a connection is for: hex, any case. */
export interface PeerTarget {
  readonly appId: string;
  readonly instanceId: string | undefined;
}

export interface PeerQuestion {
  /** DER as the peer sent it, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** What the peer is in the handshake. */
  readonly role: 'server' | 'client';
  readonly nowMs: number;
  readonly trust: MeshTrust;
  readonly facts: PeerFacts;
  readonly target?: PeerTarget;
}

type Judged = Result<PeerIdentity, PeerRefusal>;

/**
 * Who the peer of a handshake is, or everything that speaks against it. Pure. The form of the leaf says which of three
 * proofs it offers (evidence, a KMS's word, a SPIFFE ID) and only that one is tried: nothing falls back to a weaker one.
 */
export function judgePeer(question: PeerQuestion, tools: PeerTools): Judged {
  const [first] = question.chain;
  if (first === undefined) return refuse('certificate_missing', '');
  const parsed = parseCertificate(first);
  if (!parsed.ok) return refuse('malformed_certificate', parsed.error.detail);
  const leaf = parsed.value;
  const livesMs = leaf.notAfter - leaf.notBefore;
  if (livesMs > question.trust.certificateLifetimeMsMax) {
    return refuse('certificate_lifetime_refused', `${Math.round(livesMs / 1_000)} s`);
  }
  const judged = judgeByForm(leaf, question, tools);
  if (!judged.ok) return judged;
  const revoked = revokedBy(question.trust.revoked, judged.value);
  return revoked.length > 0 ? err(revoked) : judged;
}

function judgeByForm(leaf: Certificate, question: PeerQuestion, tools: PeerTools): Judged {
  const { extensions } = leaf;
  if (extensions.has(dstackOid.attestation) || extensions.has(dstackOid.quote)) {
    return byEvidence(leaf, question, tools);
  }
  const judged = extensions.has(dstackOid.appId)
    ? byKms(leaf, question, tools)
    : bySvid(leaf, question, tools);
  if (!judged.ok || question.target === undefined) return judged;
  const wrong = targetFindings(judged.value, question.target);
  return wrong.length > 0 ? err(wrong) : judged;
}

function byEvidence(leaf: Certificate, question: PeerQuestion, tools: PeerTools): Judged {
  const { trust, facts, nowMs, role, target } = question;
  if (trust.appraisal === undefined) return refuse('trust_not_configured', 'no appraisal policy');
  const { crypto, gunzip, cache } = tools;
  const verdict = appraisePeer(leaf.bytes, {
    context: {
      crypto,
      anchors: trust.anchors,
      nowMs,
      ...facts,
      role,
      clockSkewMsMax: trust.clockSkewMsMax,
      ...(gunzip === undefined ? {} : { gunzip }),
    },
    policy: trust.appraisal,
    ...(cache === undefined ? {} : { cache }),
  });
  const refusals = [...verdict.refusals];
  if (target !== undefined) {
    const { appId, instanceId } = target;
    refusals.push(
      ...targetRefusals(verdict, { appId, ...(instanceId === undefined ? {} : { instanceId }) }),
    );
  }
  if (refusals.length > 0) return err(refusals);
  const { appId, instanceId, deviceId, composeHash, platform, tcbStatus } = verdict;
  return ok({
    kind: 'ra-tls',
    appId: appId?.toLowerCase(),
    instanceId: instanceId?.toLowerCase(),
    deviceId,
    composeHash,
    spiffeId: undefined,
    platform,
    tcbStatus,
    ...certificateFacts(leaf, tools),
    expiresAtMs: Math.min(verdict.expiresAtMs, leaf.notAfter),
  });
}

const purposes = { server: usageOid.serverAuth, client: usageOid.clientAuth } as const;

function byKms(leaf: Certificate, question: PeerQuestion, tools: PeerTools): Judged {
  const { trust, role, nowMs } = question;
  if (trust.kmsRoots.length === 0) {
    return refuse('trust_not_configured', 'no KMS is believed without evidence');
  }
  const intermediates = othersOf(question.chain);
  if (!intermediates.ok) return intermediates;
  const verified = verifyKmsIdentity(
    {
      leaf,
      intermediates: intermediates.value,
      roots: trust.kmsRoots,
      at: nowMs,
      purpose: purposes[role],
    },
    tools.signatures,
  );
  if (!verified.ok) return refuse('chain_refused', verified.error.detail);
  const { appId, path } = verified.value;
  return ok({ ...nobody, kind: 'kms', appId, ...certificateFacts(leaf, tools), ...endOf(path) });
}

function bySvid(leaf: Certificate, question: PeerQuestion, tools: PeerTools): Judged {
  const { trust, role, nowMs, chain } = question;
  if (trust.bundles.size === 0) {
    return refuse('evidence_missing', 'and no trust domain is believed');
  }
  const intermediates = othersOf(chain);
  if (!intermediates.ok) return intermediates;
  const verified = verifySvid(
    {
      leaf,
      intermediates: intermediates.value,
      bundles: trust.bundles,
      at: nowMs,
      purpose: purposes[role],
    },
    tools.signatures,
  );
  if (!verified.ok) return refuse('chain_refused', verified.error.detail);
  const { id, path } = verified.value;
  return ok({
    ...nobody,
    kind: 'svid',
    ...workloadOf(id.path),
    spiffeId: id.uri,
    ...certificateFacts(leaf, tools),
    ...endOf(path),
  });
}

const nobody = {
  appId: undefined,
  instanceId: undefined,
  deviceId: undefined,
  composeHash: undefined,
  spiffeId: undefined,
  platform: undefined,
  tcbStatus: undefined,
} as const;

const workloadPath = /^\/app\/([0-9a-f]{40})(?:\/instance\/([0-9a-f]{1,64}))?$/;

/** The app and instance that a SPIFFE path names: what Postern's own authority writes. */
function workloadOf(path: string): Pick<PeerIdentity, 'appId' | 'instanceId'> {
  const match = workloadPath.exec(path);
  return { appId: match?.[1], instanceId: match?.[2] };
}

/** The SPIFFE ID of a workload in a trust domain, as `judgePeer` reads it; undefined where a part is malformed. */
export function workloadSpiffeId(
  trustDomain: string,
  { appId, instanceId }: PeerTarget,
): string | undefined {
  const tail = instanceId === undefined ? '' : `/instance/${instanceId.toLowerCase()}`;
  const path = `/app/${appId.toLowerCase()}${tail}`;
  if (!workloadPath.test(path)) return undefined;
  return parseSpiffeId(`spiffe://${trustDomain}${path}`)?.uri;
}

/** What speaks against a peer that is who it says: it is not who was asked for. */
export function targetFindings(identity: PeerIdentity, target: PeerTarget): PeerFinding[] {
  const findings: PeerFinding[] = [];
  const { appId, instanceId } = target;
  if (identity.appId !== appId.toLowerCase()) {
    const detail = `${identity.appId ?? identity.spiffeId ?? 'none'}, asked ${appId}`;
    findings.push({ code: 'target_app_mismatch', detail });
  }
  if (instanceId !== undefined && identity.instanceId !== instanceId.toLowerCase()) {
    const detail = `${identity.instanceId ?? 'none'}, asked ${instanceId}`;
    findings.push({ code: 'target_instance_mismatch', detail });
  }
  return findings;
}

/** The certificates after the leaf. One that cannot be read makes the whole chain refused. */
function othersOf(chain: readonly Uint8Array[]): Result<readonly Certificate[], PeerRefusal> {
  const certificates: Certificate[] = [];
  for (const bytes of chain.slice(1)) {
    const parsed = parseCertificate(bytes);
    if (!parsed.ok) return refuse('malformed_certificate', parsed.error.detail);
    certificates.push(parsed.value);
  }
  return ok(certificates);
}

function certificateFacts(
  leaf: Certificate,
  { crypto }: PeerTools,
): Pick<PeerIdentity, 'serialHex' | 'certificateHash'> {
  return { serialHex: leaf.serialHex, certificateHash: toHex(crypto.sha256(leaf.bytes)) };
}

function endOf(path: readonly Certificate[]): Pick<PeerIdentity, 'expiresAtMs'> {
  return { expiresAtMs: Math.min(...path.map(({ notAfter }) => notAfter)) };
}

function refuse(code: PeerFinding['code'], detail: string): Result<never, PeerRefusal> {
  return err([{ code, detail }]);
}

/** One line for logs and answers: codes, then details. */
export function refusalText(refusal: PeerRefusal): string {
  return refusal
    .map(({ code, detail }) => (detail === '' ? code : `${code} (${detail})`))
    .join(', ');
}

/** The name under which policy knows a peer: its app id, else its SPIFFE ID. */
export function policyName({ appId, spiffeId }: PeerIdentity): string {
  return appId ?? spiffeId ?? '';
}
