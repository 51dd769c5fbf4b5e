import { equalBytes, fromHex, toHex, utf8 } from '../../base/bytes.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding, FindingCode } from '../finding.ts';
import {
  intersection,
  listProblem,
  listWindowFindings,
  parseRevocationList,
  parseVendorBundle,
  verifyChain,
  windowFindings,
} from '../vendor/index.ts';
import type { ChainContext, RevocationList, VendorCertificate, Window } from '../vendor/index.ts';
import type { IntelCollateralSource } from './collateral-source.ts';
import { parseQeIdentity, parseTcbInfo } from './tcb.ts';
import type { QeIdentity, TcbInfo } from './tcb.ts';

/**
 * Collateral whose every signature was checked to the pinned root. Authentic does not mean current: lists
 * and statements are compared with the time at each use, so one object serves many quotes.
 */
export interface IntelCollateral {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly rootList: RevocationList;
  readonly pckList: RevocationList;
  readonly pckListIssuer: VendorCertificate;
  readonly root: VendorCertificate;
  /** PEM, not verified: only the signature over a quote's QE report shows whether it fits. */
  readonly pckChain: Uint8Array | undefined;
  readonly certificates: readonly VendorCertificate[];
  readonly window: Window;
}

/** The only certificate that may sign statements; a PCK certificate has the same root. */
const tcbSignerName = 'Intel SGX TCB Signing';

/** Reads and authenticates collateral. Nothing unauthenticated is in the result. */
export function openCollateral(
  source: IntelCollateralSource,
  context: ChainContext,
): Result<IntelCollateral, Finding> {
  const lists = openLists(source, context);
  if (!lists.ok) return lists;
  const tcb = openStatement(
    {
      name: 'TCB info',
      chain: source.tcb_info_issuer_chain,
      text: source.tcb_info,
      signature: source.tcb_info_signature,
      refusal: 'tcb_info_signature_invalid',
      parse: parseTcbInfo,
    },
    context,
  );
  if (!tcb.ok) return tcb;
  const qe = openStatement(
    {
      name: 'QE identity',
      chain: source.qe_identity_issuer_chain,
      text: source.qe_identity,
      signature: source.qe_identity_signature,
      refusal: 'qe_identity_signature_invalid',
      parse: parseQeIdentity,
    },
    context,
  );
  if (!qe.ok) return qe;
  const certificates = distinct([...lists.value.chain, ...tcb.value.chain, ...qe.value.chain]);
  const { rootList, pckList, issuer: pckListIssuer, root } = lists.value;
  const tcbInfo = tcb.value.statement;
  const qeIdentity = qe.value.statement;
  if ((tcbInfo.kind === 'TDX') !== (qeIdentity.kind === 'TD_QE')) {
    return err(finding('collateral_malformed', 'TCB info and QE identity are of two platforms'));
  }
  const window = intersection([...certificates, tcbInfo, qeIdentity, rootList, pckList]);
  const statements = { tcbInfo, qeIdentity, rootList, pckList };
  const pem = source.pck_certificate_chain;
  const pckChain = pem === undefined || pem === '' ? undefined : utf8(pem);
  return ok({ ...statements, pckListIssuer, root, pckChain, certificates, window });
}

interface Statement<T> {
  readonly name: string;
  readonly chain: string;
  readonly text: string;
  readonly signature: string;
  readonly refusal: FindingCode;
  readonly parse: (text: string) => Result<T, Malformed>;
}

function openStatement<T>(
  statement: Statement<T>,
  context: ChainContext,
): Result<{ readonly statement: T; readonly chain: readonly VendorCertificate[] }, Finding> {
  const chain = openChain(statement.chain, context);
  if (!chain.ok) return chain;
  const [signer, , ...more] = chain.value;
  // Directly below the root and by this name: any other holder of a certificate could sign statements.
  if (signer?.commonName !== tcbSignerName || signer.key !== 'P-256' || more.length > 0) {
    return err(finding('collateral_chain_invalid', `${statement.name}: not the TCB signer`));
  }
  const signature = fromHex(statement.signature);
  const isSigned =
    signature !== undefined &&
    context.crypto.verifyEcdsa({
      curve: 'P-256',
      hash: 'sha256',
      spki: signer.spki,
      message: utf8(statement.text),
      signature,
      encoding: 'p1363',
    });
  if (!isSigned) return err(finding(statement.refusal, ''));
  const parsed = statement.parse(statement.text);
  if (!parsed.ok) return malformedCollateral(statement.name, parsed.error);
  return ok({ statement: parsed.value, chain: chain.value });
}

