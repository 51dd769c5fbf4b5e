import { createHash } from 'node:crypto';
import { concatBytes, fromHex, present, utf8 } from '@postern/core/base';
import { simulatedQe, simulatedTeeTcbSvn } from './intel-collateral.ts';
import type { IntelPki } from './intel-pki.ts';
import { pemOf, u16le, u32le } from './issue.ts';

/** What a simulated trust domain is. Every field has a default that a strict policy accepts. */
export interface TdOptions {
  readonly reportData: Uint8Array;
  readonly rtmrs?: readonly Uint8Array[];
  readonly mrTd?: Uint8Array;
  readonly mrConfigId?: Uint8Array;
  readonly tdAttributes?: Uint8Array;
  readonly seamAttributes?: Uint8Array;
  readonly mrSignerSeam?: Uint8Array;
  readonly teeTcbSvn?: Uint8Array;
  /** Makes the body a TD 1.5 one. */
  readonly mrServiceTd?: Uint8Array;
  readonly version?: 4 | 5;
  readonly qeVendorId?: Uint8Array;
  readonly qeReportTail?: Uint8Array;
}

const vendorId = hex('939a7233f79c4ca9940a0db3957f0607');
const tdAttributes = hex('0000001000000000');
const xfam = hex('e702060000000000');
const qeAuthData = utf8('postern simulator');
/** Quoting services hand out buffers of this size, padded with zeros. */
const paddedBytes = 5006;

/** A quote of version 4 or 5 in which every signature holds under the simulated hierarchy. */
export function createTdQuote(pki: IntelPki, options: TdOptions): Uint8Array {
  const version = options.version ?? 4;
  const header = concatBytes(
    u16le(version),
    u16le(2),
    u32le(0x81),
    new Uint8Array(4),
    options.qeVendorId ?? vendorId,
    new Uint8Array(20),
  );
  const body = tdBody(options);
  const isTd15 = options.mrServiceTd !== undefined;
  const descriptor =
    version === 5 ? concatBytes(u16le(isTd15 ? 3 : 2), u32le(body.length)) : new Uint8Array();
  const signed = concatBytes(header, descriptor, body);
  const signature = signatureData(pki, signed, options);
  const quote = concatBytes(signed, u32le(signature.length), signature);
  return concatBytes(quote, new Uint8Array(Math.max(0, paddedBytes - quote.length)));
}

function tdBody(options: TdOptions): Uint8Array {
  const zero48 = new Uint8Array(48);
  const rtmrs = [0, 1, 2, 3].map((index) => options.rtmrs?.[index] ?? filled(0x10 + index));
  const teeTcbSvn = options.teeTcbSvn ?? Uint8Array.from(simulatedTeeTcbSvn);
  return concatBytes(
    teeTcbSvn,
    filled(0x5e),
    options.mrSignerSeam ?? zero48,
    options.seamAttributes ?? new Uint8Array(8),
    options.tdAttributes ?? tdAttributes,
    xfam,
    options.mrTd ?? filled(0x0d),
    options.mrConfigId ?? zero48,
    zero48,
    zero48,
    ...rtmrs,
    options.reportData,
    ...(options.mrServiceTd === undefined ? [] : [teeTcbSvn, options.mrServiceTd]),
  );
}

function signatureData(pki: IntelPki, signed: Uint8Array, options: TdOptions): Uint8Array {
  const { attestationKey, pck } = pki;
  const qeReport = quotingEnclaveReport(attestationKey.point, options.qeReportTail);
  const chain = pemOf(
    'CERTIFICATE',
    pck.certificate,
    pki.platformCa.certificate,
    pki.root.certificate,
  );
  const pem = utf8(chain);
  const certification = concatBytes(
    qeReport,
    pck.key.signRaw(qeReport),
    u16le(qeAuthData.length),
    qeAuthData,
    u16le(5),
    u32le(pem.length),
    pem,
  );
  return concatBytes(
    attestationKey.signRaw(signed),
    attestationKey.point,
    u16le(6),
    u32le(certification.length),
    certification,
  );
}

function quotingEnclaveReport(attestationKey: Uint8Array, tail?: Uint8Array): Uint8Array {
  const { mrSigner, attributes, isvProdId, isvSvn } = simulatedQe;
  const binding = createHash('sha256').update(attestationKey).update(qeAuthData).digest();
  return concatBytes(
    new Uint8Array(48),
    hex(attributes),
    new Uint8Array(64).fill(0x9e, 0, 32),
    hex(mrSigner),
    new Uint8Array(96),
    u16le(isvProdId),
    u16le(isvSvn),
    new Uint8Array(60),
    binding,
    tail ?? new Uint8Array(32),
  );
}

function filled(byte: number): Uint8Array {
  return new Uint8Array(48).fill(byte);
}

function hex(text: string): Uint8Array {
  return present(fromHex(text), 'a constant in hex');
}
