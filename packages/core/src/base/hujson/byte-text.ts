/**
 * Byte text: a string in which every character is one byte (0 to 255). Offsets into it are byte offsets, slices
 * share memory, and bytes that are not UTF-8 survive.
 */

export type ByteText = string;

const chunkBytes = 0x8000;

export function byteTextOf(input: Uint8Array | string): ByteText {
  if (typeof input === 'string') {
    return isAscii(input) ? input : byteTextOf(new TextEncoder().encode(input));
  }
  let text = '';
  for (let i = 0; i < input.length; i += chunkBytes) {
    text += String.fromCharCode(...input.subarray(i, i + chunkBytes));
  }
  return text;
}

export function bytesOf(text: ByteText): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** One code point: its value and length in bytes. Where the bytes are not UTF-8: U+FFFD and 1, as Go does. */
interface Decoded {
  readonly code: number;
  readonly length: number;
}

const invalid: Decoded = { code: 0xfffd, length: 1 };

/** Go's `utf8.DecodeRune` at an offset that is inside the text. */
export function decodeAt(text: ByteText, at: number): Decoded {
  const lead = text.charCodeAt(at);
  if (lead < 0x80) return { code: lead, length: 1 };
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + length > text.length) return invalid;
  let code = lead & (0xff >> (length + 1));
  for (let i = at + 1; i < at + length; i += 1) {
    const next = text.charCodeAt(i);
    if ((next & 0xc0) !== 0x80) return invalid;
    code = (code << 6) | (next & 0x3f);
  }
  const overlong = (length === 3 && code < 0x800) || (length === 4 && code < 0x1_0000);
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10_ffff ? invalid : { code, length };
}

/** Whether the bytes are UTF-8 (RFC 3629). */
export function isUtf8(text: ByteText): boolean {
  if (isAscii(text)) return true;
  for (let at = 0; at < text.length; ) {
    const { code, length } = decodeAt(text, at);
    if (code === 0xfffd && length === 1) return false;
    at += length;
  }
  return true;
}

/** The text for people and programs; every byte that is not UTF-8 becomes U+FFFD, as Go does. */
export function textOf(text: ByteText): string {
  if (isAscii(text)) return text;
  let out = '';
  for (let at = 0; at < text.length; ) {
    const { code, length } = decodeAt(text, at);
    out += String.fromCodePoint(code);
    at += length;
  }
  return out;
}

/** UTF-8 of the code points for which Go's `unicode.IsSpace` holds. */
const spaces: readonly ByteText[] = [
  ...'\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000'.split(''),
  ...Array.from({ length: 11 }, (_, i) => String.fromCodePoint(0x2000 + i)),
].map((space) => byteTextOf(space));

/** Go's `bytes.TrimRightFunc(text, unicode.IsSpace)`. */
export function trimRightSpace(text: ByteText): ByteText {
  let end = text.length;
  for (;;) {
    const space = spaces.find((candidate) => text.endsWith(candidate, end));
    if (space === undefined) return text.slice(0, end);
    end -= space.length;
  }
}
