import { concatBytes, equalBytes, utf8 } from '../../base/bytes.ts';
import { unreadable, verification } from '../claims.ts';
import type { Claims, Verification } from '../claims.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { parseEventLog, verifyDstackAttestation, verifyTdxWithEvents } from '../dstack/index.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { intersection } from '../vendor/index.ts';
import type { VerifierContext } from '../verifier-context.ts';
import { parseCertificate } from '../x509/index.ts';
import type { Certificate } from '../x509/index.ts';
import { readAppInfo } from './app-info.ts';
import { readRaTlsExtensions } from './extensions.ts';
import type { RaTlsExtensions } from './extensions.ts';

export interface PeerCertificateContext extends VerifierContext {
  /** What the peer is in the handshake: a server must be allowed to serve, a client to call. */
  readonly role: 'server' | 'client';
  /** By how much the peer's clock may differ from ours at both ends of its certificate's validity. */
  readonly clockSkewMsMax: number;
}

const usage = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
const anyUsage = '2.5.29.37.0';
const leafUsage = 'app:custom';
const bindingTag = utf8('ratls-cert:');

/** What evidence in a certificate must say to be about this certificate's key. */
export function raTlsReportData(spki: Uint8Array, crypto: CryptoPort): Uint8Array {
  return crypto.sha512(concatBytes(bindingTag, spki));
}

/**
 * Verifies the evidence in a TLS peer's certificate and that it is bound to the certificate's key. No path
 * is built: a self-signed certificate is as good as any other, since the evidence alone is believed. So the
 * certificate's validity is its holder's own word: it can shorten a verdict and never lengthens one beyond
 * what the policy allows.
 */
export function verifyPeerCertificate(
  der: Uint8Array,
  context: PeerCertificateContext,
): Verification {
  const parsed = parseCertificate(der);
  if (!parsed.ok) return unreadable(finding('malformed_certificate', parsed.error.detail));
  const certificate = parsed.value;
  const extensions = readRaTlsExtensions(certificate, context);
  if (!extensions.ok) return unreadable(extensions.error);
  const inner = verifyEvidence(extensions.value, context);
  if (inner.claims === undefined) return inner;
  const { claims } = inner;
  const findings = [...certificateFindings(certificate, context), ...inner.findings];
  if (!equalBytes(claims.reportData, raTlsReportData(certificate.spki, context.crypto))) {
    findings.push(finding('key_binding_invalid', ''));
  }
  findings.push(...claimFindings(extensions.value, claims));
  return verification(findings, withWindow(claims, certificate));
}

function verifyEvidence(
  { evidence }: RaTlsExtensions,
  context: PeerCertificateContext,
): Verification {
  if (evidence.form === 'attestation') return verifyDstackAttestation(evidence.bytes, context);
  const { quote } = evidence;
  const eventLog = parseEventLog(evidence.eventLog);
  if (!eventLog.ok) return unreadable(finding('malformed_evidence', eventLog.error.what));
  const input = { quote, eventLog: eventLog.value, reportData: undefined, config: '' };
  return verifyTdxWithEvents(input, context);
}

function certificateFindings(
  certificate: Certificate,
  { nowMs, clockSkewMsMax, role }: PeerCertificateContext,
): Finding[] {
  const findings: Finding[] = [];
  const use = (detail: string): number => findings.push(finding('certificate_use_refused', detail));
  if (certificate.unknownCritical.length > 0) {
    use(`critical extension ${certificate.unknownCritical.join(', ')}`);
  }
  const { publicKey, keyUsage, extendedKeyUsage } = certificate;
  const isCurve = publicKey.kind === 'ec' && /^P-(?:256|384)$/.test(publicKey.curve);
  if (!isCurve) use('the key is not on P-256 or P-384');
  if (certificate.basicConstraints?.ca === true) use('an authority is no peer');
  if (keyUsage?.has('digitalSignature') !== true) use('digitalSignature is missing');
  const isForRole =
    extendedKeyUsage?.includes(usage[role]) === true ||
    extendedKeyUsage?.includes(anyUsage) === true;
  if (!isForRole) use(`not for a ${role}`);
  if (nowMs + clockSkewMsMax < certificate.notBefore) {
    findings.push(finding('certificate_not_yet_valid', 'peer'));
  }
  if (nowMs - clockSkewMsMax > certificate.notAfter) {
    findings.push(finding('certificate_expired', 'peer'));
  }
  return findings;
}

/** The certificate's own claims must not say something else than the evidence proves. */
function claimFindings(extensions: RaTlsExtensions, { workload }: Claims): Finding[] {
  const findings: Finding[] = [];
  const { appId, specialUsage, appInfo } = extensions;
  const mismatch = (what: string): number =>
    findings.push(finding('certificate_claim_mismatch', what));
  if (appId !== undefined && appId !== workload?.appId) mismatch(`app id ${appId}`);
  if (specialUsage !== undefined && specialUsage !== leafUsage) {
    findings.push(finding('special_usage_refused', specialUsage));
  }
  if (appInfo === undefined) return findings;
  const claim = readAppInfo(appInfo);
  if (claim === undefined) mismatch('app info is not readable');
  else {
    if (claim.appId !== (workload?.appId ?? '')) mismatch(`app info: app id ${claim.appId}`);
    if (claim.composeHash !== (workload?.composeHash ?? '')) mismatch('app info: compose hash');
    if (claim.instanceId !== (workload?.instanceId ?? '')) mismatch('app info: instance id');
  }
  return findings;
}

function withWindow(claims: Claims, { notBefore, notAfter }: Certificate): Claims {
  const certificate = { notBeforeMs: notBefore, notAfterMs: notAfter };
  return { ...claims, window: intersection([claims.window, certificate]) };
}
