/** Contents octets of the primitive types, each with the one encoding that DER gives it. */
import { utf8Text } from '../bytes.ts';
import { err, ok, type Result } from '../result.ts';

export interface BitString {
  /** Unused bits of the last octet, 0 to 7; they are zero. */
  readonly unusedBits: number;
  readonly bytes: Uint8Array;
}

export type DerTextKind =
  | 'utf8'
  | 'numeric'
  | 'printable'
  | 'teletex'
  | 'ia5'
  | 'visible'
  | 'universal'
  | 'bmp';

export interface DerText {
  readonly kind: DerTextKind;
  readonly text: string;
}

type Value<T> = Result<T, string>;

/** A 16,384-bit RSA modulus fits twice; anything longer is not an integer that we calculate with. */
const integerOctetsMax = 4_096;
/** Longest object identifier in octets: UUID-based arcs take 19 each, so this is ample. */
const oidOctetsMax = 128;

export function integerValue(content: Uint8Array): Value<bigint> {
  const first = content[0];
  if (first === undefined) return err('empty integer');
  if (content.length > integerOctetsMax) return err('integer too long');
  const second = content[1];
  if (second !== undefined) {
    if (first === 0 && second < 0x80) return err('integer with a needless leading zero');
    if (first === 0xff && second >= 0x80) return err('integer with a needless leading one');
  }
  let hex = '';
  for (const octet of content) hex += octet.toString(16).padStart(2, '0');
  const unsigned = BigInt(`0x${hex}`);
  return ok(first >= 0x80 ? unsigned - (1n << BigInt(8 * content.length)) : unsigned);
}

export function booleanValue(content: Uint8Array): Value<boolean> {
  if (content.length !== 1) return err('boolean of another length than one');
  if (content[0] === 0) return ok(false);
  return content[0] === 0xff ? ok(true) : err('boolean is neither 00 nor FF');
}

export function bitStringValue(content: Uint8Array): Value<BitString> {
  const unusedBits = content[0];
  if (unusedBits === undefined) return err('bit string without its first octet');
  if (unusedBits > 7) return err('more than seven unused bits');
  const bytes = content.subarray(1);
  const last = bytes.at(-1);
  if (last === undefined)
    return unusedBits === 0 ? ok({ unusedBits, bytes }) : err('unused bits of nothing');
  if ((last & ((1 << unusedBits) - 1)) !== 0) return err('unused bits are not zero');
  return ok({ unusedBits, bytes });
}

/** Numbers of the set bits. */
export function setBits({ bytes }: BitString): ReadonlySet<number> {
  const set = new Set<number>();
  bytes.forEach((octet, index) => {
    for (let bit = 0; bit < 8; bit += 1) {
      if ((octet & (0x80 >> bit)) !== 0) set.add(8 * index + bit);
    }
  });
  return set;
}

/** Numbers of the set bits of a named bit list, which must not end in zero bits (X.690 11.2.2). */
export function namedBitsValue(content: Uint8Array): Value<ReadonlySet<number>> {
  const bits = bitStringValue(content);
  if (!bits.ok) return bits;
  const { bytes, unusedBits } = bits.value;
  const last = bytes.at(-1);
  if (last !== undefined && (last & (1 << unusedBits)) === 0) {
    return err('named bit list with trailing zero bits');
  }
  return ok(setBits(bits.value));
}

/** The dotted text of an object identifier. */
export function oidValue(content: Uint8Array): Value<string> {
  if (content.length === 0) return err('empty object identifier');
  if (content.length > oidOctetsMax) return err('object identifier too long');
  const arcs: bigint[] = [];
  let arc = 0n;
  let isArcStart = true;
  for (const octet of content) {
    if (isArcStart && octet === 0x80) return err('object identifier arc with leading zeros');
    arc = arc * 128n + BigInt(octet & 0x7f);
    isArcStart = (octet & 0x80) === 0;
    if (isArcStart) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  if (!isArcStart) return err('object identifier ends within an arc');
  const [head = 0n, ...rest] = arcs;
  const root = head < 40n ? 0n : head < 80n ? 1n : 2n;
  return ok([root, head - root * 40n, ...rest].join('.'));
}

function ascii(content: Uint8Array): string {
  let text = '';
  for (const octet of content) text += String.fromCharCode(octet);
  return text;
}

/** Epoch milliseconds of `YYMMDDHHMMSSZ`; years 50 to 99 are of the last century (RFC 5280 4.1.2.5.1). */
export function utcTimeValue(content: Uint8Array): Value<number> {
  if (content.length !== 13) return err('UTCTime is not YYMMDDHHMMSSZ');
  const text = ascii(content);
  return instant(`${text < '5' ? '20' : '19'}${text}`);
}

/** Epoch milliseconds of `YYYYMMDDHHMMSSZ`: no fraction and no offset (RFC 5280 4.1.2.5.2). */
export function generalizedTimeValue(content: Uint8Array): Value<number> {
  if (content.length !== 15) return err('GeneralizedTime is not YYYYMMDDHHMMSSZ');
  return instant(ascii(content));
}

function instant(text: string): Value<number> {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return err('time is not digits and Z');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const iso = `${match.slice(1, 4).join('-')}T${match.slice(4, 7).join(':')}.000Z`;
  return date.toISOString() === iso ? ok(date.getTime()) : err('no such day or time');
}

const textKinds: Readonly<Record<number, DerTextKind>> = {
  12: 'utf8',
  18: 'numeric',
  19: 'printable',
  20: 'teletex',
  22: 'ia5',
  26: 'visible',
  28: 'universal',
  30: 'bmp',
};

const repertoires: Partial<Record<DerTextKind, RegExp>> = {
  numeric: /^[0-9 ]*$/,
  printable: /^[A-Za-z0-9 '()+,\-./:=?]*$/,
  visible: /^[\x20-\x7e]*$/,
};

/** The text of a character string type, by its universal tag; `undefined` where the tag is not one. */
export function textValue(tag: number, content: Uint8Array): Value<DerText> | undefined {
  const kind = textKinds[tag];
  if (kind === undefined) return undefined;
  const text = decodeText(kind, content);
  if (text === undefined) return err(`not a ${kind} string`);
  return ok({ kind, text });
}

function decodeText(kind: DerTextKind, content: Uint8Array): string | undefined {
  if (kind === 'utf8') return utf8Text(content);
  if (kind === 'bmp') return wideText(content, 2);
  if (kind === 'universal') return wideText(content, 4);
  // Teletex in certificates is Latin-1 in practice; it is only ever compared with itself.
  if (kind === 'teletex') return ascii(content);
  for (const octet of content) if (octet >= 0x80) return undefined;
  const text = ascii(content);
  return (repertoires[kind] ?? /^/).test(text) ? text : undefined;
}

function wideText(content: Uint8Array, width: 2 | 4): string | undefined {
  if (content.length % width !== 0) return undefined;
  let text = '';
  for (let at = 0; at < content.length; at += width) {
    let point = 0;
    for (let i = 0; i < width; i += 1) point = point * 256 + (content[at + i] ?? 0);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    text += String.fromCodePoint(point);
  }
  return text;
}
