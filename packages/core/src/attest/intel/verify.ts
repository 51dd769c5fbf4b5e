import { concatBytes, equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import { err } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { unreadable, verification } from '../claims.ts';
import type { Claims, TcbClaim, Verification } from '../claims.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { intersection, windowFindings } from '../vendor/index.ts';
import type { RootPins } from '../vendor/index.ts';
import { collateralFindings, revocationFindings } from './collateral.ts';
import type { IntelCollateral } from './collateral.ts';
import { matchTcb } from './match.ts';
import { readPckChain } from './pck-chain.ts';
import type { PckChain } from './pck-chain.ts';
import type { PckExtension } from './pck.ts';
import { intelPosture } from './posture.ts';
import { attestationKeyP256, parseIntelQuote } from './quote.ts';
import type { IntelQuote, SgxBody, TdBody } from './quote.ts';

export interface IntelContext {
  readonly crypto: CryptoPort;
  readonly pins: RootPins;
  /** Opened collateral, why it could not be opened, or undefined where there is none. */
  readonly collateral: Result<IntelCollateral, Finding> | undefined;
  readonly nowMs: number;
  /** PEM of the PCK chain, for quotes that name their platform key without it. */
  readonly pckChain?: Uint8Array;
}

const intelQeVendorId = fromHex('939a7233f79c4ca9940a0db3957f0607') ?? new Uint8Array();
/** SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point itself (RFC 5480). */
const p256SpkiPrefix =
  fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004') ?? new Uint8Array();

/** Verifies an SGX or TDX quote, then everything that collateral says about its platform. */
export function verifyIntelQuote(bytes: Uint8Array, context: IntelContext): Verification {
  const quote = parseIntelQuote(bytes);
  if (!quote.ok) {
    return unreadable(
      finding('malformed_evidence', `${quote.error.what} at ${quote.error.offset}`),
    );
  }
  const chain = readChain(quote.value, context);
  const findings = [
    ...signatureFindings(quote.value, chain, context.crypto),
    ...intelPosture(quote.value),
  ];
  if (!chain.ok) findings.push(chain.error);
  const platform = chain.ok ? appraisePlatform(quote.value, chain.value, context) : undefined;
  if (platform !== undefined) findings.push(...platform.findings);
  return verification(findings, claimsOf(quote.value, platform, context.crypto));
}

function readChain(quote: IntelQuote, context: IntelContext): Result<PckChain, Finding> {
  const outside = context.collateral?.ok === true ? context.collateral.value.pckChain : undefined;
  const pem = quote.pckChain ?? context.pckChain ?? outside;
  if (pem === undefined) return err(finding('chain_missing', 'no PCK chain in the quote'));
  return readPckChain(pem, context);
}

function signatureFindings(
  quote: IntelQuote,
  chain: Result<PckChain, Finding>,
  crypto: CryptoPort,
): Finding[] {
  const findings: Finding[] = [];
  if (quote.attestationKeyType !== attestationKeyP256) {
    return [finding('unsupported_evidence', `attestation key type ${quote.attestationKeyType}`)];
  }
  if (!equalBytes(quote.qeVendorId, intelQeVendorId)) {
    findings.push(finding('qe_vendor_unknown', toHex(quote.qeVendorId)));
  }
  const p256 = { curve: 'P-256', hash: 'sha256', encoding: 'p1363' } as const;
  const isQuoteSigned = crypto.verifyEcdsa({
    ...p256,
    spki: concatBytes(p256SpkiPrefix, quote.attestationKey),
    message: quote.signed,
    signature: quote.signature,
  });
  if (!isQuoteSigned) findings.push(finding('quote_signature_invalid', ''));
  const keyHash = crypto.sha256(concatBytes(quote.attestationKey, quote.qeAuthData));
  if (!equalBytes(quote.qeReport.reportData, concatBytes(keyHash, new Uint8Array(32)))) {
    findings.push(finding('qe_report_binding_invalid', ''));
  }
  if (!chain.ok) return findings;
  const isReportSigned = crypto.verifyEcdsa({
    ...p256,
    spki: chain.value.pck.spki,
    message: quote.qeReportBytes,
    signature: quote.qeReportSignature,
  });
  if (!isReportSigned) findings.push(finding('qe_report_signature_invalid', ''));
  return findings;
}

interface PlatformAppraisal {
  readonly findings: readonly Finding[];
  readonly chain: PckChain;
  readonly tcb: TcbClaim | undefined;
  readonly collateral: IntelCollateral | undefined;
}

function appraisePlatform(
  quote: IntelQuote,
  chain: PckChain,
  context: IntelContext,
): PlatformAppraisal {
  const findings = windowFindings(chain.certificates, context.nowMs);
  const none = { findings, chain, tcb: undefined, collateral: undefined };
  if (context.collateral === undefined) {
    findings.push(finding('collateral_missing', chain.extension.fmspc));
    return none;
  }
  if (!context.collateral.ok) {
    findings.push(context.collateral.error);
    return none;
  }
  const collateral = context.collateral.value;
  findings.push(...collateralFindings(collateral, context.nowMs));
  findings.push(...revocationFindings(chain.certificates, collateral));
  const about = subjectFindings(quote, chain.extension, collateral);
  if (about.length > 0) {
    findings.push(...about);
    return { findings, chain, tcb: undefined, collateral };
  }
  const { tcbInfo, qeIdentity } = collateral;
  const { body, qeReport } = quote;
  const tcb = matchTcb({ pck: chain.extension, body, qeReport, tcbInfo, qeIdentity });
  if (!tcb.ok) findings.push(...tcb.error);
  return { findings, chain, tcb: tcb.ok ? tcb.value : undefined, collateral };
}

/** Whether authentic collateral is about this platform at all. */
function subjectFindings(
  quote: IntelQuote,
  pck: PckExtension,
  { tcbInfo }: IntelCollateral,
): Finding[] {
  const findings: Finding[] = [];
  const kind = quote.body.kind === 'tdx' ? 'TDX' : 'SGX';
  if (tcbInfo.kind !== kind)
    findings.push(finding('fmspc_mismatch', `TCB info for ${tcbInfo.kind}`));
  if (tcbInfo.fmspc !== pck.fmspc) {
    findings.push(finding('fmspc_mismatch', `${tcbInfo.fmspc}, the platform is ${pck.fmspc}`));
  }
  if (tcbInfo.pceId !== pck.pceId) findings.push(finding('pce_id_mismatch', tcbInfo.pceId));
  return findings;
}

function claimsOf(
  { body }: IntelQuote,
  platform: PlatformAppraisal | undefined,
  crypto: CryptoPort,
): Claims {
  const windows = [
    ...(platform?.chain.certificates ?? []),
    ...(platform?.collateral === undefined ? [] : [platform.collateral.window]),
  ];
  const ppid = platform?.chain.extension.ppid;
  return {
    platform: body.kind,
    reportData: body.reportData,
    debug: isDebug(body),
    measurements: body.kind === 'tdx' ? tdMeasurements(body) : sgxMeasurements(body),
    tcb: platform?.tcb,
    firmware: undefined,
    deviceId: ppid === undefined ? undefined : toHex(crypto.sha256(ppid)),
    workload: undefined,
    issuedAtMs: undefined,
    window: intersection(windows),
  };
}

function isDebug(body: SgxBody | TdBody): boolean {
  if (body.kind === 'sgx') return ((body.attributes[0] ?? 0) & 0x02) !== 0;
  return ((body.tdAttributes[0] ?? 0) & 0x01) !== 0;
}

function tdMeasurements(body: TdBody): Record<string, string> {
  const [rtmr0, rtmr1, rtmr2, rtmr3] = body.rtmrs;
  return {
    mrtd: toHex(body.mrTd),
    rtmr0: toHex(rtmr0),
    rtmr1: toHex(rtmr1),
    rtmr2: toHex(rtmr2),
    rtmr3: toHex(rtmr3),
    mrconfigid: toHex(body.mrConfigId),
    mrowner: toHex(body.mrOwner),
    mrownerconfig: toHex(body.mrOwnerConfig),
    mrseam: toHex(body.mrSeam),
  };
}

function sgxMeasurements(body: SgxBody): Record<string, string> {
  return {
    mrenclave: toHex(body.mrEnclave),
    mrsigner: toHex(body.mrSigner),
    isvprodid: String(body.isvProdId),
    isvsvn: String(body.isvSvn),
    configid: toHex(body.configId),
  };
}