interface OpenLists {
  readonly rootList: RevocationList;
  readonly pckList: RevocationList;
  readonly issuer: VendorCertificate;
  readonly root: VendorCertificate;
  readonly chain: readonly VendorCertificate[];
}

function openLists(
  source: IntelCollateralSource,
  context: ChainContext,
): Result<OpenLists, Finding> {
  const chain = openChain(source.pck_crl_issuer_chain, context);
  if (!chain.ok) return chain;
  const [issuer, root, ...more] = chain.value;
  if (issuer === undefined || root === undefined || more.length > 0) {
    return err(finding('collateral_chain_invalid', 'PCK list'));
  }
  const rootList = openList(source.root_ca_crl, root, context);
  if (!rootList.ok) return rootList;
  const pckList = openList(source.pck_crl, issuer, context);
  if (!pckList.ok) return pckList;
  const lists = { rootList: rootList.value, pckList: pckList.value };
  return ok({ ...lists, issuer, root, chain: chain.value });
}

function openList(
  hex: string,
  issuer: VendorCertificate,
  { crypto }: ChainContext,
): Result<RevocationList, Finding> {
  const der = fromHex(hex);
  if (der === undefined) return err(finding('collateral_malformed', 'revocation list is not hex'));
  const list = parseRevocationList(der);
  if (!list.ok) return malformedCollateral('revocation list', list.error);
  const problem = listProblem(list.value, issuer, crypto);
  return problem === undefined ? list : err(problem);
}

function openChain(
  pem: string,
  context: ChainContext,
): Result<readonly VendorCertificate[], Finding> {
  const chain = parseVendorBundle(utf8(pem));
  if (!chain.ok) return malformedCollateral('issuer chain', chain.error);
  const proof = verifyChain(chain.value, context);
  if (proof.ok) return chain;
  return err(finding('collateral_chain_invalid', `${proof.error.code}: ${proof.error.detail}`));
}

function malformedCollateral(name: string, problem: Malformed): Result<never, Finding> {
  return err(finding('collateral_malformed', `${name}: ${problem.what} at ${problem.offset}`));
}

function distinct(certificates: readonly VendorCertificate[]): VendorCertificate[] {
  const seen = new Map<string, VendorCertificate>();
  for (const certificate of certificates) seen.set(toHex(certificate.signature), certificate);
  return [...seen.values()];
}

/** What time and revocation say about the collateral itself at an instant. */
export function collateralFindings(collateral: IntelCollateral, nowMs: number): Finding[] {
  const { tcbInfo, qeIdentity, rootList, pckList, certificates } = collateral;
  const findings = [
    ...statementFindings(tcbInfo, nowMs, 'TCB info'),
    ...statementFindings(qeIdentity, nowMs, 'QE identity'),
    ...listWindowFindings(rootList, nowMs, 'root CA list'),
    ...listWindowFindings(pckList, nowMs, 'PCK list'),
    ...windowFindings(certificates, nowMs),
  ];
  for (const certificate of certificates) {
    if (rootList.revoked.has(certificate.serial)) {
      findings.push(finding('certificate_revoked', certificate.commonName));
    }
  }
  return findings;
}

function statementFindings(window: Window, nowMs: number, name: string): Finding[] {
  if (nowMs < window.notBeforeMs) return [finding('collateral_not_yet_valid', name)];
  if (nowMs > window.notAfterMs) return [finding('collateral_expired', name)];
  return [];
}

/**
 * What the lists say about a quote's chain, leaf first. The PCK list must be of the CA that issued the
 * leaf: by name and by key, since Processor CA and Platform CA each have a list.
 */
export function revocationFindings(
  chain: readonly VendorCertificate[],
  { rootList, pckList, pckListIssuer }: IntelCollateral,
): Finding[] {
  const [leaf, issuer, ...above] = chain;
  if (leaf === undefined || issuer === undefined) return [finding('chain_missing', '')];
  const findings: Finding[] = [];
  if (
    !equalBytes(issuer.subject, pckListIssuer.subject) ||
    !equalBytes(issuer.spki, pckListIssuer.spki)
  ) {
    findings.push(finding('crl_issuer_mismatch', issuer.commonName));
  } else if (pckList.revoked.has(leaf.serial)) {
    findings.push(finding('certificate_revoked', leaf.commonName));
  }
  for (const certificate of [issuer, ...above]) {
    if (rootList.revoked.has(certificate.serial)) {
      findings.push(finding('certificate_revoked', certificate.commonName));
    }
  }
  return findings;
}
