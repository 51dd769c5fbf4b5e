import { toHex } from '../../base/bytes.ts';
import { verifyPeerCertificate } from '../ratls/index.ts';
import type { PeerCertificateContext } from '../ratls/index.ts';
import { appraise } from './policy.ts';
import type { AppraisalPolicy, Verdict } from './policy.ts';
import type { VerdictCache } from './verdict-cache.ts';

export interface PeerAppraisal {
  readonly context: PeerCertificateContext;
  readonly policy: AppraisalPolicy;
  readonly cache?: VerdictCache;
}

/**
 * The verdict about a TLS peer by its leaf certificate (DER): from the cache, or by verifying and appraising
 * its evidence. To be called after the handshake and before the first byte of a request.
 */
export function appraisePeer(leaf: Uint8Array, { context, policy, cache }: PeerAppraisal): Verdict {
  const { nowMs, role } = context;
  // The role is part of the key: a certificate may be for clients alone.
  const key = `${role}:${toHex(context.crypto.sha256(leaf))}`;
  const cached = cache?.get(key, { generation: policy.generation, nowMs });
  if (cached !== undefined) return cached;
  const verdict = appraise(verifyPeerCertificate(leaf, context), policy, nowMs);
  cache?.put(key, verdict);
  return verdict;
}
