import { ByteCursor, malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';

/** An SEV-SNP attestation report, versions 2 to 5 (AMD publication 56860, ATTESTATION_REPORT). */
export interface SnpReport {
  readonly version: number;
  readonly guestSvn: number;
  readonly policy: bigint;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  readonly signingKey: 'VCEK' | 'VLEK' | 'none';
  readonly reportData: Uint8Array;
  readonly measurement: Uint8Array;
  readonly hostData: Uint8Array;
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly reportId: Uint8Array;
  /** Eight bytes whose meaning depends on the product. */
  readonly reportedTcb: Uint8Array;
  readonly chipId: Uint8Array;
  /** True where a field that the version reserves is not zero. */
  readonly hasReservedBits: boolean;
  /** What follows the report: drivers hand out buffers padded with zeros. */
  readonly trailing: Uint8Array;
  readonly signed: Uint8Array;
  /** r then s, big-endian, 48 bytes each. */
  readonly signature: Uint8Array;
}

export const snpReportBytes = 1184;
/** The guest driver's response buffer. */
const paddedBytesMax = 4096;
const signedBytes = 0x2a0;
const scalarBytes = 48;
const scalarFieldBytes = 72;

/** ECDSA P-384 with SHA-384, the one algorithm that AMD defines. */
export const snpEcdsaP384 = 1;

export function parseSnpReport(bytes: Uint8Array): Result<SnpReport, Malformed> {
  return reading(() => {
    if (bytes.length > paddedBytesMax) malformed(`${bytes.length} bytes`);
    const cursor = new ByteCursor(bytes);
    const head = readHead(cursor);
    const identity = readIdentity(cursor);
    const tail = readTail(cursor, head.version);
    const r = readScalar(cursor);
    const s = readScalar(cursor);
    const rest = cursor.take(snpReportBytes - cursor.offset, 'reserved');
    const trailing = cursor.rest();
    const signature = new Uint8Array(2 * scalarBytes);
    signature.set(r);
    signature.set(s, scalarBytes);
    const { reserved: headReserved, ...headFields } = head;
    const { reserved: tailReserved, ...tailFields } = tail;
    const hasReservedBits = headReserved || tailReserved || !isZero(rest);
    const signed = bytes.subarray(0, signedBytes);
    const fields = { ...headFields, ...identity, ...tailFields };
    return { ...fields, hasReservedBits, trailing, signed, signature };
  });
}

type Head = Pick<
  SnpReport,
  'version' | 'guestSvn' | 'policy' | 'vmpl' | 'signatureAlgorithm' | 'signingKey'
> & { readonly reserved: boolean };

function readHead(cursor: ByteCursor): Head {
  const version = cursor.u32le('version');
  if (version < 2 || version > 5) cursor.fail(`report version ${version}`);
  const guestSvn = cursor.u32le('guest SVN');
  const policy = cursor.u64le('policy');
  cursor.take(32, 'family and image id');
  const vmpl = cursor.u32le('VMPL');
  const signatureAlgorithm = cursor.u32le('signature algorithm');
  cursor.take(16, 'current TCB and platform info');
  const flags = cursor.u32le('signer info');
  const reserved = cursor.u32le('reserved') !== 0 || flags >>> 5 !== 0;
  const key = (flags >>> 2) & 7;
  const signingKey = key === 0 ? 'VCEK' : key === 1 ? 'VLEK' : key === 7 ? 'none' : undefined;
  if (signingKey === undefined) return cursor.fail(`signing key ${key}`);
  return { version, guestSvn, policy, vmpl, signatureAlgorithm, signingKey, reserved };
}

function readIdentity(
  cursor: ByteCursor,
): Pick<
  SnpReport,
  'reportData' | 'measurement' | 'hostData' | 'idKeyDigest' | 'authorKeyDigest' | 'reportId'
> {
  const reportData = cursor.take(64, 'report data');
  const measurement = cursor.take(48, 'measurement');
  const hostData = cursor.take(32, 'host data');
  const idKeyDigest = cursor.take(48, 'id key digest');
  const authorKeyDigest = cursor.take(48, 'author key digest');
  const reportId = cursor.take(32, 'report id');
  cursor.take(32, 'migration agent report id');
  return { reportData, measurement, hostData, idKeyDigest, authorKeyDigest, reportId };
}

function readTail(
  cursor: ByteCursor,
  version: number,
): Pick<SnpReport, 'reportedTcb' | 'chipId'> & { readonly reserved: boolean } {
  const reportedTcb = cursor.take(8, 'reported TCB');
  // Version 3 put family, model and stepping into the first three of 24 reserved bytes.
  if (version >= 3) cursor.take(3, 'CPUID');
  const reserved = [cursor.take(version >= 3 ? 21 : 24, 'reserved')];
  const chipId = cursor.take(64, 'chip id');
  cursor.take(8, 'committed TCB');
  cursor.take(3, 'current version');
  reserved.push(cursor.take(1, 'reserved'));
  cursor.take(3, 'committed version');
  reserved.push(cursor.take(1, 'reserved'));
  cursor.take(8, 'launch TCB');
  // Version 5 put two mitigation vectors into the first 16 of the reserved bytes.
  if (version >= 5) cursor.take(16, 'mitigation vectors');
  reserved.push(cursor.take(signedBytes - cursor.offset, 'reserved'));
  return { reportedTcb, chipId, reserved: !reserved.every(isZero) };
}

function readScalar(cursor: ByteCursor): Uint8Array {
  const field = cursor.take(scalarFieldBytes, 'signature');
  if (!isZero(field.subarray(scalarBytes))) cursor.fail('signature scalar is too large');
  return field.slice(0, scalarBytes).reverse();
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
