import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { parseVendorBundle, verifyChain } from '../vendor/index.ts';
import type { ChainContext, VendorCertificate } from '../vendor/index.ts';
import { readPckExtension } from './pck.ts';
import type { PckExtension } from './pck.ts';

/** The platform key's certificate with its issuers, proven to the pinned root, and what it says. */
export interface PckChain {
  readonly certificates: readonly VendorCertificate[];
  readonly pck: VendorCertificate;
  readonly issuer: VendorCertificate;
  readonly extension: PckExtension;
}

const pckName = 'Intel SGX PCK Certificate';

/** Reads and proves a PCK chain of PEM, leaf first. Time and revocation are not looked at. */
export function readPckChain(pem: Uint8Array, context: ChainContext): Result<PckChain, Finding> {
  const bundle = parseVendorBundle(pem);
  if (!bundle.ok) return err(finding('malformed_certificate', bundle.error.what));
  const [pck, issuer, root] = bundle.value;
  if (pck === undefined || issuer === undefined || root === undefined || bundle.value.length > 3) {
    return err(finding('chain_broken', `${bundle.value.length} certificates, not 3`));
  }
  const proof = verifyChain(bundle.value, context);
  if (!proof.ok) return proof;
  // The TCB signer has the same root and a chain of its own; only a platform key may vouch for a QE.
  if (pck.commonName !== pckName || pck.isCa || pck.key !== 'P-256') {
    return err(finding('chain_profile_violated', `${pck.commonName} is not a PCK certificate`));
  }
  const extension = readPckExtension(pck);
  if (!extension.ok) return extension;
  return ok({ certificates: bundle.value, pck, issuer, extension: extension.value });
}
