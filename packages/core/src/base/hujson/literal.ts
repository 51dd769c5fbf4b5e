/** Literals: null, booleans, numbers and strings as they are written. */
import { type ByteText, byteTextOf, decodeAt } from './byte-text.ts';

const numberForm = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const plainEscapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const shortForms: ReadonlyMap<number, string> = new Map([
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);

export function isStringLiteral(literal: ByteText): boolean {
  return literal.startsWith('"');
}

/** Whether it is one JSON literal. Bytes above 0x7f in strings are not looked at, as in Go's encoding/json. */
export function isLiteral(literal: ByteText): boolean {
  if (isStringLiteral(literal)) return isWellFormedString(literal);
  return (
    literal === 'null' || literal === 'true' || literal === 'false' || numberForm.test(literal)
  );
}

function isWellFormedString(literal: ByteText): boolean {
  const last = literal.length - 1;
  if (last < 1 || literal.charAt(last) !== '"') return false;
  for (let i = 1; i < last; i += 1) {
    const code = literal.charCodeAt(i);
    if (code < 0x20 || code === 0x22) return false;
    if (code !== 0x5c) continue;
    i += 1;
    const escape = literal.charAt(i);
    if (escape === 'u') {
      if (i + 4 >= last || !/^[0-9a-fA-F]{4}$/.test(literal.slice(i + 1, i + 5))) return false;
      i += 4;
    } else if (i >= last || !(escape in plainEscapes)) {
      return false;
    }
  }
  return true;
}

/**
 * What a string literal says. A surrogate without its partner and every byte that is not UTF-8 become U+FFFD,
 * as in Go. Any other literal gives its own text.
 */
export function literalText(literal: ByteText): string {
  if (!isStringLiteral(literal)) return literal;
  let out = '';
  for (let i = 1; i < literal.length - 1; ) {
    if (literal.charAt(i) !== '\\') {
      const { code, length } = decodeAt(literal, i);
      out += String.fromCodePoint(code);
      i += length;
    } else if (literal.charAt(i + 1) === 'u') {
      out += String.fromCharCode(Number.parseInt(literal.slice(i + 2, i + 6), 16));
      i += 6;
    } else {
      out += plainEscapes[literal.charAt(i + 1)] ?? '';
      i += 2;
    }
  }
  return out.toWellFormed();
}

/** The shortest string literal that says the text (RFC 8785 section 3.2.2.2). */
export function stringLiteral(text: string): ByteText {
  let out = '"';
  for (const char of text.toWellFormed()) {
    const code = char.codePointAt(0) ?? 0;
    const short = shortForms.get(code);
    if (short !== undefined) out += short;
    else out += code < 0x20 ? `\\u${code.toString(16).padStart(4, '0')}` : char;
  }
  return byteTextOf(`${out}"`);
}

/** Whether a string literal says `text`. One without escapes is compared byte by byte, as the original does. */
export function literalSays(literal: ByteText, text: string): boolean {
  if (!literal.includes('\\')) return literal.slice(1, -1) === byteTextOf(text);
  return literalText(literal) === text;
}
