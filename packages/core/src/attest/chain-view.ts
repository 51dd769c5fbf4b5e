import { toHex } from '../base/bytes.ts';
import { isCertificate, readCertificateTable } from './amd/certificate-table.ts';
import type { EvidenceContext, EvidenceKind } from './evidence.ts';
import { hardwareEvidence } from './evidence.ts';
import { parseIntelQuote } from './intel/index.ts';
import { parseNitroDocument } from './nitro/index.ts';
import { orderChain, parseVendorBundle } from './vendor/index.ts';
import type { VendorCertificate } from './vendor/index.ts';

/** One certificate of the chain behind evidence, for people to read. */
export interface ChainLink {
  readonly name: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the certificate, hex. */
  readonly hash: string;
}

/** The chain that evidence comes with, leaf first, as it claims to be. Only verification proves it. */
export function evidenceChain(
  kind: EvidenceKind,
  bytes: Uint8Array,
  context: EvidenceContext,
): readonly ChainLink[] {
  const {
    intelQuote,
    snpReport,
    nitroDocument,
    certificates = [],
  } = hardwareEvidence(kind, bytes, context);
  let chain: readonly VendorCertificate[] = [];
  if (intelQuote !== undefined) chain = intelChain(intelQuote, context);
  else if (snpReport !== undefined) {
    chain = amdChain([...certificates, ...context.amdCertificates], context);
  } else if (nitroDocument !== undefined) chain = nitroChain(nitroDocument);
  return chain.map(({ commonName, notBeforeMs, notAfterMs, der }) => ({
    name: commonName,
    notBeforeMs,
    notAfterMs,
    hash: toHex(context.crypto.sha256(der)),
  }));
}

function intelChain(bytes: Uint8Array, context: EvidenceContext): readonly VendorCertificate[] {
  const quote = parseIntelQuote(bytes);
  const pem = (quote.ok ? quote.value.pckChain : undefined) ?? context.pckChain;
  return pem === undefined ? [] : certificatesIn(pem);
}

function amdChain(
  sources: readonly Uint8Array[],
  { crypto }: EvidenceContext,
): readonly VendorCertificate[] {
  const certificates = sources.flatMap((source) => {
    if (isCertificate(source)) return certificatesIn(source);
    const table = readCertificateTable(source);
    return table.ok ? table.value.flatMap(certificatesIn) : [];
  });
  const leaf = certificates.find(({ commonName }) => /^SEV-V[CL]EK$/.test(commonName));
  return leaf === undefined ? [] : orderChain(leaf, certificates, crypto);
}

function nitroChain(bytes: Uint8Array): readonly VendorCertificate[] {
  const document = parseNitroDocument(bytes);
  if (!document.ok) return [];
  return [document.value.certificate, ...document.value.caBundle.toReversed()].flatMap(
    certificatesIn,
  );
}

function certificatesIn(bytes: Uint8Array): readonly VendorCertificate[] {
  const bundle = parseVendorBundle(bytes);
  return bundle.ok ? bundle.value : [];
}
