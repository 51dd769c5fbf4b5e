import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { ChainContext } from '../vendor/index.ts';
import type { IntelCollateral } from './collateral.ts';
import { readPckChain } from './pck-chain.ts';
import { parseIntelQuote } from './quote.ts';

/** What Intel publishes collateral about: one processor family, for one kind of enclave, under one of its CAs. */
export interface CollateralSubject {
  readonly tee: 'sgx' | 'tdx';
  /** Six bytes, lower-case hex. */
  readonly fmspc: string;
  readonly ca: 'platform' | 'processor';
}

const authorities: ReadonlyMap<string, CollateralSubject['ca']> = new Map([
  ['Intel SGX PCK Platform CA', 'platform'],
  ['Intel SGX PCK Processor CA', 'processor'],
]);

/**
 * Which collateral a quote needs. The platform's certificate is proven first: a stranger cannot make a cache ask for
 * families that do not exist.
 */
export function collateralSubject(
  bytes: Uint8Array,
  context: ChainContext & { readonly pckChain?: Uint8Array },
): Result<CollateralSubject, Finding> {
  const quote = parseIntelQuote(bytes);
  if (!quote.ok) {
    const { what, offset } = quote.error;
    return err(finding('malformed_evidence', `${what} at ${offset}`));
  }
  const pem = quote.value.pckChain ?? context.pckChain;
  if (pem === undefined) return err(finding('chain_missing', 'no PCK chain in the quote'));
  const chain = readPckChain(pem, context);
  if (!chain.ok) return chain;
  const { issuer, extension } = chain.value;
  return subject(quote.value.body.kind, extension.fmspc, issuer.commonName);
}

/** What opened collateral is about. */
export function subjectOfCollateral({
  tcbInfo,
  pckListIssuer,
}: IntelCollateral): Result<CollateralSubject, Finding> {
  const tee = tcbInfo.kind === 'TDX' ? 'tdx' : 'sgx';
  return subject(tee, tcbInfo.fmspc, pckListIssuer.commonName);
}

function subject(
  tee: CollateralSubject['tee'],
  fmspc: string,
  issuer: string,
): Result<CollateralSubject, Finding> {
  const ca = authorities.get(issuer);
  if (ca === undefined) {
    return err(finding('chain_profile_violated', `${issuer} issues no platform certificates`));
  }
  if (!/^[0-9a-f]{12}$/.test(fmspc)) return err(finding('fmspc_mismatch', 'not six bytes'));
  return ok({ tee, fmspc, ca });
}
