import { toHex } from '../../base/bytes.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { IntelQuote, SgxBody, TdBody } from './quote.ts';

/** Bits of TDATTRIBUTES with a known meaning (Intel TDX module specification, TD_PARAMS). */
const td = {
  debug: 1n << 0n,
  septVeDisable: 1n << 28n,
  migratable: 1n << 29n,
  protectionKeys: 1n << 30n,
  keyLocker: 1n << 31n,
} as const;

/**
 * Bits that may be set without a finding. Every other one is refused: reserved bits, and those that newer
 * modules name and that let the host look on (63, performance monitoring, among them).
 */
const harmless = td.septVeDisable | td.protectionKeys | td.keyLocker;
const judgedByName = harmless | td.debug | td.migratable;

/** Settings that void protection, and bytes that should not be there. */
export function intelPosture(quote: IntelQuote): Finding[] {
  const findings = quote.body.kind === 'tdx' ? tdPosture(quote.body) : sgxPosture(quote.body);
  if (quote.trailing.some((bytes) => bytes.some((byte) => byte !== 0))) {
    const count = quote.trailing[0].length + quote.trailing[1].length;
    findings.push(finding('trailing_bytes', `${count} bytes, not all zero`));
  }
  return findings;
}

function sgxPosture(body: SgxBody): Finding[] {
  const isDebug = ((body.attributes[0] ?? 0) & 0x02) !== 0;
  return isDebug ? [finding('debug_enabled', 'SGX attribute DEBUG')] : [];
}

function tdPosture(body: TdBody): Finding[] {
  const findings: Finding[] = [];
  const bits = littleEndian(body.tdAttributes);
  if ((bits & td.debug) !== 0n) findings.push(finding('debug_enabled', 'TD attribute DEBUG'));
  if ((bits & td.migratable) !== 0n) {
    findings.push(finding('migration_allowed', 'TD attribute MIGRATABLE'));
  }
  if ((bits & td.septVeDisable) === 0n) findings.push(finding('sept_ve_enabled', ''));
  const others = bits & ~judgedByName;
  if (others !== 0n) {
    findings.push(finding('reserved_bits_set', `TD attributes ${toHex(body.tdAttributes)}`));
  }
  if (!isZero(body.seamAttributes)) {
    findings.push(finding('reserved_bits_set', `SEAM attributes ${toHex(body.seamAttributes)}`));
  }
  if (!isZero(body.mrSignerSeam)) {
    findings.push(finding('seam_signer_foreign', toHex(body.mrSignerSeam)));
  }
  if (body.mrServiceTd !== undefined && !isZero(body.mrServiceTd)) {
    findings.push(finding('service_td_present', toHex(body.mrServiceTd)));
  }
  return findings;
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
