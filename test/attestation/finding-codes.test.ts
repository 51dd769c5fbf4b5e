/** Every finding code, and evidence that deserves it. The table is total: a new code does not compile without a row. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { concatBytes, toBase64Url, utf8 } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import {
  appraise,
  appraisePeer,
  explain,
  findingTable,
  openCollateral,
  raTlsReportData,
  strictPlatformPolicy,
  targetRefusals,
  vendorAnchors,
  verifyDstackAttestation,
  verifyGpuEvidence,
  verifyIntelQuote,
  verifyPeerCertificate,
  verifyTdxWithEvents,
} from '@postern/core/attest';
import type {
  AppraisalPolicy,
  Finding,
  FindingCode,
  IntelCollateralSource,
  LogEvent,
  PeerCertificateContext,
  RuntimeEvent,
  Verification,
  VerifierContext,
} from '@postern/core/attest';
import {
  bootEvents,
  createCollateral,
  createTdQuote,
  distinguishedName,
  eventDigest,
  issueCertificate,
  keyUsage,
  replayEvents,
  serial,
  SigningKey,
  writeScaleForm,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type {
  CertificateRequest,
  CollateralOptions,
  TdOptions,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { documentOf, verifyDocument } from './nitro-pki.ts';
import {
  anchors,
  contextOf,
  dayMs,
  leafOf,
  nowMs,
  peerContext,
  policy,
  simulator,
} from './simulated.ts';
import { certificatesOf, reportOf, verifyReport } from './snp-pki.ts';

const { pki, app } = simulator;
const reportData = new Uint8Array(64).fill(0x42);
const times = { issuedAtMs: nowMs - dayMs, nextUpdateMs: nowMs + dayMs };

/** Findings about a quote of the simulator, with fields or collateral changed. */
function quote(
  options: Partial<TdOptions> = {},
  source: IntelCollateralSource | undefined = simulator.collateral(),
): readonly Finding[] {
  return verifyQuote(createTdQuote(pki, { reportData, ...options }), source);
}

function verifyQuote(
  bytes: Uint8Array,
  source: IntelCollateralSource | undefined = simulator.collateral(),
  at = nowMs,
): readonly Finding[] {
  const context = { crypto: nodeCrypto, pins: anchors.intel };
  const collateral = openCollateral(source, context);
  return verifyIntelQuote(bytes, { ...context, collateral, nowMs: at }).findings;
}

function collateral(
  options: Partial<CollateralOptions> = {},
  changes: Partial<IntelCollateralSource> = {},
): readonly Finding[] {
  return quote({}, { ...createCollateral(pki, { ...times, ...options }), ...changes });
}

