import { concatBytes, equalBytes, fromHex, toHex, utf8 } from '../../base/bytes.ts';
import { verifySnpReport } from '../amd/index.ts';
import { unreadable, verification } from '../claims.ts';
import type { Claims, Verification, WorkloadClaims } from '../claims.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { parseIntelQuote, verifyIntelQuote } from '../intel/index.ts';
import { verifyNitroDocument } from '../nitro/index.ts';
import type { VerifierContext } from '../verifier-context.ts';
import { parseDstackAttestation } from './attestation.ts';
import type { DstackAttestation, DstackPlatform } from './form.ts';
import { bootFindings, replayRuntime, runtimeEvents } from './event.ts';
import type { LogEvent, RuntimeEvent } from './event.ts';
import { parseQuoteAnswer } from './json-form.ts';
import {
  configDocumentHash,
  documentInConfig,
  mrConfigFindings,
  readBootEvents,
  readConfigDocument,
} from './workload.ts';

/** A quote with its events, from a guest agent's answer or from certificate extensions .1 and .2. */
export interface TdxWithEvents {
  readonly quote: Uint8Array;
  readonly eventLog: readonly LogEvent[];
  /** The wrapper's copy, where there is one. */
  readonly reportData: Uint8Array | undefined;
  readonly config: string;
}

/** Verifies a versioned attestation (certificate extension .8, or the answer of `Attest`). */
export function verifyDstackAttestation(bytes: Uint8Array, context: VerifierContext): Verification {
  const parsed = parseDstackAttestation(bytes);
  if (!parsed.ok) {
    const { what, offset } = parsed.error;
    return unreadable(finding('malformed_evidence', `${what} at ${offset}`));
  }
  const attestation = parsed.value;
  const { platform } = attestation;
  const inner = verifyPlatform(attestation, platform, context);
  if (inner.claims === undefined) return inner;
  const findings = [...inner.findings, ...wrapperFindings(attestation, inner.claims)];
  findings.push(...payloadFindings(attestation, context));
  return verification(findings, inner.claims);
}

function verifyPlatform(
  attestation: DstackAttestation,
  platform: DstackPlatform,
  context: VerifierContext,
): Verification {
  switch (platform.kind) {
    case 'tdx': {
      const { quote, eventLog } = platform;
      const { config, runtimeEvents: events } = attestation;
      const log = runtimeEvents(eventLog, context.crypto);
      return verifyTdx(quote, context, { eventLog, config, events, findings: log.findings });
    }
    case 'sev-snp':
      return verifySnp(platform, context);
    case 'nitro':
      return verifyNitroDocument(platform.document, {
        crypto: context.crypto,
        pins: context.anchors.aws,
        nowMs: context.nowMs,
      });
  }
}

/** Verifies the answer of `GetQuote`: a quote and the full event log as JSON. */
export function verifyQuoteAnswer(bytes: Uint8Array, context: VerifierContext): Verification {
  const answer = parseQuoteAnswer(bytes);
  if (!answer.ok) return unreadable(finding('malformed_evidence', answer.error.what));
  const { attestation, reportData } = answer.value;
  if (attestation === undefined) return verifyTdxWithEvents(answer.value, context);
  const inner = verifyDstackAttestation(attestation, context);
  if (inner.claims === undefined) return inner;
  return verification(
    [...inner.findings, ...wrapperFindings({ reportData }, inner.claims)],
    inner.claims,
  );
}

/** Verifies a quote together with the event log that explains its registers. */
export function verifyTdxWithEvents(input: TdxWithEvents, context: VerifierContext): Verification {
  const { events, findings } = runtimeEvents(input.eventLog, context.crypto);
  const { eventLog, config } = input;
  const inner = verifyTdx(input.quote, context, { eventLog, config, events, findings });
  if (inner.claims === undefined || input.reportData === undefined) return inner;
  return verification(
    [...inner.findings, ...wrapperFindings({ reportData: input.reportData }, inner.claims)],
    inner.claims,
  );
}

