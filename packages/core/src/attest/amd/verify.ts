import { equalBytes, toHex } from '../../base/bytes.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { unreadable, verification } from '../claims.ts';
import type { Claims, Verification } from '../claims.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import {
  intersection,
  listProblem,
  listWindowFindings,
  orderChain,
  parseRevocationList,
  parseVendorBundle,
  verifyChain,
  windowFindings,
  windowOf,
} from '../vendor/index.ts';
import type { RevocationList, RootPins, VendorCertificate } from '../vendor/index.ts';
import { isCertificate, readCertificateTable } from './certificate-table.ts';
import { readChipExtensions } from './chip.ts';
import type { ChipExtensions } from './chip.ts';
import { parseSnpReport, snpEcdsaP384 } from './report.ts';
import type { SnpReport } from './report.ts';

export interface SnpContext {
  readonly crypto: CryptoPort;
  readonly pins: RootPins;
  /** The chip's certificate and its issuers, in any order: DER, PEM, or the host's certificate table. */
  readonly certificates: readonly Uint8Array[];
  /** DER of AMD's revocation list for the product, signed by its ARK. */
  readonly revocationList?: Uint8Array;
  readonly nowMs: number;
}

/** Policy bits that a guest may have set without a finding: SMT, single socket, and the hardening bits. */
const policyBit = { reservedOne: 17n, migrate: 18n, debug: 19n } as const;
/** Bits 0 to 25 have a meaning (publication 56860, GUEST_POLICY); above is reserved. */
const policyBitsKnown = (1n << 26n) - 1n;

/** Verifies an SEV-SNP report against the chip's certificate and AMD's chain. */
export function verifySnpReport(bytes: Uint8Array, context: SnpContext): Verification {
  const report = parseSnpReport(bytes);
  if (!report.ok) {
    return unreadable(
      finding('malformed_evidence', `${report.error.what} at ${report.error.offset}`),
    );
  }
  const chip = readChip(context);
  const findings = chip.ok
    ? [
        ...signatureFindings(report.value, chip.value, context.crypto),
        ...windowFindings(chip.value.chain, context.nowMs),
        ...listFindings(chip.value.chain, context),
      ]
    : [chip.error];
  findings.push(...posture(report.value));
  return verification(
    findings,
    claimsOf(report.value, chip.ok ? chip.value : undefined, context.crypto),
  );
}

interface Chip {
  readonly chain: readonly VendorCertificate[];
  readonly key: VendorCertificate;
  readonly extensions: ChipExtensions;
}

function readChip(context: SnpContext): Result<Chip, Finding> {
  const certificates: VendorCertificate[] = [];
  for (const bytes of context.certificates) {
    const blobs = isCertificate(bytes) ? ok([bytes]) : readCertificateTable(bytes);
    if (!blobs.ok) return err(finding('malformed_certificate', blobs.error.what));
    for (const blob of blobs.value) {
      const bundle = parseVendorBundle(blob);
      if (!bundle.ok) return err(finding('malformed_certificate', bundle.error.what));
      certificates.push(...bundle.value);
    }
  }
  const leaves = distinct(certificates.filter(isEndorsement));
  const [key] = leaves;
  if (key === undefined || leaves.length > 1) {
    return err(finding('chain_missing', `${leaves.length} endorsement certificates`));
  }
  const extensions = readChipExtensions(key);
  if (!extensions.ok) return err(finding('malformed_certificate', extensions.error.what));
  const chain = orderChain(key, certificates, context.crypto);
  const proof = verifyChain(chain, context);
  if (!proof.ok) return proof;
  const profile = profileProblem(key, chain, extensions.value);
  return profile === undefined
    ? ok({ chain, key, extensions: extensions.value })
    : err(finding('chain_profile_violated', profile));
}

function isEndorsement({ commonName }: VendorCertificate): boolean {
  return commonName === 'SEV-VCEK' || commonName === 'SEV-VLEK';
}

/** The same certificate may come with the report and out of a cache. */
function distinct(certificates: readonly VendorCertificate[]): VendorCertificate[] {
  const byBytes = new Map(certificates.map((certificate) => [toHex(certificate.der), certificate]));
  return [...byBytes.values()];
}

/** AMD has one chain for chip keys and one for keys loaded by a cloud; each has its own intermediate. */
function profileProblem(
  key: VendorCertificate,
  chain: readonly VendorCertificate[],
  { kind }: ChipExtensions,
): string | undefined {
  if (key.commonName !== `SEV-${kind}`) return `${key.commonName} with extensions of a ${kind}`;
  if (key.isCa || key.key !== 'P-384') return 'endorsement key is not a P-384 leaf';
  if (chain.length !== 3) return `${chain.length} certificates, not 3`;
  const isLoadedChain = chain[1]?.commonName.startsWith('SEV-VLEK-') === true;
  return isLoadedChain === (kind === 'VLEK') ? undefined : `${kind} from the other intermediate`;
}

