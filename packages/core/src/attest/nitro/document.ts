import { cborLimits, readCbor } from '../../base/cbor/index.ts';
import type { CborValue } from '../../base/cbor/index.ts';
import { malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';

/** An AWS Nitro Enclaves attestation document: COSE_Sign1 around a CBOR map. */
export interface NitroDocument {
  /** The protected header as signed. */
  readonly protectedHeader: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly moduleId: string;
  readonly timestampMs: number;
  /** Register number → value. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly certificate: Uint8Array;
  /** Root first, as the service writes it. */
  readonly caBundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | undefined;
  readonly userData: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
}

/** Bounds of the AWS specification (attestation process, syntactical validation), with room for the chain. */
const limits = {
  documentBytesMax: 65_536,
  certificateBytesMax: 1_024,
  bundleLengthMax: 8,
  publicKeyBytesMax: 1_024,
  userDataBytesMax: 512,
  pcrMax: 31,
} as const;

const pcrBytes = 48;
/** COSE header label `alg` and the value ES384 (RFC 9053). */
const algorithmLabel = 1;
const es384 = -35;

export function parseNitroDocument(bytes: Uint8Array): Result<NitroDocument, Malformed> {
  return reading(() => {
    if (bytes.length > limits.documentBytesMax) malformed('document is too large');
    const [protectedHeader, unprotected, payload, signature, ...more] = list(decode(bytes));
    if (!(unprotected instanceof Map) || unprotected.size !== 0 || more.length > 0) {
      malformed('not a COSE_Sign1 with an empty unprotected header');
    }
    const header = byteString(protectedHeader, 64, 'protected header');
    checkHeader(header);
    const body = byteString(payload, limits.documentBytesMax, 'payload');
    const signed = { protectedHeader: header, payload: body };
    return { ...signed, signature: byteString(signature, 96, 'signature'), ...readPayload(body) };
  });
}

function decode(bytes: Uint8Array): CborValue {
  const value = readCbor(bytes, { ...cborLimits, allowsIndefinite: true });
  return value.ok ? value.value : malformed(value.error.what, value.error.offset);
}

function checkHeader(header: Uint8Array): void {
  const map = decode(header);
  if (!(map instanceof Map) || map.size !== 1 || map.get(algorithmLabel) !== es384) {
    malformed('protected header is not exactly ES384');
  }
}

function readPayload(
  payload: Uint8Array,
): Omit<NitroDocument, 'protectedHeader' | 'payload' | 'signature'> {
  const map = decode(payload);
  if (!(map instanceof Map)) return malformed('payload is not a map');
  if (map.get('digest') !== 'SHA384') malformed('digest is not SHA384');
  const moduleId = map.get('module_id');
  if (typeof moduleId !== 'string' || moduleId === '') return malformed('no module_id');
  const timestampMs = map.get('timestamp');
  if (typeof timestampMs !== 'number' || timestampMs <= 0) return malformed('no timestamp');
  const caBundle = list(map.get('cabundle'));
  if (caBundle.length === 0 || caBundle.length > limits.bundleLengthMax) malformed('cabundle');
  const optional = (key: string, most: number): Uint8Array | undefined => {
    const value = map.get(key);
    return value === undefined || value === null ? undefined : byteString(value, most, key);
  };
  return {
    moduleId,
    timestampMs,
    pcrs: readPcrs(map.get('pcrs')),
    certificate: byteString(map.get('certificate'), limits.certificateBytesMax, 'certificate'),
    caBundle: caBundle.map((item) => byteString(item, limits.certificateBytesMax, 'cabundle')),
    publicKey: optional('public_key', limits.publicKeyBytesMax),
    userData: optional('user_data', limits.userDataBytesMax),
    nonce: optional('nonce', limits.userDataBytesMax),
  };
}

function readPcrs(value: CborValue): ReadonlyMap<number, Uint8Array> {
  if (!(value instanceof Map) || value.size === 0) return malformed('no pcrs');
  const pcrs = new Map<number, Uint8Array>();
  for (const [key, register] of value) {
    if (typeof key !== 'number' || key < 0 || key > limits.pcrMax) return malformed('pcr number');
    const bytes = byteString(register, pcrBytes, 'pcr');
    if (bytes.length !== pcrBytes) return malformed(`pcr ${key} of ${bytes.length} bytes`);
    pcrs.set(key, bytes);
  }
  for (const key of [0, 1, 2]) if (!pcrs.has(key)) return malformed(`no pcr ${key}`);
  return pcrs;
}

function list(value: CborValue): readonly CborValue[] {
  return Array.isArray(value) ? value : malformed('not an array');
}

function byteString(value: CborValue, most: number, what: string): Uint8Array {
  if (!(value instanceof Uint8Array)) return malformed(`${what} is not a byte string`);
  return value.length <= most ? value : malformed(`${what} is too long`);
}
