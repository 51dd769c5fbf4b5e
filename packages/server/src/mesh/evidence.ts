import {
  appraise,
  type EvidenceKind,
  evidenceKind,
  verifyEvidence,
  type Verdict,
} from '@postern/core/attest';
import { err, ok, type Result } from '@postern/core/base';
import type { Judge } from './judge.ts';
import type { PeerFinding, PeerIdentity, PeerRefusal } from './peer-identity.ts';
import { revokedBy } from './revoked.ts';

/** Forms of evidence that answer a challenge: those with 64 bytes that the machine chose. */
const kinds: ReadonlySet<EvidenceKind | undefined> = new Set([
  'dstack-attestation',
  'quote-answer',
  'intel-quote',
  'snp-report',
]);

/** Whether evidence is good by the policy in force, answers this challenge, and is of nobody who is revoked. */
export async function judgeChallenge(
  { trust, tools, findFacts, nowMs }: Pick<Judge, 'trust' | 'tools' | 'findFacts' | 'nowMs'>,
  evidence: Uint8Array,
  reportData: Uint8Array,
): Promise<Result<Verdict, PeerRefusal>> {
  const { appraisal, anchors, clockSkewMsMax, revoked } = trust();
  const refused = (code: PeerFinding['code'], detail: string): Result<never, PeerRefusal> =>
    err([{ code, detail }]);
  if (appraisal === undefined) return refused('trust_not_configured', 'no appraisal policy');
  const kind = evidenceKind(evidence);
  if (kind === undefined || !kinds.has(kind))
    return refused('session_unproven', 'unknown evidence');
  const facts = await findFacts(evidence, kind);
  const { crypto, gunzip } = tools;
  const at = nowMs();
  const verified = verifyEvidence(kind, evidence, {
    crypto,
    anchors,
    nowMs: at,
    ...facts,
    role: 'server',
    clockSkewMsMax,
    ...(gunzip === undefined ? {} : { gunzip }),
  });
  const verdict = appraise(verified, appraisal, at, { reportData });
  const { appId, instanceId, deviceId } = verdict;
  const whom: PeerIdentity = {
    kind: 'ra-tls',
    appId: appId?.toLowerCase(),
    instanceId: instanceId?.toLowerCase(),
    deviceId,
    composeHash: verdict.composeHash,
    spiffeId: undefined,
    platform: verdict.platform,
    tcbStatus: verdict.tcbStatus,
    serialHex: '',
    certificateHash: '',
    expiresAtMs: verdict.expiresAtMs,
  };
  const against = [...verdict.refusals, ...revokedBy(revoked, whom)];
  return against.length > 0 ? err(against) : ok(verdict);
}
