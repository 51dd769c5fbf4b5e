import { readJson } from '../../base/json/index.ts';
import type { JsonLimits } from '../../base/json/index.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** Intel's answers about one processor family, in the JSON form that DCAP verifiers exchange. */
export interface IntelCollateralSource {
  /** PEM: the CA of the PCK list, then the root. */
  readonly pck_crl_issuer_chain: string;
  /** Hex of DER. */
  readonly root_ca_crl: string;
  readonly pck_crl: string;
  /** PEM: the TCB signer, then the root. */
  readonly tcb_info_issuer_chain: string;
  /** The exact text that Intel signed. */
  readonly tcb_info: string;
  /** Hex of r then s. */
  readonly tcb_info_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
  /** PEM of the PCK chain, for quotes that name their platform key without it. */
  readonly pck_certificate_chain?: string;
}

/** The largest member is a revocation list of 4 MiB in hex. */
const sourceLimits: JsonLimits = {
  bytesMax: 16 << 20,
  depthMax: 2,
  keysPerObjectMax: 32,
  valuesMax: 64,
  stringBytesMax: 9 << 20,
  numberCharsMax: 24,
  duplicateKeys: 'refuse',
};

/** Reads a collateral file or answer. Members that nobody asks for are ignored. */
export function parseCollateral(bytes: Uint8Array): Result<IntelCollateralSource, Finding> {
  const json = readJson(bytes, sourceLimits);
  if (!json.ok) return err(finding('collateral_malformed', json.error.message));
  const members = typeof json.value === 'object' && json.value !== null ? json.value : {};
  const missing: string[] = [];
  const text = (name: string): string => {
    const value: unknown = Object.hasOwn(members, name) ? Reflect.get(members, name) : undefined;
    if (typeof value === 'string') return value;
    missing.push(name);
    return '';
  };
  const source = {
    pck_crl_issuer_chain: text('pck_crl_issuer_chain'),
    root_ca_crl: text('root_ca_crl'),
    pck_crl: text('pck_crl'),
    tcb_info_issuer_chain: text('tcb_info_issuer_chain'),
    tcb_info: text('tcb_info'),
    tcb_info_signature: text('tcb_info_signature'),
    qe_identity_issuer_chain: text('qe_identity_issuer_chain'),
    qe_identity: text('qe_identity'),
    qe_identity_signature: text('qe_identity_signature'),
  };
  if (missing.length > 0) return err(finding('collateral_malformed', `no ${missing.join(', ')}`));
  const chain: unknown = Reflect.get(members, 'pck_certificate_chain');
  return ok(typeof chain === 'string' ? { ...source, pck_certificate_chain: chain } : source);
}
