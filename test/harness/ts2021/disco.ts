import { concatBytes, fromHex, present, toHex } from '@postern/core/base';
import { addrBytes, isV4, parseAddr } from '@postern/core/base/netip';
import { parseGoDuration } from './go-duration.ts';
import type { CaseResult } from '../suite.ts';
import type { Json, JsonObject } from './material.ts';
import { bytesOf, differs, isObject, judged, objects, textOf } from './material.ts';

/**
 * Disco messages, which clients exchange among themselves and our relay carries unread: the relay must only tell them
 * from WireGuard packets. The writer here is the test's own.
 */
export function* discoCases(content: Json): Iterable<CaseResult> {
  for (const c of objects(content)) {
    const { message, fields, name } = c;
    if (typeof message !== 'string' || !isObject(fields) || typeof name !== 'string') continue;
    yield judged(`disco-${name}`, () =>
      differs(toHex(writeMessage(message, fields)), toHex(bytesOf(c, 'bytes'))),
    );
  }
}

const types: Readonly<Record<string, number>> = {
  Ping: 1,
  Pong: 2,
  CallMeMaybe: 3,
  BindUDPRelayEndpoint: 4,
  BindUDPRelayEndpointChallenge: 5,
  BindUDPRelayEndpointAnswer: 6,
  CallMeMaybeVia: 7,
  AllocateUDPRelayEndpointRequest: 8,
  AllocateUDPRelayEndpointResponse: 9,
};

function writeMessage(name: string, fields: JsonObject): Uint8Array {
  const type = present(types[name], `message ${name}`);
  const header = Uint8Array.of(type, 0);
  switch (name) {
    case 'Ping':
      return concatBytes(
        header,
        bytesOf(fields, 'TxID'),
        typeof fields['NodeKey'] === 'string' ? key(fields, 'NodeKey') : new Uint8Array(0),
        new Uint8Array(Number(fields['Padding'] ?? 0)),
      );
    case 'Pong':
      return concatBytes(header, bytesOf(fields, 'TxID'), addrPort(textOf(fields, 'Src')));
    case 'CallMeMaybe':
      return concatBytes(header, ...texts(fields, 'MyNumber').map(addrPort));
    case 'CallMeMaybeVia':
      return concatBytes(header, endpoint(part(fields, 'UDPRelayEndpoint')));
    case 'AllocateUDPRelayEndpointRequest':
      return concatBytes(
        header,
        ...texts(fields, 'ClientDisco').map(keyText),
        u32(fields, 'Generation'),
      );
    case 'AllocateUDPRelayEndpointResponse':
      return concatBytes(
        header,
        u32(fields, 'Generation'),
        endpoint(part(fields, 'UDPRelayEndpoint')),
      );
    default:
      return concatBytes(
        header,
        u32(fields, 'VNI'),
        u32(fields, 'Generation'),
        key(fields, 'RemoteKey'),
        bytesOf(fields, 'Challenge'),
      );
  }
}

function endpoint(fields: JsonObject): Uint8Array {
  return concatBytes(
    key(fields, 'ServerDisco'),
    ...texts(fields, 'ClientDisco').map(keyText),
    u64(BigInt(Number(fields['LamportID']))),
    u32(fields, 'VNI'),
    u64(parseGoDuration(textOf(fields, 'BindLifetime'))),
    u64(parseGoDuration(textOf(fields, 'SteadyStateLifetime'))),
    ...texts(fields, 'AddrPorts').map(addrPort),
  );
}

function part(fields: JsonObject, name: string): JsonObject {
  const value = fields[name];
  if (!isObject(value)) throw new Error(`no object ${name}`);
  return value;
}

function texts(fields: JsonObject, name: string): readonly string[] {
  const value = fields[name];
  return Array.isArray(value) ? value.map(String) : [];
}

function key(fields: JsonObject, name: string): Uint8Array {
  return keyText(textOf(fields, name));
}

function keyText(text: string): Uint8Array {
  return present(fromHex(text.slice(text.indexOf(':') + 1)), 'key');
}

/** 16 bytes, IPv4 mapped into IPv6, and the port. */
function addrPort(text: string): Uint8Array {
  const at = text.lastIndexOf(':');
  const parsed = parseAddr(text.slice(0, at).replace(/^\[|\]$/g, ''));
  if (!parsed.ok) throw new Error(parsed.error);
  const bytes = addrBytes(parsed.value);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(Number(text.slice(at + 1)), 0);
  const mapped = isV4(parsed.value)
    ? concatBytes(new Uint8Array(10), Uint8Array.of(0xff, 0xff), bytes)
    : bytes;
  return concatBytes(mapped, port);
}

function u32(fields: JsonObject, name: string): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(Number(fields[name] ?? 0), 0);
  return bytes;
}

function u64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value, 0);
  return bytes;
}
