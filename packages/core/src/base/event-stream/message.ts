import { assert } from '../assert.ts';
import { concatBytes } from '../bytes.ts';
import { ByteCursor, malformed, reading } from '../cursor/index.ts';
import type { Malformed } from '../cursor/index.ts';
import type { Result } from '../result.ts';
import { crc32 } from './crc32.ts';
import { headersBytesMax, readHeaders, writeHeaders } from './headers.ts';
import type { MessageHeaders } from './headers.ts';

/**
 * One message: total length (4 bytes), length of the headers (4), checksum of those eight bytes (4), headers, payload,
 * checksum of everything before it (4). Integers are big-endian. (Amazon event stream encoding.)
 */
export interface EventStreamMessage {
  readonly headers: MessageHeaders;
  readonly payload: Uint8Array;
  /** The bytes as they came. Views of the input where the message came whole. */
  readonly raw: Uint8Array;
}

/** Lengths and their checksum. */
export const preludeBytes = 12;
const checksumBytes = 4;
/** What the format allows for the payload of a message. */
export const payloadBytesMax: number = 16 * 1024 * 1024;
export const messageBytesMax: number =
  preludeBytes + headersBytesMax + payloadBytesMax + checksumBytes;

export interface Prelude {
  readonly totalBytes: number;
  readonly headersBytes: number;
}

/** Reads the lengths of a message from its first twelve bytes. Ends the surrounding `reading` on a breach. */
export function readPrelude(bytes: Uint8Array, messageMax: number): Prelude {
  const cursor = new ByteCursor(bytes);
  const totalBytes = cursor.u32be('the length of a message');
  const headersBytes = cursor.u32be('the length of the headers');
  const declared = cursor.u32be('the checksum of the lengths');
  if (crc32(bytes.subarray(0, 8)) !== declared) {
    malformed('the checksum of the lengths does not match', 8);
  }
  if (totalBytes > messageMax) malformed(`a message is larger than ${messageMax} bytes`);
  if (headersBytes > headersBytesMax) malformed(`the headers are over ${headersBytesMax} bytes`, 4);
  if (totalBytes < preludeBytes + headersBytes + checksumBytes) {
    malformed('the lengths of a message do not add up');
  }
  const payload = totalBytes - preludeBytes - headersBytes - checksumBytes;
  if (payload > payloadBytesMax) malformed(`a payload is larger than ${payloadBytesMax} bytes`);
  return { totalBytes, headersBytes };
}

/** Reads a message of exactly these bytes, whose prelude was read before. */
export function readMessage(raw: Uint8Array, prelude: Prelude): EventStreamMessage {
  const end = prelude.totalBytes - checksumBytes;
  const declared = new ByteCursor(raw.subarray(end)).u32be('the checksum of a message');
  if (crc32(raw.subarray(0, end)) !== declared) {
    malformed('the checksum of a message does not match', end);
  }
  const payloadStart = preludeBytes + prelude.headersBytes;
  return {
    headers: readHeaders(raw.subarray(preludeBytes, payloadStart)),
    payload: raw.subarray(payloadStart, end),
    raw,
  };
}

/** One whole message and nothing else. */
export function decodeEventMessage(bytes: Uint8Array): Result<EventStreamMessage, Malformed> {
  return reading(() => {
    if (bytes.length < preludeBytes) malformed('a message ends within its lengths', bytes.length);
    const prelude = readPrelude(bytes.subarray(0, preludeBytes), messageBytesMax);
    if (prelude.totalBytes !== bytes.length) malformed('a message is not as long as it says');
    return readMessage(bytes, prelude);
  });
}

/** The bytes of a message. What does not fit the format is a fault: headers and payload are the program's own. */
export function encodeEventMessage(headers: MessageHeaders, payload: Uint8Array): Uint8Array {
  assert(payload.length <= payloadBytesMax, 'the payload of a message has 16 MiB at most');
  const head = writeHeaders(headers);
  const total = preludeBytes + head.length + payload.length + checksumBytes;
  const message = concatBytes(
    new Uint8Array(preludeBytes),
    head,
    payload,
    new Uint8Array(checksumBytes),
  );
  const view = new DataView(message.buffer);
  view.setUint32(0, total);
  view.setUint32(4, head.length);
  view.setUint32(8, crc32(message.subarray(0, 8)));
  view.setUint32(total - checksumBytes, crc32(message.subarray(0, total - checksumBytes)));
  return message;
}
