import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { finding, verifySnpReport } from '@postern/core/attest';
import type { CryptoPort, Finding, RootPins, Window } from '@postern/core/attest';
import {
  listProblem,
  parseRevocationList,
  parseVendorBundle,
  verifyChain,
  windowOf,
} from '@postern/core/attest/vendor';
import type { VendorCertificate } from '@postern/core/attest/vendor';
import type { AmdProduct, AmdSubject } from './subject.ts';

export interface Anchors {
  readonly crypto: CryptoPort;
  readonly pins: RootPins;
}

/** One file: what it is called here, where AMD has it, and how it is proved to be AMD's. */
export interface Item {
  readonly name: string;
  readonly path: string;
  readonly bytesMax: number;
  /** Proves that it is authentic and what it should be; gives its window and does not compare it with a clock. */
  open(bytes: Uint8Array): Result<Window, Finding>;
}

/** Two certificates of 4096-bit keys in PEM are 5 kB, AMD's lists are 1 kB, a chip's certificate 1.4 kB. */
const chainBytesMax = 65_536;
const listBytesMax = 4 << 20;
const certificateBytesMax = 16_384;

/** Issuer and root in this order: `SEV-Milan` (`SEV-VLEK-Milan`), `ARK-Milan`. */
export function openChain(
  bytes: Uint8Array,
  anchors: Anchors,
): Result<readonly [VendorCertificate, VendorCertificate], Finding> {
  const bundle = parseVendorBundle(bytes);
  if (!bundle.ok) return err(finding('malformed_certificate', bundle.error.what));
  const [issuer, root] = bundle.value;
  if (issuer === undefined || root === undefined || bundle.value.length !== 2) {
    return err(finding('chain_missing', `${bundle.value.length} certificates, not 2`));
  }
  const proof = verifyChain([issuer, root], anchors);
  if (!proof.ok) return proof;
  if (!issuer.isCa) return err(finding('chain_profile_violated', issuer.commonName));
  return ok([issuer, root]);
}

type Family = Pick<AmdSubject, 'product' | 'key'>;

export function chainItem({ product, key }: Family, anchors: Anchors): Item {
  return {
    name: `${key}-${product}-chain.pem`,
    path: `${key}/v1/${product}/cert_chain`,
    bytesMax: chainBytesMax,
    open: (bytes) => {
      const chain = openChain(bytes, anchors);
      if (!chain.ok) return chain;
      const [issuer, root] = chain.value;
      const expected = key === 'vcek' ? `SEV-${product}` : `SEV-VLEK-${product}`;
      return issuer.commonName === expected && root.commonName === `ARK-${product}`
        ? ok(windowOf(chain.value))
        : err(finding('chain_profile_violated', `${issuer.commonName} instead of ${expected}`));
    },
  };
}

export function listItem({ product, key }: Family, chain: Uint8Array, anchors: Anchors): Item {
  return {
    name: `${key}-${product}.crl`,
    path: `${key}/v1/${product}/crl`,
    bytesMax: listBytesMax,
    open: (bytes) => {
      const list = parseRevocationList(bytes);
      if (!list.ok) return err(finding('collateral_malformed', list.error.what));
      const opened = openChain(chain, anchors);
      if (!opened.ok) return opened;
      const problem = listProblem(list.value, opened.value[1], anchors.crypto);
      return problem === undefined ? ok(list.value) : err(problem);
    },
  };
}

/** A chip's certificate is the one whose key signed the report: chip id and patch level are compared with it. */
export function chipItem(
  product: AmdProduct,
  chip: NonNullable<AmdSubject['chip']>,
  {
    report,
    chain,
    ...anchors
  }: Anchors & { readonly report: Uint8Array; readonly chain: Uint8Array },
): Item {
  return {
    name: `vcek-${product}-${chip.id}-${chip.tcb}.der`,
    path: `vcek/v1/${product}/${chip.id}?${chip.query}`,
    bytesMax: certificateBytesMax,
    open: (bytes) => {
      const alone = parseVendorBundle(bytes);
      if (!alone.ok || alone.value.length !== 1) {
        return err(finding('malformed_certificate', 'not one certificate'));
      }
      const certificates = [bytes, chain];
      const { crypto, findings, claims } = verifySnpReport(report, {
        ...anchors,
        certificates,
        nowMs: alone.value[0]?.notBeforeMs ?? 0,
      });
      const [first = finding('report_signature_invalid', '')] = findings;
      if (crypto !== 'valid' || claims === undefined) return err(first);
      return ok(claims.window);
    },
  };
}