/** The quote with one byte changed. */
function forged(at: number, options: Partial<TdOptions> = {}): Uint8Array {
  const bytes = createTdQuote(pki, { reportData, ...options });
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

const signedBytes = 632;
const at = {
  signature: signedBytes + 4,
  qeReport: signedBytes + 4 + 64 + 64 + 6,
  qeSignature: signedBytes + 4 + 64 + 64 + 6 + 384,
  pem: signedBytes + 4 + 64 + 64 + 6 + 384 + 64 + 2 + 17 + 6,
} as const;

function attestation(
  events: readonly RuntimeEvent[],
  options: Partial<TdOptions> & { readonly wrapper?: Uint8Array; readonly config?: string } = {},
): Verification {
  const rtmrs: Uint8Array[] = [0x10, 0x11, 0x12].map((byte) => new Uint8Array(48).fill(byte));
  rtmrs.push(replayEvents(events));
  const { wrapper = reportData, config = '', ...fields } = options;
  const bytes = createTdQuote(pki, { reportData, rtmrs, ...fields });
  const form = writeScaleForm({ quote: bytes, events, reportData: wrapper, config });
  return verifyDstackAttestation(form, contextOf());
}

function withEvents(change: (log: LogEvent[]) => LogEvent[]): readonly Finding[] {
  const events = bootEvents(app);
  const rtmrs: Uint8Array[] = [0x10, 0x11, 0x12].map((byte) => new Uint8Array(48).fill(byte));
  const bytes = createTdQuote(pki, { reportData, rtmrs: [...rtmrs, replayEvents(events)] });
  const log = events.map((event): LogEvent => {
    return {
      ...event,
      register: 3,
      type: 0x08000001,
      digest: eventDigest(event),
      preimage: undefined,
    };
  });
  const input = { quote: bytes, eventLog: change(log), reportData, config: '' };
  return verifyTdxWithEvents(input, contextOf()).findings;
}

function peer(leaf: Uint8Array, changes: Partial<PeerCertificateContext> = {}): readonly Finding[] {
  return verifyPeerCertificate(leaf, peerContext(changes)).findings;
}

const peerKey = new SigningKey(new Uint8Array(32), 'peer');
const arc = '1.3.6.1.4.1.62397.1';

/** A self-signed peer certificate with evidence for its key, and claims as given. */
function selfSigned(
  claims: Readonly<Record<string, Uint8Array>> = {},
  changes: Partial<CertificateRequest> = {},
): Uint8Array {
  const evidence = simulator.attestation(raTlsReportData(peerKey.spki, nodeCrypto));
  const name = distinguishedName('peer');
  const extensions = Object.entries({ 8: evidence, ...claims }).map(([suffix, value]) => {
    return { oid: `${arc}.${suffix}`, value: der.octetString(value) };
  });
  const both = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'].map((oid) => der.oid(oid));
  extensions.push({ oid: '2.5.29.37', value: der.sequence(...both) });
  const request: CertificateRequest = {
    subject: name,
    spki: peerKey.spki,
    serial: 7,
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + dayMs,
    usages: [keyUsage.digitalSignature],
    extensions,
    ...changes,
  };
  return issueCertificate(request, { name, key: peerKey });
}

function appraised(
  changes: Partial<AppraisalPolicy> = {},
  verification: Verification = verifyPeerCertificate(leafOf(), peerContext()),
): readonly Finding[] {
  return appraise(verification, { ...policy, ...changes }, nowMs).refusals;
}

function platformPolicy(changes: Partial<AppraisalPolicy['platform']>): Partial<AppraisalPolicy> {
  return { platform: { ...strictPlatformPolicy, ...changes } };
}

function jwt(header: object, claims: object, signature = 'c2ln'): string {
  const part = (value: object): string => toBase64Url(utf8(JSON.stringify(value)));
  return `${part(header)}.${part(claims)}.${signature}`;
}

const gpuTimes = { iat: nowMs / 1000 - 10, exp: nowMs / 1000 + 10, eat_nonce: 'aa' };

function gpu(
  header: object,
  changes: {
    readonly part?: object;
    readonly measuredHash?: string;
    readonly bound?: boolean;
  } = {},
  isSigned = true,
): readonly Finding[] {
  const part = jwt(header, {
    ...gpuTimes,
    measres: 'success',
    secboot: true,
    dbgstat: 'disabled',
    ...changes.part,
  });
  const digest = createHash('sha256')
    .update(changes.bound === false ? 'x' : part)
    .digest('hex');
  const overall = jwt(header, {
    ...gpuTimes,
    'x-nvidia-overall-att-result': true,
    submods: { 'GPU-0': ['DIGEST', ['SHA256', digest]] },
  });
  const bytes = utf8(JSON.stringify([['JWT', overall], { 'GPU-0': part }]));
  const { measuredHash } = changes;
  return verifyGpuEvidence(bytes, {
    crypto: nodeCrypto,
    isSigned: () => isSigned,
    nowMs,
    ...(measuredHash === undefined ? {} : { measuredHash }),
  }).findings;
}

const edited =
  (change: Record<string, unknown>) =>
  (document: Record<string, unknown>): Record<string, unknown> => ({ ...document, ...change });

/** A TCB info level list with the status of the only level changed. */
function tcbStatus(status: string, advisoryIDs: readonly string[] = []): IntelCollateralSource {
  const editTcbInfo = (document: Record<string, unknown>): Record<string, unknown> => {
    const [level] = document['tcbLevels'] as readonly object[];
    return { ...document, tcbLevels: [{ ...level, tcbStatus: status, advisoryIDs }] };
  };
  return createCollateral(pki, { ...times, editTcbInfo });
}

function peerUnder(source: IntelCollateralSource): Verification {
  return verifyPeerCertificate(leafOf(), { ...peerContext(), ...contextOf({}, source) });
}

const flippedEnd = (hex: string): string => hex.slice(0, -1) + (hex.endsWith('0') ? '1' : '0');
const event = (name: string): RuntimeEvent => ({ name, payload: utf8('x'), version: 1 });
const unpinned: Partial<VerifierContext> = { anchors: vendorAnchors };
const foreignList = createCollateral(pki, times);
/** The list of the root in the place of the PCK list: signed, but by another authority. */
const wrongList = { pck_crl: foreignList.root_ca_crl };

const scenarios: Readonly<Record<FindingCode, () => readonly Finding[]>> = {
  malformed_evidence: () => verifyQuote(new Uint8Array(100)),
  unsupported_evidence: () => verifyQuote(forged(2)),
  malformed_certificate: () => peer(Uint8Array.of(0x30, 0)),
  malformed_token: () =>
    verifyGpuEvidence(utf8('{}'), { crypto: nodeCrypto, isSigned: () => true, nowMs }).findings,
  malformed_extension: () => peer(selfSigned({ 3: new Uint8Array(19) })),
  evidence_missing: () => peer(leafOf({ usageRaTls: false })),

  quote_signature_invalid: () => verifyQuote(forged(600)),
  qe_vendor_unknown: () => quote({ qeVendorId: new Uint8Array(16) }),
  qe_report_signature_invalid: () => verifyQuote(forged(at.qeSignature)),
  qe_report_binding_invalid: () => quote({ qeReportTail: new Uint8Array(32).fill(1) }),
  chain_missing: () => verifyReport(reportOf(), { certificates: [] }).findings,
  chain_broken: () => verifyReport(reportOf(), { certificates: brokenChain() }).findings,
  chain_profile_violated: () =>
    verifyReport(reportOf(), { certificates: certificatesOf({ issuer: 'VLEK' }) }).findings,
  root_not_pinned: () => peer(leafOf(), unpinned),
  report_signature_invalid: () => verifyReport(brokenReport()).findings,
  chip_id_mismatch: () => verifyReport(reportOf({ chipId: new Uint8Array(64) })).findings,
  chip_tcb_mismatch: () => verifyReport(reportOf({ reportedTcb: [9] })).findings,
  signing_key_mismatch: () => verifyReport(reportOf({ flags: 4 })).findings,
  document_signature_invalid: () =>
    verifyDocument(documentOf({ signature: new Uint8Array(96) })).findings,
  token_signature_invalid: () => gpu({ alg: 'ES384' }, {}, false),
  report_data_mismatch: () =>
    attestation(bootEvents(app), { wrapper: new Uint8Array(64) }).findings,
  event_digest_mismatch: () =>
    withEvents((log) => log.map((item) => ({ ...item, digest: new Uint8Array(48) }))),
  event_log_mismatch: () => withEvents((log) => log.slice(1)),
  config_binding_invalid: () =>
    attestation(bootEvents(app), { mrConfigId: new Uint8Array(48).fill(1) }).findings,

  token_unsigned: () => gpu({ alg: 'none' }),

  collateral_missing: () => peer(leafOf(), { intelCollateral: undefined }),
  collateral_malformed: () => collateral({}, { pck_crl: 'zz' }),
  collateral_chain_invalid: () =>
    collateral({}, { tcb_info_issuer_chain: foreignList.pck_crl_issuer_chain }),
  tcb_info_signature_invalid: () =>
    collateral({}, { tcb_info_signature: flippedEnd(foreignList.tcb_info_signature) }),
  qe_identity_signature_invalid: () =>
    collateral({}, { qe_identity: foreignList.qe_identity.replace('18', '19') }),
  crl_signature_invalid: () => collateral({}, { pck_crl: flippedEnd(foreignList.pck_crl) }),
  crl_issuer_mismatch: () => collateral({}, wrongList),
  fmspc_mismatch: () => collateral({ editTcbInfo: edited({ fmspc: '000000000000' }) }),
  pce_id_mismatch: () => collateral({ editTcbInfo: edited({ pceId: '0001' }) }),
  qe_identity_mismatch: () => collateral({ editQeIdentity: edited({ isvprodid: 1 }) }),
  tdx_module_mismatch: () => collateral({ editTcbInfo: edited({ tdxModuleIdentities: [] }) }),
  collateral_too_old: () => appraised(platformPolicy({ evaluationNumberMin: 19 })),

  certificate_revoked: () => collateral({ revokedByPlatformCa: [serial.pck] }),
  certificate_not_yet_valid: () => peer(leafOf({ notBeforeMs: nowMs + 1000 })),
  certificate_expired: () => peer(leafOf({ notAfterMs: nowMs - 1000 })),
  collateral_not_yet_valid: () => collateral({ issuedAtMs: nowMs + 1000 }),
  collateral_expired: () => collateral({ nextUpdateMs: nowMs - 1000 }),
  crl_not_yet_valid: () => collateral({ issuedAtMs: nowMs + 1000 }),
  crl_expired: () => collateral({ nextUpdateMs: nowMs - 1000 }),
  evidence_from_future: () => nitroAt(nowMs + dayMs),
  evidence_too_old: () => nitroAt(nowMs - dayMs),

  tcb_no_matching_level: () => quote({ teeTcbSvn: new Uint8Array(16) }),
  tcb_status_refused: () => appraised({}, peerUnder(tcbStatus('OutOfDate'))),
  tcb_advisory_refused: () =>
    appraised(
      platformPolicy({ tcb: [{ status: 'OutOfDate', advisories: [], untilMs: nowMs + 1 }] }),
      peerUnder(tcbStatus('OutOfDate', ['INTEL-SA-00001'])),
    ),
  tcb_revoked: () => appraised({}, peerUnder(tcbStatus('Revoked'))),
  tcb_below_minimum: () =>
    appraised(platformPolicy({ firmwareMin: { microcode: 214 } }), verifyReport(reportOf())),

  trailing_bytes: () =>
    verifyQuote(concatBytes(createTdQuote(pki, { reportData }), Uint8Array.of(1))),
  debug_enabled: () => quote({ tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) }),
  migration_allowed: () => quote({ tdAttributes: Uint8Array.of(0, 0, 0, 0x30, 0, 0, 0, 0) }),
  sept_ve_enabled: () => quote({ tdAttributes: new Uint8Array(8) }),
  reserved_bits_set: () => quote({ tdAttributes: Uint8Array.of(0, 0, 0, 0x10, 0, 0, 0, 0x80) }),
  seam_signer_foreign: () => quote({ mrSignerSeam: new Uint8Array(48).fill(1) }),
  service_td_present: () => quote({ version: 5, mrServiceTd: new Uint8Array(48).fill(1) }),
  vmpl_refused: () => verifyReport(reportOf({ vmpl: 2 })).findings,

  key_binding_invalid: () => peer(selfSigned({ 8: simulator.attestation(reportData) })),
  report_data_unexpected: () => appraisedForChallenge(),
  platform_not_allowed: () => appraised(platformPolicy({ platforms: ['nitro'] })),
  image_not_allowed: () => appraised({ images: [] }),
  app_unknown: () => appraised({}, verifyReport(reportOf())),
  app_not_allowed: () => appraised({ apps: [] }),
  compose_not_allowed: () => appraised({ apps: [{ appId: app.appId, composeHashes: [] }] }),
  instance_not_allowed: () =>
    appraised({
      apps: [{ appId: app.appId, composeHashes: [app.composeHash], instanceIds: [] }],
    }),
  device_not_allowed: () => appraised({ devices: [] }),
  key_provider_not_allowed: () => appraised({ keyProviders: [] }),
  certificate_claim_mismatch: () => peer(selfSigned({ 3: new Uint8Array(20) })),
  certificate_use_refused: () => peer(leafOf({ usageServerAuth: false })),
  special_usage_refused: () => peer(selfSigned({ 4: utf8('kms:rpc') })),
  target_app_mismatch: () => target({ appId: '00'.repeat(20) }),
  target_instance_mismatch: () => target({ instanceId: '00'.repeat(20) }),
  boot_events_invalid: () => attestation([event('app-id'), event('app-id')]).findings,
  gpu_evidence_unbound: () => gpu({ alg: 'none' }, { measuredHash: '00'.repeat(32) }),
};

