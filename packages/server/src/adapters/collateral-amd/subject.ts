import { err, ok, toHex } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { finding, parseSnpReport } from '@postern/core/attest';
import type { Finding } from '@postern/core/attest';

export const amdProducts = ['Milan', 'Genoa', 'Turin'] as const;
export type AmdProduct = (typeof amdProducts)[number];

/** What a report needs from AMD. */
export interface AmdSubject {
  readonly product: AmdProduct;
  readonly key: 'vcek' | 'vlek';
  /** The chip at a patch level; undefined for cloud keys, whose certificate only the cloud has. */
  readonly chip: { readonly id: string; readonly tcb: string; readonly query: string } | undefined;
}

/** CPUID family and model in reports since version 3 (publication 56860, ATTESTATION_REPORT). */
const familyOffset = 0x188;
const modelOffset = 0x189;
const turinIdBytes = 8;
/** Byte of TCB_VERSION by parameter of the service (publication 57230); the layout changed with Turin. */
const milanLevels = [
  ['blSPL', 0],
  ['teeSPL', 1],
  ['snpSPL', 6],
  ['ucodeSPL', 7],
] as const;
const turinLevels = [
  ['fmcSPL', 0],
  ['blSPL', 1],
  ['teeSPL', 2],
  ['snpSPL', 3],
  ['ucodeSPL', 7],
] as const;

/** What a report may need, likeliest first: reports of version 2 do not name their product. Nothing is believed. */
export function amdSubjects(bytes: Uint8Array): Result<readonly AmdSubject[], Finding> {
  const report = parseSnpReport(bytes);
  if (!report.ok) return err(finding('malformed_evidence', report.error.what));
  const { version, signed, signingKey, chipId, reportedTcb } = report.value;
  const products = version < 3 ? earlyProducts : productsOf(signed);
  if (products.length === 0) return err(finding('unsupported_evidence', 'unknown AMD product'));
  if (signingKey === 'none') return err(finding('chain_missing', 'the report is not signed'));
  if (signingKey === 'VLEK') {
    return ok(products.map((product) => ({ product, key: 'vlek', chip: undefined })));
  }
  if (chipId.every((byte) => byte === 0)) {
    return err(finding('chain_missing', 'the host hides the chip id'));
  }
  return ok(
    products.map((product) => {
      const isTurin = product === 'Turin';
      const query = (isTurin ? turinLevels : milanLevels)
        .map(([name, index]) => `${name}=${reportedTcb[index] ?? 0}`)
        .join('&');
      const id = toHex(isTurin ? chipId.subarray(0, turinIdBytes) : chipId);
      return { product, key: 'vcek', chip: { id, tcb: toHex(reportedTcb), query } };
    }),
  );
}

/** Turin's firmware has never written version 2. */
const earlyProducts: readonly AmdProduct[] = ['Milan', 'Genoa'];

function productsOf(signed: Uint8Array): readonly AmdProduct[] {
  const model = signed[modelOffset] ?? 0;
  switch (signed[familyOffset] ?? 0) {
    case 0x19:
      if (model <= 0x0f) return ['Milan'];
      return model <= 0x1f || (model >= 0xa0 && model <= 0xaf) ? ['Genoa'] : [];
    case 0x1a:
      return model <= 0x1f ? ['Turin'] : [];
    default:
      return [];
  }
}
