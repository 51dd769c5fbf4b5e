import { equalBytes, toHex } from '../../base/bytes.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { VendorCertificate, VendorSignature } from './certificate.ts';

/** SHA-256 of the DER of each accepted root, lower-case hex. */
export type RootPins = ReadonlySet<string>;

/** The time in which everything of a set holds: the latest start and the earliest end. Epoch ms. */
export interface Window {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Chip, ASK, ARK; PCK, CA, root; Nitro documents have five. */
const chainLengthMax = 8;

const keyCertSign = 5;
const cRLSign = 6;

export interface ChainContext {
  readonly crypto: CryptoPort;
  readonly pins: RootPins;
}

/**
 * Proves an ordered chain, leaf first, root last: every certificate names and is signed by the next, all
 * but the leaf are CAs within their path length, and the last is a pinned root byte for byte. Time is not
 * looked at: `windowOf` gives the window, and the caller compares it.
 */
export function verifyChain(
  chain: readonly VendorCertificate[],
  context: ChainContext,
): Result<true, Finding> {
  const root = chain.at(-1);
  if (root === undefined) return err(finding('chain_missing', ''));
  if (chain.length > chainLengthMax) return err(finding('chain_broken', `${chain.length} long`));
  if (!context.pins.has(toHex(context.crypto.sha256(root.der)))) {
    return err(finding('root_not_pinned', root.commonName));
  }
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1];
    // The root's own signature proves nothing: it is pinned byte for byte.
    if (issuer === undefined) break;
    const problem = issuanceProblem(certificate, issuer, { below: index, crypto: context.crypto });
    if (problem !== undefined) return err(problem);
  }
  return ok(true);
}

function issuanceProblem(
  certificate: VendorCertificate,
  issuer: VendorCertificate,
  at: { readonly below: number; readonly crypto: CryptoPort },
): Finding | undefined {
  if (!equalBytes(certificate.issuer, issuer.subject)) {
    return finding('chain_broken', `${certificate.commonName} is not from ${issuer.commonName}`);
  }
  if (!issuer.isCa || issuer.keyUsage?.has(keyCertSign) === false) {
    return finding('chain_profile_violated', `${issuer.commonName} is not a CA`);
  }
  if (issuer.pathLength !== undefined && issuer.pathLength < at.below) {
    return finding('chain_profile_violated', `${issuer.commonName} has a shorter path length`);
  }
  if (!isSignedBy(certificate, issuer, at.crypto)) {
    return finding('chain_broken', `${issuer.commonName} did not sign ${certificate.commonName}`);
  }
  return undefined;
}

/** Anything with a to-be-signed part that a vendor CA signed: a certificate or a revocation list. */
export interface Signed {
  readonly tbs: Uint8Array;
  readonly signatureAlgorithm: VendorSignature;
  readonly signature: Uint8Array;
}

export function isSignedBy(signed: Signed, issuer: VendorCertificate, crypto: CryptoPort): boolean {
  const { tbs: message, signature, signatureAlgorithm } = signed;
  if (signatureAlgorithm === 'rsa-pss-sha384') {
    if (issuer.key !== 'RSA') return false;
    return crypto.verifyRsaPss({ hash: 'sha384', spki: issuer.spki, message, signature });
  }
  if (issuer.key === 'RSA') return false;
  const hash = signatureAlgorithm === 'ecdsa-sha256' ? 'sha256' : 'sha384';
  const { key: curve, spki } = issuer;
  return crypto.verifyEcdsa({ curve, hash, spki, message, signature, encoding: 'der' });
}

/** True where the certificate may sign revocation lists. */
export function maySignLists(certificate: VendorCertificate): boolean {
  return certificate.isCa && certificate.keyUsage?.has(cRLSign) !== false;
}

export function windowOf(certificates: readonly VendorCertificate[]): Window {
  return intersection(certificates);
}

export function intersection(windows: readonly Window[]): Window {
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  let notAfterMs = Number.POSITIVE_INFINITY;
  for (const window of windows) {
    notBeforeMs = Math.max(notBeforeMs, window.notBeforeMs);
    notAfterMs = Math.min(notAfterMs, window.notAfterMs);
  }
  return { notBeforeMs, notAfterMs };
}

/** What is wrong with a chain at an instant, as findings. Both ends of a validity are inclusive (RFC 5280). */
export function windowFindings(
  certificates: readonly VendorCertificate[],
  nowMs: number,
): Finding[] {
  const findings: Finding[] = [];
  for (const { commonName, notBeforeMs, notAfterMs } of certificates) {
    if (nowMs < notBeforeMs) findings.push(finding('certificate_not_yet_valid', commonName));
    if (nowMs > notAfterMs) findings.push(finding('certificate_expired', commonName));
  }
  return findings;
}

/**
 * Orders loose certificates into a chain for `leaf`, by issuer name. Where two candidates have the name,
 * the one whose key verifies is the issuer. Stops at a self-issued certificate or where nothing fits.
 */
export function orderChain(
  leaf: VendorCertificate,
  candidates: readonly VendorCertificate[],
  crypto: CryptoPort,
): VendorCertificate[] {
  const chain = [leaf];
  let last = leaf;
  while (chain.length < chainLengthMax && !equalBytes(last.issuer, last.subject)) {
    const { issuer } = last;
    const named = candidates.filter((candidate) => equalBytes(candidate.subject, issuer));
    const current = last;
    const next = named.find((candidate) => isSignedBy(current, candidate, crypto)) ?? named[0];
    if (next === undefined || chain.includes(next)) break;
    chain.push(next);
    last = next;
  }
  return chain;
}
