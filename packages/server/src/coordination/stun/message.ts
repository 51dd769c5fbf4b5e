import { concatBytes, err, ok, type Result } from '@postern/core/base';
import { crc32 } from '@postern/core/base/event-stream';
import {
  type Addr,
  addrBytes,
  addrFromBytes,
  isV4,
  unmap,
  withZone,
} from '@postern/core/base/netip';

/** STUN messages (RFC 8489), as far as a binding exchange with a Tailscale client needs them. */

export interface AddrPort {
  readonly addr: Addr;
  readonly port: number;
}

export type StunProblem =
  | 'not stun'
  | 'not a binding request'
  | 'not a success response'
  | 'malformed attributes'
  | 'other software'
  | 'no fingerprint'
  | 'wrong fingerprint';

/** Twelve bytes that the client chose and the answer repeats. */
export type TransactionId = Uint8Array;

const headerBytes = 20;
const fingerprintBytes = 8;
const magicCookie = Uint8Array.of(0x21, 0x12, 0xa4, 0x42);
const fingerprintMask = 0x53_54_55_4e;
const software = Uint8Array.from('tailnode', (letter) => letter.charCodeAt(0));

const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;

const attribute = {
  mappedAddress: 0x0001,
  xorMappedAddress: 0x0020,
  /** What some servers sent before the number was assigned. */
  xorMappedAddressEarly: 0x8020,
  software: 0x8022,
  fingerprint: 0x8028,
} as const;

/** Whether the bytes are a STUN message at all: what a socket shared with WireGuard asks first. */
export function isStun(bytes: Uint8Array): boolean {
  return (
    bytes.length >= headerBytes &&
    ((bytes[0] ?? 0) & 0xc0) === 0 &&
    magicCookie.every((byte, i) => bytes[4 + i] === byte)
  );
}

/**
 * The transaction of a binding request. Only requests of Tailscale clients are taken (SOFTWARE `tailnode`, a correct
 * FINGERPRINT last): an open STUN server answers spoofed sources for anybody.
 */
export function parseBindingRequest(bytes: Uint8Array): Result<TransactionId, StunProblem> {
  if (!isStun(bytes)) return err('not stun');
  if (u16(bytes, 0) !== bindingRequest) return err('not a binding request');
  const attributes = readAttributes(bytes.subarray(headerBytes));
  if (attributes === undefined) return err('malformed attributes');
  const isOurs = attributes.some(
    ({ type, value }) => type === attribute.software && sameBytes(value, software),
  );
  if (!isOurs) return err('other software');
  const last = attributes.at(-1);
  if (last?.type !== attribute.fingerprint || last.value.length !== 4) return err('no fingerprint');
  const wanted = fingerprint(bytes.subarray(0, bytes.length - fingerprintBytes));
  if (u32(last.value, 0) !== wanted) return err('wrong fingerprint');
  return ok(bytes.slice(8, headerBytes));
}

/** A binding request as Tailscale clients send it. */
export function formatBindingRequest(id: TransactionId): Uint8Array {
  const attributes = concatBytes(attributeHeader(attribute.software, software.length), software);
  const head = header(bindingRequest, attributes.length + fingerprintBytes, id);
  const signed = concatBytes(head, attributes);
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, fingerprint(signed));
  return concatBytes(signed, attributeHeader(attribute.fingerprint, 4), sum);
}

/** The success response: where the request came from, as XOR-MAPPED-ADDRESS only. */
export function formatBindingResponse(id: TransactionId, from: AddrPort): Uint8Array {
  const addr = addrBytes(withZone(unmap(from.addr), ''));
  const family = isV4(unmap(from.addr)) ? 1 : 2;
  const mask = concatBytes(magicCookie, id);
  const body = new Uint8Array(4 + addr.length);
  body[1] = family;
  new DataView(body.buffer).setUint16(2, from.port ^ 0x2112);
  addr.forEach((byte, i) => {
    body[4 + i] = byte ^ (mask[i] ?? 0);
  });
  const head = header(bindingSuccess, 4 + body.length, id);
  return concatBytes(head, attributeHeader(attribute.xorMappedAddress, body.length), body);
}

export interface BindingResponse {
  readonly id: TransactionId;
  readonly from: AddrPort;
}

/** Reads a success response of any server; MAPPED-ADDRESS counts where nothing better is said. */
export function parseBindingResponse(bytes: Uint8Array): Result<BindingResponse, StunProblem> {
  if (!isStun(bytes)) return err('not stun');
  if (u16(bytes, 0) !== bindingSuccess) return err('not a success response');
  const id = bytes.slice(8, headerBytes);
  const length = u16(bytes, 2);
  const rest = bytes.subarray(headerBytes);
  if (length > rest.length) return err('malformed attributes');
  const attributes = readAttributes(rest.subarray(0, length));
  if (attributes === undefined) return err('malformed attributes');
  let exact: AddrPort | undefined;
  let fallback: AddrPort | undefined;
  for (const { type, value } of attributes) {
    if (type === attribute.mappedAddress) {
      fallback = readAddress(value, undefined);
      if (fallback === undefined) return err('malformed attributes');
    } else if (type === attribute.xorMappedAddress || type === attribute.xorMappedAddressEarly) {
      exact = readAddress(value, concatBytes(magicCookie, id));
      if (exact === undefined) return err('malformed attributes');
    }
  }
  const from = exact ?? fallback;
  return from === undefined ? err('malformed attributes') : ok({ id, from });
}

interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Attributes padded to four bytes each, or undefined where one is cut off. */
function readAttributes(bytes: Uint8Array): readonly Attribute[] | undefined {
  const attributes: Attribute[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < 4) return undefined;
    const length = u16(bytes, at + 2);
    const padded = (length + 3) & ~3;
    const start = at + 4;
    if (padded > bytes.length - start) return undefined;
    attributes.push({ type: u16(bytes, at), value: bytes.subarray(start, start + length) });
    at = start + padded;
  }
  return attributes;
}

function readAddress(value: Uint8Array, mask: Uint8Array | undefined): AddrPort | undefined {
  if (value.length < 4) return undefined;
  const length = value[1] === 1 ? 4 : value[1] === 2 ? 16 : 0;
  if (length === 0 || value.length < 4 + length) return undefined;
  const bytes = value.slice(4, 4 + length);
  if (mask !== undefined) for (let i = 0; i < length; i += 1) bytes[i] = byteXor(bytes, mask, i);
  const addr = addrFromBytes(bytes);
  if (addr === undefined) return undefined;
  return { addr: unmap(addr), port: u16(value, 2) ^ (mask === undefined ? 0 : 0x2112) };
}

function byteXor(bytes: Uint8Array, mask: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) ^ (mask[at] ?? 0);
}

function header(type: number, length: number, id: TransactionId): Uint8Array {
  return concatBytes(attributeHeader(type, length), magicCookie, id);
}

function attributeHeader(type: number, length: number): Uint8Array {
  return Uint8Array.of(type >> 8, type & 0xff, length >> 8, length & 0xff);
}

function fingerprint(bytes: Uint8Array): number {
  return (crc32(bytes) ^ fingerprintMask) >>> 0;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function u32(bytes: Uint8Array, at: number): number {
  return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
