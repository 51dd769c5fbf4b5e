/** Every reader of hostile bytes in `core/attest`, with one input that it accepts. */
import { utf8 } from '@postern/core/base';
import {
  openCollateral,
  parseCollateral,
  strictPlatformPolicy,
  appraisePlatform,
  verifyAzureToken,
  verifyDstackAttestation,
  verifyGpuEvidence,
  verifyIntelQuote,
  verifyPeerCertificate,
  verifyQuoteAnswer,
} from '@postern/core/attest';
import type { Verification } from '@postern/core/attest';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { documentOf, verifyDocument } from './nitro-pki.ts';
import { anchors, contextOf, leafOf, nowMs, peerContext, simulator } from './simulated.ts';
import { certificatesOf, reportOf, verifyReport } from './snp-pki.ts';

export interface Target {
  readonly name: string;
  readonly input: Uint8Array;
  readonly verify: (bytes: Uint8Array) => Verification;
}

const reportData = new Uint8Array(64).fill(0x42);
const { quote, eventLog } = simulator.quote(reportData);
const context = contextOf();
const peers = peerContext();
const certificates = certificatesOf();
const answer = {
  quote: Buffer.from(quote).toString('hex'),
  event_log: eventLog,
  report_data: Buffer.from(reportData).toString('hex'),
  vm_config: '{}',
};
const pins = { crypto: nodeCrypto, pins: anchors.intel };
const source = simulator.collateral();

function underCollateral(text: Uint8Array): Verification {
  const parsed = parseCollateral(text);
  const collateral = parsed.ok ? openCollateral(parsed.value, pins) : parsed;
  return verifyIntelQuote(quote, { ...pins, collateral, nowMs });
}

export const targets: readonly Target[] = [
  {
    name: 'quote',
    input: quote,
    verify: (bytes) =>
      verifyIntelQuote(bytes, { ...pins, collateral: context.intelCollateral, nowMs }),
  },
  {
    name: 'SCALE attestation',
    input: simulator.attestation(reportData, 'scale'),
    verify: (bytes) => verifyDstackAttestation(bytes, context),
  },
  {
    name: 'MessagePack attestation',
    input: simulator.attestation(reportData, 'msgpack'),
    verify: (bytes) => verifyDstackAttestation(bytes, context),
  },
  {
    name: 'quote answer',
    input: utf8(JSON.stringify(answer)),
    verify: (bytes) => verifyQuoteAnswer(bytes, context),
  },
  {
    name: 'peer certificate',
    input: leafOf(),
    verify: (bytes) => verifyPeerCertificate(bytes, peers),
  },
  {
    name: 'SNP report',
    input: reportOf(),
    verify: (bytes) => verifyReport(bytes, { certificates }),
  },
  {
    name: 'SNP certificate',
    input: certificates[0] ?? new Uint8Array(),
    verify: (bytes) =>
      verifyReport(reportOf(), { certificates: [bytes, ...certificates.slice(1)] }),
  },
  { name: 'Nitro document', input: documentOf(), verify: (bytes) => verifyDocument(bytes) },
  { name: 'collateral', input: utf8(JSON.stringify(source)), verify: underCollateral },
  {
    name: 'GPU tokens',
    input: utf8('[["JWT","eyJhbGciOiJub25lIn0.e30.AA"],{"GPU-0":"eyJhbGciOiJub25lIn0.e30.AA"}]'),
    verify: (bytes) =>
      verifyGpuEvidence(bytes, { crypto: nodeCrypto, isSigned: () => false, nowMs }),
  },
  {
    name: 'Azure token',
    input: utf8('eyJhbGciOiJSUzI1NiJ9.e30.AA'),
    verify: (bytes) =>
      verifyAzureToken(bytes, { isSigned: () => false, issuers: new Set(), nowMs }),
  },
];

/** True where nothing at all speaks against the evidence. */
export function isAccepted(outcome: Verification): boolean {
  return appraisePlatform(outcome, strictPlatformPolicy, nowMs).refusals.length === 0;
}

/**
 * What acceptance would prove: if this is the same, a change did not matter. The window is left out: the validity
 * of a peer's certificate is its holder's own word, as evidence binds the key and nothing else of it.
 */
export function proven({ claims }: Verification): string {
  const reportData = [...(claims?.reportData ?? [])];
  return JSON.stringify({ ...claims, reportData, window: undefined });
}
