import { ByteCursor, malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';

/** Report body of an SGX enclave (384 bytes). Fields are views of the quote. */
export interface SgxBody {
  readonly kind: 'sgx';
  readonly cpuSvn: Uint8Array;
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly configId: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly configSvn: number;
  readonly reportData: Uint8Array;
}

/** Report body of a trust domain: TD 1.0 (584 bytes) or 1.5 (648 bytes). Fields are views of the quote. */
export interface TdBody {
  readonly kind: 'tdx';
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  readonly reportData: Uint8Array;
  /** TD 1.5 only. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  readonly mrServiceTd: Uint8Array | undefined;
}

export interface IntelQuote {
  readonly version: number;
  readonly attestationKeyType: number;
  readonly qeVendorId: Uint8Array;
  readonly body: SgxBody | TdBody;
  /** Header and body: what the attestation key signs. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** x then y of the P-256 attestation key. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: SgxBody;
  readonly qeReportBytes: Uint8Array;
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
  /** PEM of the PCK chain; undefined where the quote names its platform key in another way. */
  readonly pckChain: Uint8Array | undefined;
  /** What follows the last field, inside the declared signature data and after it. */
  readonly trailing: readonly [Uint8Array, Uint8Array];
}

/** Quoting services pad into buffers of 5,006 to 8,000 bytes; chains with CRLs would still be below. */
export const quoteBytesMax = 65_536;

const sgxBodyBytes = 384;
const td10BodyBytes = 584;
const td15BodyBytes = 648;
const teeSgx = 0x00;
const teeTdx = 0x81;
const certificationPckChain = 5;
const certificationQeReport = 6;
/** ECDSA with P-256, the only key type for which Intel's quoting enclaves exist. */
export const attestationKeyP256 = 2;

/** Reads an ECDSA quote: SGX version 3, SGX or TDX version 4 and 5. Layout: Intel DCAP library, appendix A. */
export function parseIntelQuote(bytes: Uint8Array): Result<IntelQuote, Malformed> {
  return reading(() => {
    if (bytes.length > quoteBytesMax) malformed(`quote of more than ${quoteBytesMax} bytes`);
    const cursor = new ByteCursor(bytes);
    const version = cursor.u16le('version');
    const attestationKeyType = cursor.u16le('attestation key type');
    const teeType = cursor.u32le('TEE type');
    cursor.take(4, 'QE and PCE versions');
    const qeVendorId = cursor.take(16, 'QE vendor id');
    cursor.take(20, 'user data');
    const body = readBody(cursor, version, teeType);
    const signed = bytes.subarray(0, cursor.offset);
    const signatureData = cursor.take(cursor.u32le('signature length'), 'signature data');
    const after = cursor.rest();
    const data = new ByteCursor(signatureData);
    const fields = readSignatureData(data, version);
    const trailing = [data.rest(), after] as const;
    return { version, attestationKeyType, qeVendorId, body, signed, ...fields, trailing };
  });
}

function readBody(cursor: ByteCursor, version: number, teeType: number): SgxBody | TdBody {
  if (version === 3) {
    return teeType === teeSgx ? readSgxBody(cursor) : cursor.fail(`TEE type ${teeType}`);
  }
  if (version === 4) {
    if (teeType === teeSgx) return readSgxBody(cursor);
    return teeType === teeTdx ? readTdBody(cursor, false) : cursor.fail(`TEE type ${teeType}`);
  }
  if (version !== 5) return cursor.fail(`quote version ${version}`);
  const bodyType = cursor.u16le('body type');
  const bodyBytes = cursor.u32le('body size');
  const wants = (tee: number, size: number): void => {
    if (teeType !== tee || bodyBytes !== size)
      cursor.fail(`body ${bodyType} of ${bodyBytes} bytes`);
  };
  if (bodyType === 1) {
    wants(teeSgx, sgxBodyBytes);
    return readSgxBody(cursor);
  }
  if (bodyType === 2) {
    wants(teeTdx, td10BodyBytes);
    return readTdBody(cursor, false);
  }
  if (bodyType !== 3) return cursor.fail(`body type ${bodyType}`);
  wants(teeTdx, td15BodyBytes);
  return readTdBody(cursor, true);
}

function readSgxBody(cursor: ByteCursor): SgxBody {
  const cpuSvn = cursor.take(16, 'CPUSVN');
  const miscSelect = cursor.take(4, 'MISCSELECT');
  cursor.take(28, 'reserved and ISVEXTPRODID');
  const attributes = cursor.take(16, 'ATTRIBUTES');
  const mrEnclave = cursor.take(32, 'MRENCLAVE');
  cursor.take(32, 'reserved');
  const mrSigner = cursor.take(32, 'MRSIGNER');
  cursor.take(32, 'reserved');
  const configId = cursor.take(64, 'CONFIGID');
  const isvProdId = cursor.u16le('ISVPRODID');
  const isvSvn = cursor.u16le('ISVSVN');
  const configSvn = cursor.u16le('CONFIGSVN');
  cursor.take(58, 'reserved and ISVFAMILYID');
  const reportData = cursor.take(64, 'REPORTDATA');
  const identity = { mrEnclave, mrSigner, isvProdId, isvSvn };
  return {
    kind: 'sgx',
    cpuSvn,
    miscSelect,
    attributes,
    ...identity,
    configId,
    configSvn,
    reportData,
  };
}

function readTdBody(cursor: ByteCursor, isTd15: boolean): TdBody {
  const body = {
    kind: 'tdx',
    teeTcbSvn: cursor.take(16, 'TEE_TCB_SVN'),
    mrSeam: cursor.take(48, 'MRSEAM'),
    mrSignerSeam: cursor.take(48, 'MRSIGNERSEAM'),
    seamAttributes: cursor.take(8, 'SEAMATTRIBUTES'),
    tdAttributes: cursor.take(8, 'TDATTRIBUTES'),
    xfam: cursor.take(8, 'XFAM'),
    mrTd: cursor.take(48, 'MRTD'),
    mrConfigId: cursor.take(48, 'MRCONFIGID'),
    mrOwner: cursor.take(48, 'MROWNER'),
    mrOwnerConfig: cursor.take(48, 'MROWNERCONFIG'),
    rtmrs: [
      cursor.take(48, 'RTMR0'),
      cursor.take(48, 'RTMR1'),
      cursor.take(48, 'RTMR2'),
      cursor.take(48, 'RTMR3'),
    ],
    reportData: cursor.take(64, 'REPORTDATA'),
  } as const;
  return {
    ...body,
    teeTcbSvn2: isTd15 ? cursor.take(16, 'TEE_TCB_SVN_2') : undefined,
    mrServiceTd: isTd15 ? cursor.take(48, 'MRSERVICETD') : undefined,
  };
}

type SignatureFields = Pick<
  IntelQuote,
  | 'signature'
  | 'attestationKey'
  | 'qeReport'
  | 'qeReportBytes'
  | 'qeReportSignature'
  | 'qeAuthData'
  | 'pckChain'
>;

function readSignatureData(cursor: ByteCursor, version: number): SignatureFields {
  const signature = cursor.take(64, 'signature');
  const attestationKey = cursor.take(64, 'attestation key');
  if (version === 3) return { signature, attestationKey, ...readQeReport(cursor) };
  const type = cursor.u16le('certification type');
  const inner = new ByteCursor(cursor.take(cursor.u32le('certification size'), 'certification'));
  if (type !== certificationQeReport) cursor.fail(`certification type ${type}`);
  const fields = readQeReport(inner);
  inner.end('the certification data');
  return { signature, attestationKey, ...fields };
}

function readQeReport(
  cursor: ByteCursor,
): Pick<
  IntelQuote,
  'qeReport' | 'qeReportBytes' | 'qeReportSignature' | 'qeAuthData' | 'pckChain'
> {
  const qeReportBytes = cursor.take(sgxBodyBytes, 'QE report');
  const qeReport = readSgxBody(new ByteCursor(qeReportBytes));
  const qeReportSignature = cursor.take(64, 'QE report signature');
  const qeAuthData = cursor.take(cursor.u16le('QE auth size'), 'QE auth data');
  const type = cursor.u16le('certification type');
  const certification = cursor.take(cursor.u32le('certification size'), 'certification');
  const pckChain = type === certificationPckChain ? certification : undefined;
  return { qeReport, qeReportBytes, qeReportSignature, qeAuthData, pckChain };
}
