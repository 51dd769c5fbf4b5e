import { concatBytes, utf8 } from '../../base/index.ts';
import { assert } from '../../base/assert.ts';
import type { CryptoPort } from '../crypto-port.ts';

/** Where machines join by evidence, on the control listener. */
export const attestedJoinPaths = {
  challenge: '/api/attest/challenge',
  join: '/api/attest/join',
  bind: '/api/attest/bind',
} as const;

export const joinNonceBytes = 32;

/** What evidence is for: a registration key, or the node key of a machine that used one. */
export type JoinPurpose =
  | { readonly kind: 'join' }
  /** `nodekey:` and 64 hex digits. */
  | { readonly kind: 'bind'; readonly nodeKey: string };

const tag = utf8('postern-join-v1:');

/**
 * Report data that answers a challenge: SHA-512 of tag, purpose, nonce, and the hash of the node key where there is one. Each
 * part has a fixed length or a fixed set of values, so that no two inputs meet.
 */
export function joinReportData(
  purpose: JoinPurpose,
  nonce: Uint8Array,
  crypto: Pick<CryptoPort, 'sha256' | 'sha512'>,
): Uint8Array {
  assert(nonce.length === joinNonceBytes, 'nonce of 32 bytes');
  const key = purpose.kind === 'bind' ? crypto.sha256(utf8(purpose.nodeKey)) : new Uint8Array(32);
  return crypto.sha512(concatBytes(tag, utf8(purpose.kind), nonce, key));
}
