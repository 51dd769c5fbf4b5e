import { utf8 } from '@postern/core/base';
import type { IntelCollateralSource } from '@postern/core/attest';
import { issueList, pemOf } from './issue.ts';
import { simulatedPlatform } from './intel-pki.ts';
import type { IntelPki } from './intel-pki.ts';

/** Statements as JSON documents, before they are signed. Tests edit them. */
export type StatementDocument = Record<string, unknown>;

export interface CollateralOptions {
  readonly issuedAtMs: number;
  readonly nextUpdateMs: number;
  readonly revokedByRoot?: readonly number[];
  readonly revokedByPlatformCa?: readonly number[];
  readonly editTcbInfo?: (document: StatementDocument) => StatementDocument;
  readonly editQeIdentity?: (document: StatementDocument) => StatementDocument;
}

export const simulatedQe = {
  mrSigner: 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5',
  attributes: '11000000000000000000000000000000',
  isvProdId: 2,
  isvSvn: 6,
} as const;

/** TEE_TCB_SVN of simulated trust domains: module version 1, security version 6. */
export const simulatedTeeTcbSvn = [6, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] as const;

const zero48 = '0'.repeat(96);
const tcbDate = '2025-05-14T00:00:00Z';

/** Collateral for the simulated platform: current, signed, with both revocation lists. */
export function createCollateral(pki: IntelPki, options: CollateralOptions): IntelCollateralSource {
  const { issuedAtMs, nextUpdateMs } = options;
  const times = { issueDate: isoSeconds(issuedAtMs), nextUpdate: isoSeconds(nextUpdateMs) };
  const tcbInfo = { ...tcbInfoDocument(), ...times };
  const qeIdentity = { ...qeIdentityDocument(), ...times };
  const tcbText = JSON.stringify(options.editTcbInfo?.(tcbInfo) ?? tcbInfo);
  const qeText = JSON.stringify(options.editQeIdentity?.(qeIdentity) ?? qeIdentity);
  const signerChain = pemOf('CERTIFICATE', pki.tcbSigner.certificate, pki.root.certificate);
  const list = { thisUpdateMs: issuedAtMs, nextUpdateMs };
  const rootList = { ...list, revokedSerials: options.revokedByRoot ?? [] };
  const pckList = { ...list, revokedSerials: options.revokedByPlatformCa ?? [] };
  const sign = (text: string): string => hexOf(pki.tcbSigner.key.signRaw(utf8(text)));
  return {
    pck_crl_issuer_chain: pemOf('CERTIFICATE', pki.platformCa.certificate, pki.root.certificate),
    root_ca_crl: hexOf(issueList(rootList, pki.root)),
    pck_crl: hexOf(issueList(pckList, pki.platformCa)),
    tcb_info_issuer_chain: signerChain,
    tcb_info: tcbText,
    tcb_info_signature: sign(tcbText),
    qe_identity_issuer_chain: signerChain,
    qe_identity: qeText,
    qe_identity_signature: sign(qeText),
  };
}

function tcbInfoDocument(): StatementDocument {
  const { componentSvns, pceSvn, fmspc, pceId } = simulatedPlatform;
  const components = (svns: readonly number[]): unknown => svns.map((svn) => ({ svn }));
  const module = { mrsigner: zero48, attributes: '0'.repeat(16), attributesMask: 'F'.repeat(16) };
  const moduleLevels = [
    { tcb: { isvsvn: 6 }, tcbDate, tcbStatus: 'UpToDate' },
    { tcb: { isvsvn: 4 }, tcbDate, tcbStatus: 'OutOfDate', advisoryIDs: ['INTEL-SA-01036'] },
  ];
  return {
    id: 'TDX',
    version: 3,
    fmspc,
    pceId,
    tcbType: 0,
    tcbEvaluationDataNumber: 18,
    tdxModule: module,
    tdxModuleIdentities: [{ id: 'TDX_01', ...module, tcbLevels: moduleLevels }],
    tcbLevels: [
      {
        tcb: {
          sgxtcbcomponents: components(componentSvns),
          pcesvn: pceSvn,
          tdxtcbcomponents: components([5, 0, 3, ...Array.from({ length: 13 }, () => 0)]),
        },
        tcbDate,
        tcbStatus: 'UpToDate',
      },
    ],
  };
}

function qeIdentityDocument(): StatementDocument {
  const { mrSigner, attributes, isvProdId } = simulatedQe;
  return {
    id: 'TD_QE',
    version: 2,
    tcbEvaluationDataNumber: 18,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes,
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: mrSigner,
    isvprodid: isvProdId,
    tcbLevels: [{ tcb: { isvsvn: 4 }, tcbDate, tcbStatus: 'UpToDate' }],
  };
}

function isoSeconds(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
