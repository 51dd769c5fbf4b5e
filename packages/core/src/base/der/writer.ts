/** Builds DER: what certificate requests, fixtures and tests need. Arguments are the program's own. */
import { assert } from '../assert.ts';
import { concatBytes, utf8 } from '../bytes.ts';

function lengthOctets(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

/** One element from its identifier octet. */
export function element(identifier: number, ...content: readonly Uint8Array[]): Uint8Array {
  const whole = concatBytes(...content);
  return concatBytes(Uint8Array.of(identifier), lengthOctets(whole.length), whole);
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x30, ...parts);
}

/** A SET OF; the parts are sorted as DER wants them. */
export function setOf(...parts: readonly Uint8Array[]): Uint8Array {
  const hex = (part: Uint8Array): string =>
    Array.from(part, (octet) => octet.toString(16).padStart(2, '0')).join('');
  return element(0x31, ...[...parts].sort((a, b) => (hex(a) < hex(b) ? -1 : 1)));
}

export function integer(value: bigint | number): Uint8Array {
  let rest = BigInt(value);
  const octets: number[] = [];
  do {
    octets.unshift(Number(rest & 0xffn));
    rest >>= 8n;
  } while (rest !== 0n && rest !== -1n);
  const isNegative = BigInt(value) < 0n;
  const hasSignBit = (octets[0] ?? 0) >= 0x80;
  if (isNegative !== hasSignBit) octets.unshift(isNegative ? 0xff : 0);
  return element(0x02, Uint8Array.from(octets));
}

/** An INTEGER of the unsigned number that the octets write, most significant first. */
export function unsignedInteger(octets: Uint8Array): Uint8Array {
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0) start += 1;
  const digits = octets.subarray(start);
  return (digits[0] ?? 0) >= 0x80
    ? element(0x02, Uint8Array.of(0), digits)
    : element(0x02, digits.length === 0 ? Uint8Array.of(0) : digits);
}

export function boolean(value: boolean): Uint8Array {
  return element(0x01, Uint8Array.of(value ? 0xff : 0));
}

export function nothing(): Uint8Array {
  return element(0x05);
}

export function octetString(...content: readonly Uint8Array[]): Uint8Array {
  return element(0x04, ...content);
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  return element(0x03, Uint8Array.of(unusedBits), bytes);
}

/** A named bit list without trailing zero bits. */
export function namedBits(...bits: readonly number[]): Uint8Array {
  const highest = Math.max(-1, ...bits);
  const bytes = new Uint8Array(Math.ceil((highest + 1) / 8));
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(bytes, bytes.length === 0 ? 0 : 7 - (highest & 7));
}

export function oid(dotted: string): Uint8Array {
  const [root, second, ...rest] = dotted.split('.').map(BigInt);
  assert(root !== undefined && second !== undefined, `object identifier: ${dotted}`);
  const octets = [root * 40n + second, ...rest].flatMap((arc) => {
    const digits = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) {
      digits.unshift(Number(left & 0x7fn) | 0x80);
    }
    return digits;
  });
  return element(0x06, Uint8Array.from(octets));
}

export function utf8String(text: string): Uint8Array {
  return element(0x0c, utf8(text));
}

export function printableString(text: string): Uint8Array {
  return element(0x13, utf8(text));
}

export function ia5String(text: string): Uint8Array {
  return element(0x16, utf8(text));
}

/** Validity times as RFC 5280 wants them: UTCTime through 2049, GeneralizedTime from 2050. */
export function time(epochMs: number): Uint8Array {
  const digits = new Date(epochMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:T]/g, '');
  const year = Number(digits.slice(0, 4));
  return year >= 1950 && year < 2050
    ? element(0x17, utf8(digits.slice(2)))
    : element(0x18, utf8(digits));
}

/** An explicit context tag around one element. */
export function explicit(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return element(0xa0 | tag, ...parts);
}

/** The element with its universal tag replaced by a context tag; the form (constructed or not) stays. */
export function implicit(tag: number, part: Uint8Array): Uint8Array {
  const replaced = part.slice();
  replaced[0] = 0x80 | ((part[0] ?? 0) & 0x20) | tag;
  return replaced;
}
