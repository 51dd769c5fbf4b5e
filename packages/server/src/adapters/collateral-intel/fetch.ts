import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { finding } from '@postern/core/attest';
import type { CollateralSubject, Finding, IntelCollateralSource } from '@postern/core/attest';
import type { Egress, OutboundAnswer, OutboundTimeouts } from '../../http/index.ts';
import {
  listBytesMax,
  readChainHeader,
  readList,
  readStatement,
  statementBytesMax,
} from './answer.ts';

/** Where collateral comes from. */
export interface CollateralOrigin {
  /** Base of Intel's Provisioning Certification Service, or of a caching service (PCCS) with the same paths. */
  readonly baseUrl: URL;
  /** Where the list of the root CA is; a caching service has it under its own base. */
  readonly rootListUrl: URL;
  /** The operator wrote the address, so it may be an internal one. */
  readonly internal: boolean;
  /** PEM of extra authorities for the service's TLS certificate. */
  readonly caPem?: string;
}

/** Intel's own services. */
export const intelOrigin: CollateralOrigin = Object.freeze({
  baseUrl: new URL('https://api.trustedservices.intel.com/'),
  rootListUrl: new URL('https://certificates.trustedservices.intel.com/IntelSGXRootCA.der'),
  internal: false,
});

/** A caching service that the operator runs: `https://pccs.internal:8081/`. */
export function cachingOrigin(baseUrl: URL, caPem?: string): CollateralOrigin {
  const base = new URL(baseUrl);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const rootListUrl = new URL('sgx/certification/v4/rootcacrl', base);
  const origin = { baseUrl: base, rootListUrl, internal: true };
  return caPem === undefined ? origin : { ...origin, caPem };
}

/** One answer is some kilobytes; half a minute is for lines that hardly work. */
const timeouts: OutboundTimeouts = {
  connectMs: 5_000,
  firstByteMs: 15_000,
  idleMs: 10_000,
  totalMs: 30_000,
};

const statusFound = 200;

/** Asks for everything that one subject needs. Nothing of it is believed: the caller opens and compares it. */
export async function fetchCollateral(
  subject: CollateralSubject,
  origin: CollateralOrigin,
  egress: Egress,
): Promise<Result<IntelCollateralSource, Finding>> {
  const { tee, fmspc, ca } = subject;
  const ask = (url: URL, bytesMax: number) => get(url, bytesMax, { origin, egress });
  const at = (path: string): URL => new URL(path, origin.baseUrl);
  const [tcb, qe, pckList, rootList] = await Promise.all([
    ask(at(`${tee}/certification/v4/tcb?fmspc=${fmspc}`), statementBytesMax),
    ask(at(`${tee}/certification/v4/qe/identity`), statementBytesMax),
    ask(at(`sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`), listBytesMax),
    ask(origin.rootListUrl, listBytesMax),
  ]);
  if (!tcb.ok) return tcb;
  if (!qe.ok) return qe;
  if (!pckList.ok) return pckList;
  if (!rootList.ok) return rootList;
  const tcbInfo = readStatement(tcb.value.body, 'tcbInfo');
  if (!tcbInfo.ok) return tcbInfo;
  const tcbChain = readChainHeader(tcb.value.headers, tcbChainHeaders);
  if (!tcbChain.ok) return tcbChain;
  const qeIdentity = readStatement(qe.value.body, 'enclaveIdentity');
  if (!qeIdentity.ok) return qeIdentity;
  const qeChain = readChainHeader(qe.value.headers, ['sgx-enclave-identity-issuer-chain']);
  if (!qeChain.ok) return qeChain;
  const pckCrl = readList(pckList.value.body, 'the PCK list');
  if (!pckCrl.ok) return pckCrl;
  const listChain = readChainHeader(pckList.value.headers, ['sgx-pck-crl-issuer-chain']);
  if (!listChain.ok) return listChain;
  const rootCrl = readList(rootList.value.body, 'the root list');
  if (!rootCrl.ok) return rootCrl;
  return ok({
    pck_crl_issuer_chain: listChain.value,
    root_ca_crl: rootCrl.value,
    pck_crl: pckCrl.value,
    tcb_info_issuer_chain: tcbChain.value,
    tcb_info: tcbInfo.value.text,
    tcb_info_signature: tcbInfo.value.signature,
    qe_identity_issuer_chain: qeChain.value,
    qe_identity: qeIdentity.value.text,
    qe_identity_signature: qeIdentity.value.signature,
  });
}

/** The name lost its prefix with version 4 of the service; some caches still write the old one. */
const tcbChainHeaders = ['tcb-info-issuer-chain', 'sgx-tcb-info-issuer-chain'] as const;

interface Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

async function get(
  url: URL,
  bytesMax: number,
  { origin, egress }: { readonly origin: CollateralOrigin; readonly egress: Egress },
): Promise<Result<Answer, Finding>> {
  const answer = await egress({
    method: 'GET',
    url,
    headers: { accept: 'application/json, application/pkix-crl' },
    signal: AbortSignal.timeout(timeouts.totalMs),
    timeouts,
    permission: { internal: origin.internal },
    ...(origin.caPem === undefined ? {} : { caPem: origin.caPem }),
  });
  if (!answer.ok) return missing(url, answer.error.message);
  return readAnswer(url, answer.value, bytesMax);
}

async function readAnswer(
  url: URL,
  answer: OutboundAnswer,
  bytesMax: number,
): Promise<Result<Answer, Finding>> {
  if (answer.status !== statusFound) {
    answer.cancel();
    return missing(url, `answered ${answer.status}`);
  }
  const body = await answer.readAll(bytesMax);
  if (!body.ok) return missing(url, body.error.message);
  return ok({ headers: answer.headers, body: body.value });
}

function missing(url: URL, why: string): Result<never, Finding> {
  return err(finding('collateral_missing', `${url.host}${url.pathname}: ${why}`));
}