interface Explanation {
  readonly eventLog: readonly LogEvent[];
  readonly events: readonly RuntimeEvent[];
  readonly config: string;
  readonly findings: readonly Finding[];
}

function verifyTdx(
  bytes: Uint8Array,
  context: VerifierContext,
  explanation: Explanation,
): Verification {
  const { crypto } = context;
  const inner = verifyIntelQuote(bytes, {
    crypto,
    pins: context.anchors.intel,
    collateral: context.intelCollateral,
    nowMs: context.nowMs,
  });
  const quote = parseIntelQuote(bytes);
  if (inner.claims === undefined || !quote.ok) return inner;
  const { body } = quote.value;
  if (body.kind !== 'tdx') {
    return verification([...inner.findings, finding('event_log_mismatch', 'SGX')], inner.claims);
  }
  const findings = [...inner.findings, ...explanation.findings];
  findings.push(...bootFindings(explanation.eventLog, body.rtmrs, crypto));
  if (!equalBytes(replayRuntime(explanation.events, crypto), body.rtmrs[3])) {
    findings.push(finding('event_log_mismatch', 'RTMR3'));
    // Events that do not replay are nobody's: naming a workload by them would only mislead.
    return verification(findings, inner.claims);
  }
  const { workload, findings: bootEvents } = readBootEvents(explanation.events);
  const document = documentInConfig(explanation.config);
  findings.push(...bootEvents);
  findings.push(...mrConfigFindings(body.mrConfigId, workload, { document, crypto }));
  return verification(findings, withWorkload(inner.claims, workload));
}

/**
 * SEV-SNP has no register for runtime events, so the events prove nothing and are not read. Who the
 * workload is comes from the configuration document alone, whose hash is in the signed HOST_DATA.
 */
function verifySnp(
  platform: Extract<DstackPlatform, { kind: 'sev-snp' }>,
  context: VerifierContext,
): Verification {
  const { crypto, nowMs } = context;
  const inner = verifySnpReport(platform.report, {
    crypto,
    pins: context.anchors.amd,
    certificates: [...platform.certificates, ...context.amdCertificates],
    ...(context.amdRevocationList === undefined
      ? {}
      : { revocationList: context.amdRevocationList }),
    nowMs,
  });
  if (inner.claims === undefined) return inner;
  const hostData = fromHex(inner.claims.measurements['hostdata'] ?? '');
  const hash = configDocumentHash(platform.mrConfig, crypto);
  const workload = readConfigDocument(platform.mrConfig);
  if (hostData === undefined || !equalBytes(hostData, hash)) {
    const problem = finding('config_binding_invalid', `HOST_DATA is not ${toHex(hash)}`);
    return verification([...inner.findings, problem], inner.claims);
  }
  if (workload === undefined) {
    const problem = finding('boot_events_invalid', 'configuration document');
    return verification([...inner.findings, problem], inner.claims);
  }
  return verification(inner.findings, withWorkload(inner.claims, workload));
}

function withWorkload(claims: Claims, workload: WorkloadClaims): Claims {
  return { ...claims, workload };
}

function wrapperFindings(
  { reportData }: Pick<DstackAttestation, 'reportData'>,
  claims: Claims,
): Finding[] {
  return equalBytes(reportData, claims.reportData) ? [] : [finding('report_data_mismatch', '')];
}

const podTag = utf8('app-data:');

function payloadFindings(
  { reportData, reportDataPayload }: DstackAttestation,
  { crypto }: VerifierContext,
): Finding[] {
  if (reportDataPayload === undefined) return [];
  const expected = crypto.sha512(concatBytes(podTag, utf8(reportDataPayload)));
  return equalBytes(expected, reportData)
    ? []
    : [finding('report_data_mismatch', 'report_data_payload')];
}
