import { assert } from '../assert.ts';
import { concatBytes, fromHex, toHex, utf8, utf8Text } from '../bytes.ts';
import { ByteCursor, malformed } from '../cursor/index.ts';

/** A header's value. Integers are signed; a timestamp counts milliseconds since 1970. */
export type HeaderValue =
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'byte' | 'short' | 'integer'; readonly value: number }
  | { readonly type: 'long' | 'timestamp'; readonly value: bigint }
  | { readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly type: 'string'; readonly value: string }
  /** In the usual spelling, lower case with hyphens. */
  | { readonly type: 'uuid'; readonly value: string };

export type MessageHeaders = ReadonlyMap<string, HeaderValue>;

/** The length of a name is one byte. */
export const headerNameBytesMax = 255;
/** What the format allows for the value of a text or bytes. */
export const headerValueBytesMax = 32_767;
/** What the format allows for all headers of a message together. */
export const headersBytesMax: number = 128 * 1024;

/** The numbers of the types on the wire. A boolean is two types. */
const code = {
  yes: 0,
  no: 1,
  byte: 2,
  short: 3,
  integer: 4,
  long: 5,
  bytes: 6,
  string: 7,
  timestamp: 8,
  uuid: 9,
} as const;

/** Reads the headers of a message. Ends the surrounding `reading` where they are malformed. */
export function readHeaders(bytes: Uint8Array): MessageHeaders {
  const cursor = new ByteCursor(bytes);
  const headers = new Map<string, HeaderValue>();
  while (cursor.remaining > 0) {
    const length = cursor.u8('the length of a header name');
    if (length === 0) cursor.fail('a header has no name');
    const name = textOf(cursor.take(length, 'a header name'), 'a header name');
    // With two of a name, two readers would believe different ones.
    if (headers.has(name)) cursor.fail('a header stands twice');
    headers.set(name, readValue(cursor));
  }
  return headers;
}

function readValue(cursor: ByteCursor): HeaderValue {
  const type = cursor.u8('the type of a header');
  switch (type) {
    case code.yes:
      return { type: 'boolean', value: true };
    case code.no:
      return { type: 'boolean', value: false };
    case code.byte:
      return { type: 'byte', value: (cursor.u8('a byte') << 24) >> 24 };
    case code.short:
      return { type: 'short', value: (cursor.u16be('a short') << 16) >> 16 };
    case code.integer:
      return { type: 'integer', value: cursor.u32be('an integer') | 0 };
    case code.long:
      return { type: 'long', value: BigInt.asIntN(64, cursor.u64be('a long')) };
    case code.timestamp:
      return { type: 'timestamp', value: BigInt.asIntN(64, cursor.u64be('a timestamp')) };
    case code.bytes:
      return { type: 'bytes', value: readSized(cursor) };
    case code.string:
      return { type: 'string', value: textOf(readSized(cursor), 'a header') };
    case code.uuid:
      return { type: 'uuid', value: uuidText(cursor.take(16, 'a uuid')) };
    default:
      return cursor.fail(`a header has the unknown type ${type}`);
  }
}

function readSized(cursor: ByteCursor): Uint8Array {
  const length = cursor.u16be('the length of a header value');
  if (length > headerValueBytesMax) cursor.fail('a header value is too long');
  return cursor.take(length, 'a header value');
}

function textOf(bytes: Uint8Array, what: string): string {
  return utf8Text(bytes) ?? malformed(`${what} is not UTF-8`);
}

function uuidText(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Writes headers in their order. Names and values are the program's own: what does not fit the format is a fault. */
export function writeHeaders(headers: MessageHeaders): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [name, value] of headers) {
    const nameBytes = utf8(name);
    assert(
      nameBytes.length > 0 && nameBytes.length <= headerNameBytesMax,
      'a header name has 1 to 255 bytes',
    );
    pieces.push(Uint8Array.of(nameBytes.length), nameBytes, writeValue(value));
  }
  const bytes = concatBytes(...pieces);
  assert(bytes.length <= headersBytesMax, 'the headers of a message have 128 KiB at most');
  return bytes;
}

function writeValue(header: HeaderValue): Uint8Array {
  switch (header.type) {
    case 'boolean':
      return Uint8Array.of(header.value ? code.yes : code.no);
    case 'byte':
      return fixed(code.byte, 1, (view) => view.setInt8(1, whole(header.value, 8)));
    case 'short':
      return fixed(code.short, 2, (view) => view.setInt16(1, whole(header.value, 16)));
    case 'integer':
      return fixed(code.integer, 4, (view) => view.setInt32(1, whole(header.value, 32)));
    case 'long':
    case 'timestamp': {
      const { value } = header;
      assert(BigInt.asIntN(64, value) === value, 'a header value has 64 bits at most');
      return fixed(code[header.type], 8, (view) => view.setBigInt64(1, value));
    }
    case 'bytes':
      return sized(code.bytes, header.value);
    case 'string':
      return sized(code.string, utf8(header.value));
    case 'uuid': {
      const bytes = fromHex(header.value.replaceAll('-', ''));
      assert(bytes?.length === 16, 'a uuid has 32 hexadecimal digits');
      return concatBytes(Uint8Array.of(code.uuid), bytes);
    }
  }
}

function whole(value: number, bits: number): number {
  const isInRange =
    Number.isInteger(value) && value >= -(2 ** (bits - 1)) && value < 2 ** (bits - 1);
  assert(isInRange, `a header value is a whole number of ${bits} bits`);
  return value;
}

function fixed(type: number, length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(1 + length);
  bytes[0] = type;
  write(new DataView(bytes.buffer));
  return bytes;
}

function sized(type: number, value: Uint8Array): Uint8Array {
  assert(value.length <= headerValueBytesMax, 'a header value has 32767 bytes at most');
  const head = Uint8Array.of(type, value.length >> 8, value.length & 0xff);
  return concatBytes(head, value);
}
