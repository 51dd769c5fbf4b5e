import { equalBytes, toHex } from '../../base/bytes.ts';
import { decodeDer, DerTag } from '../../base/der/index.ts';
import type { DerElement } from '../../base/der/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import { err } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { readExtensions, readSignatureAlgorithm } from './certificate.ts';
import type { VendorCertificate } from './certificate.ts';
import { isSignedBy, maySignLists } from './chain.ts';
import type { Signed, Window } from './chain.ts';

/** A revocation list of a vendor's CA (RFC 5280 section 5), complete, not a delta. */
export interface RevocationList extends Signed, Window {
  readonly issuer: Uint8Array;
  /** Serial numbers as the hex of their DER contents. */
  readonly revoked: ReadonlySet<string>;
}

/** Intel's lists are 3 to 7 kB; a list of 100,000 revoked chips would be 3.5 MB. */
const listBytesMax = 4 << 20;
const listElementsMax = 1 << 20;

export function parseRevocationList(der: Uint8Array): Result<RevocationList, Malformed> {
  const limits = { bytesMax: listBytesMax, elementsMax: listElementsMax };
  const parsed = decodeDer(der, readList, limits);
  return parsed.ok ? parsed : err({ what: parsed.error.detail, offset: parsed.error.offset });
}

function readList(root: DerElement): RevocationList {
  return root.sequence((cursor) => {
    const tbs = cursor.next();
    const algorithm = cursor.next();
    const signatureAlgorithm = readSignatureAlgorithm(algorithm);
    const signature = cursor.next().bitStringOctets();
    return {
      tbs: tbs.bytes,
      signatureAlgorithm,
      signature,
      ...readTbs(tbs, algorithm.bytes),
    };
  });
}

function readTbs(
  tbs: DerElement,
  outerAlgorithm: Uint8Array,
): Pick<RevocationList, 'issuer' | 'revoked' | 'notBeforeMs' | 'notAfterMs'> {
  return tbs.sequence((cursor) => {
    // Version 2 only: nextUpdate, extensions and entry extensions have no meaning in version 1.
    if (cursor.next().smallInteger(1) !== 1) tbs.refuse('not a version 2 list');
    if (!equalBytes(cursor.next().bytes, outerAlgorithm)) {
      tbs.refuse('signature algorithm differs from the outer one');
    }
    const issuer = cursor.next().bytes;
    const notBeforeMs = cursor.next().time();
    const next = cursor.next();
    const notAfterMs = next.time();
    const revoked = new Set<string>();
    cursor.optional(DerTag.sequence)?.sequenceOf((entry) => revoked.add(readEntry(entry)));
    // Any critical extension is refused here, so neither a delta nor a partial list can pass as complete.
    readExtensions(cursor.optionalContext(0));
    return { issuer, notBeforeMs, notAfterMs, revoked };
  });
}

function readEntry(entry: DerElement): string {
  return entry.sequence((cursor) => {
    const serial = cursor.next();
    serial.integer();
    cursor.next().time();
    cursor.optional(DerTag.sequence)?.checkTree();
    return toHex(serial.content);
  });
}

/** Proves that `issuer` signed the list. Time and entries are not looked at. */
export function listProblem(
  list: RevocationList,
  issuer: VendorCertificate,
  crypto: CryptoPort,
): Finding | undefined {
  if (!equalBytes(list.issuer, issuer.subject)) {
    return finding('crl_issuer_mismatch', issuer.commonName);
  }
  if (!maySignLists(issuer) || !isSignedBy(list, issuer, crypto)) {
    return finding('crl_signature_invalid', issuer.commonName);
  }
  return undefined;
}

/** Findings about a list at an instant. `nextUpdate` itself is still inside. */
export function listWindowFindings(list: RevocationList, nowMs: number, name: string): Finding[] {
  if (nowMs < list.notBeforeMs) return [finding('crl_not_yet_valid', name)];
  if (nowMs > list.notAfterMs) return [finding('crl_expired', name)];
  return [];
}
