import { assert } from '../../base/assert.ts';
import { concatBytes, utf8 } from '../../base/bytes.ts';
import type { CryptoPort } from '../crypto-port.ts';

/** What evidence exchanged after a TLS 1.3 handshake is bound to. */
export interface SessionBinding {
  /** Who makes the evidence. */
  readonly role: 'client' | 'server';
  /** 32 bytes by `exportKeyingMaterial` with `sessionExporterLabel`: equal on both ends, and there alone. */
  readonly exporter: Uint8Array;
  /** DER SubjectPublicKeyInfo of the evidence's maker, and of its peer if that one has a certificate. */
  readonly ownSpki: Uint8Array;
  readonly peerSpki: Uint8Array | undefined;
  /** 32 bytes that the peer chose for this session. */
  readonly peerNonce: Uint8Array;
}

/** Label of the TLS exporter (RFC 8446 section 7.5). */
export const sessionExporterLabel = 'EXPORTER-postern-attest';
export const sessionExporterBytes = 32;
export const sessionNonceBytes = 32;

const tag = utf8('postern-attest-v1:');
const noPeer = new Uint8Array(32);

/**
 * Report data that binds evidence to one TLS session: SHA-512 of tag, role, exporter, both keys' hashes and the
 * peer's nonce. A certificate's evidence can be relayed by whoever takes its key out of one machine; this
 * cannot, since the exporter is of this connection. Every part has a fixed length, so no two inputs meet.
 */
export function sessionReportData(binding: SessionBinding, crypto: CryptoPort): Uint8Array {
  const { role, exporter, ownSpki, peerSpki, peerNonce } = binding;
  assert(exporter.length === sessionExporterBytes, 'exporter of 32 bytes');
  assert(peerNonce.length === sessionNonceBytes, 'nonce of 32 bytes');
  return crypto.sha512(
    concatBytes(
      tag,
      utf8(role),
      exporter,
      crypto.sha256(ownSpki),
      peerSpki === undefined ? noPeer : crypto.sha256(peerSpki),
      peerNonce,
    ),
  );
}
