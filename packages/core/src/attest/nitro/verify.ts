import { writeCbor } from '../../base/cbor/index.ts';
import { toHex, utf8 } from '../../base/bytes.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { unreadable, verification } from '../claims.ts';
import type { Claims, Verification } from '../claims.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import {
  intersection,
  parseVendorCertificate,
  verifyChain,
  windowFindings,
  windowOf,
} from '../vendor/index.ts';
import type { RootPins, VendorCertificate } from '../vendor/index.ts';
import { parseNitroDocument } from './document.ts';
import type { NitroDocument } from './document.ts';

export interface NitroContext {
  readonly crypto: CryptoPort;
  readonly pins: RootPins;
  readonly nowMs: number;
}

/** Verifies an attestation document of the Nitro Security Module. Its age is a matter of policy. */
export function verifyNitroDocument(bytes: Uint8Array, context: NitroContext): Verification {
  const document = parseNitroDocument(bytes);
  if (!document.ok) {
    const { what, offset } = document.error;
    return unreadable(finding('malformed_evidence', `${what} at ${offset}`));
  }
  const chain = readChain(document.value, context);
  const findings = chain.ok
    ? [
        ...signatureFindings(document.value, chain.value, context.crypto),
        ...windowFindings(chain.value, context.nowMs),
      ]
    : [chain.error];
  const isDebug = isDebugEnclave(document.value);
  if (isDebug) findings.push(finding('debug_enabled', 'PCR0, PCR1 and PCR2 are zero'));
  return verification(
    findings,
    claimsOf(document.value, chain.ok ? chain.value : [], context.crypto),
  );
}

/** The chain, leaf first. The bundle's own root comes last and must be the pinned one. */
function readChain(
  document: NitroDocument,
  context: NitroContext,
): Result<readonly VendorCertificate[], Finding> {
  const chain: VendorCertificate[] = [];
  for (const der of [document.certificate, ...document.caBundle.toReversed()]) {
    const certificate = parseVendorCertificate(der);
    if (!certificate.ok) return err(finding('malformed_certificate', certificate.error.what));
    chain.push(certificate.value);
  }
  const proof = verifyChain(chain, context);
  if (!proof.ok) return proof;
  const [leaf] = chain;
  return leaf === undefined || leaf.isCa || leaf.key !== 'P-384'
    ? err(finding('chain_profile_violated', 'the leaf is not a P-384 end certificate'))
    : ok(chain);
}

function signatureFindings(
  { protectedHeader, payload, signature }: NitroDocument,
  [leaf]: readonly VendorCertificate[],
  crypto: CryptoPort,
): Finding[] {
  // Sig_structure of RFC 9052 section 4.4, without external data.
  const message = writeCbor(['Signature1', protectedHeader, new Uint8Array(), payload]);
  const isSigned =
    leaf !== undefined &&
    crypto.verifyEcdsa({
      curve: 'P-384',
      hash: 'sha384',
      spki: leaf.spki,
      message,
      signature,
      encoding: 'p1363',
    });
  return isSigned ? [] : [finding('document_signature_invalid', '')];
}

/** An enclave in debug mode has zero in the registers that measure its image, kernel and application. */
function isDebugEnclave({ pcrs }: NitroDocument): boolean {
  return [0, 1, 2].every((index) => pcrs.get(index)?.every((byte) => byte === 0) === true);
}

function claimsOf(
  document: NitroDocument,
  chain: readonly VendorCertificate[],
  crypto: CryptoPort,
): Claims {
  // `i-…-enc…` names the enclave; what stands before names the machine.
  const [instance = ''] = document.moduleId.split('-enc');
  const measurements: Record<string, string> = {};
  for (const [index, value] of document.pcrs) measurements[`pcr${index}`] = toHex(value);
  return {
    platform: 'nitro',
    reportData: document.userData ?? new Uint8Array(),
    debug: isDebugEnclave(document),
    measurements,
    tcb: undefined,
    firmware: undefined,
    deviceId: toHex(crypto.sha256(utf8(instance))),
    workload: undefined,
    issuedAtMs: document.timestampMs,
    window: chain.length === 0 ? intersection([]) : windowOf(chain),
  };
}