function brokenChain(): Uint8Array[] {
  const [leaf, ...issuers] = certificatesOf();
  const broken = (leaf ?? new Uint8Array()).slice();
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  return [broken, ...issuers];
}

function brokenReport(): Uint8Array {
  const report = reportOf();
  report[0x90] = 0;
  return report;
}

function nitroAt(timestamp: number): readonly Finding[] {
  return appraised({}, verifyDocument(documentOf({ fields: { timestamp } })));
}

function appraisedForChallenge(): readonly Finding[] {
  const verified = verifyPeerCertificate(leafOf(), peerContext());
  return appraise(verified, policy, nowMs, { reportData: new Uint8Array(64) }).refusals;
}

function target(asked: Parameters<typeof targetRefusals>[1]): readonly Finding[] {
  const verdict = appraisePeer(leafOf(), { context: peerContext(), policy });
  expect(verdict.accepted).toBe(true);
  return targetRefusals(verdict, asked);
}

describe('every finding code is given for the evidence that deserves it', () => {
  test.each(Object.entries(scenarios))('%s', (code, produce) => {
    expect(produce().map((finding) => finding.code)).toContain(code);
  });
});

test('what the simulator makes is accepted under the policy that names it', () => {
  const verdict = appraisePeer(leafOf(), { context: peerContext(), policy });
  expect(verdict).toMatchObject({
    accepted: true,
    refusals: [],
    image: 'simulated',
    appId: app.appId,
    tcbStatus: 'UpToDate',
  });
  expect(peer(selfSigned())).toEqual([]);
});

test('the GPU token is accepted when signed, or when the measured boot accepted these very bytes', () => {
  expect(gpu({ alg: 'ES384' })).toEqual([]);
  expect(gpu({ alg: 'ES384' }, { bound: false }).map(({ code }) => code)).toEqual([
    'report_data_mismatch',
  ]);
  expect(gpu({ alg: 'ES256' }).map(({ code }) => code)).toContain('token_signature_invalid');
  expect(gpu({ alg: 'ES384' }, { part: { dbgstat: 'enabled' } }).map(({ code }) => code)).toEqual([
    'debug_enabled',
  ]);
});

test('every sentence says something of its own', () => {
  const sentences = Object.values(findingTable).map(([, sentence]) => sentence);
  expect(new Set(sentences).size).toBe(sentences.length);
  for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z].*\.$/);
  expect(explain({ code: 'app_unknown', detail: '' })).toBe('The evidence names no app.');
  expect(explain({ code: 'app_not_allowed', detail: 'ab' })).toBe(
    'The policy does not accept this app. (ab)',
  );
});