function signatureFindings(
  report: SnpReport,
  { key, extensions }: Chip,
  crypto: CryptoPort,
): Finding[] {
  if (report.signatureAlgorithm !== snpEcdsaP384) {
    return [finding('unsupported_evidence', `signature algorithm ${report.signatureAlgorithm}`)];
  }
  const findings: Finding[] = [];
  const isSigned = crypto.verifyEcdsa({
    curve: 'P-384',
    hash: 'sha384',
    spki: key.spki,
    message: report.signed,
    signature: report.signature,
    encoding: 'p1363',
  });
  if (!isSigned) findings.push(finding('report_signature_invalid', ''));
  if (report.signingKey !== extensions.kind) {
    findings.push(finding('signing_key_mismatch', `${report.signingKey}, ${extensions.kind}`));
  }
  if (extensions.hardwareId !== undefined && !isChip(report.chipId, extensions.hardwareId)) {
    findings.push(finding('chip_id_mismatch', toHex(report.chipId)));
  }
  if (extensions.tcb.some((version, index) => report.reportedTcb[index] !== version)) {
    findings.push(finding('chip_tcb_mismatch', toHex(report.reportedTcb)));
  }
  return findings;
}

/** Turin's hardware id has 8 bytes; the report pads it with zeros. Earlier products use all 64. */
function isChip(chipId: Uint8Array, hardwareId: Uint8Array): boolean {
  const { length } = hardwareId;
  const rest = chipId.subarray(length);
  return equalBytes(chipId.subarray(0, length), hardwareId) && rest.every((byte) => byte === 0);
}

function listFindings(
  chain: readonly VendorCertificate[],
  { revocationList, crypto, nowMs }: SnpContext,
): Finding[] {
  const root = chain.at(-1);
  if (revocationList === undefined || root === undefined) return [];
  const list = parseRevocationList(revocationList);
  if (!list.ok) return [finding('collateral_malformed', `revocation list: ${list.error.what}`)];
  const problem = listProblem(list.value, root, crypto);
  if (problem !== undefined) return [problem];
  return [
    ...listWindowFindings(list.value, nowMs, root.commonName),
    ...revokedFindings(chain, list.value),
  ];
}

/** The ARK's list names intermediates by serial number; chip certificates all have the number zero. */
function revokedFindings(
  chain: readonly VendorCertificate[],
  { revoked }: RevocationList,
): Finding[] {
  return chain
    .filter(({ isCa, serial }) => isCa && revoked.has(serial))
    .map(({ commonName }) => finding('certificate_revoked', commonName));
}

function posture(report: SnpReport): Finding[] {
  const findings: Finding[] = [];
  const { policy } = report;
  const isSet = (bit: bigint): boolean => ((policy >> bit) & 1n) === 1n;
  if (isSet(policyBit.debug)) findings.push(finding('debug_enabled', 'SNP policy bit 19'));
  if (isSet(policyBit.migrate)) findings.push(finding('migration_allowed', 'SNP policy bit 18'));
  if (report.vmpl !== 0) findings.push(finding('vmpl_refused', `VMPL ${report.vmpl}`));
  if (!isSet(policyBit.reservedOne) || (policy & ~policyBitsKnown) !== 0n) {
    findings.push(finding('reserved_bits_set', `policy 0x${policy.toString(16)}`));
  }
  if (!report.trailing.every((byte) => byte === 0)) {
    findings.push(finding('trailing_bytes', `${report.trailing.length} bytes, not all zero`));
  }
  if (report.hasReservedBits) findings.push(finding('reserved_bits_set', 'reserved fields'));
  return findings;
}

function claimsOf(report: SnpReport, chip: Chip | undefined, crypto: CryptoPort): Claims {
  return {
    platform: 'sev-snp',
    reportData: report.reportData,
    debug: ((report.policy >> policyBit.debug) & 1n) === 1n,
    measurements: {
      measurement: toHex(report.measurement),
      hostdata: toHex(report.hostData),
      idkeydigest: toHex(report.idKeyDigest),
      authorkeydigest: toHex(report.authorKeyDigest),
      reportid: toHex(report.reportId),
    },
    tcb: undefined,
    firmware: chip?.extensions.firmware,
    deviceId: toHex(crypto.sha256(report.chipId)),
    workload: undefined,
    issuedAtMs: undefined,
    window: chip === undefined ? intersection([]) : windowOf(chip.chain),
  };
}
