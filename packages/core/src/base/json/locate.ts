import { utf8Text } from '../bytes.ts';
import type { JsonLimits } from './limits.ts';
import { problemAt } from './problem.ts';
import type { JsonProblem, JsonProblemReason } from './problem.ts';
import { stringEnd } from './scan.ts';

/** How the reader below unwinds; it never leaves this file. */
class Located extends Error {
  readonly problem: JsonProblem;

  constructor(problem: JsonProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

/**
 * The first problem of a text that the fast path refused: an exact reader of RFC 8259 that builds nothing. Call it
 * only on valid UTF-8 whose depth the scan has bounded.
 */
export function locateProblem(bytes: Uint8Array, limits: JsonLimits): JsonProblem | undefined {
  const reader = new GrammarReader(bytes, limits);
  try {
    reader.document();
    return undefined;
  } catch (error) {
    if (error instanceof Located) return error.problem;
    throw error;
  }
}

class GrammarReader {
  readonly #bytes: Uint8Array;
  readonly #limits: JsonLimits;
  #at = 0;

  constructor(bytes: Uint8Array, limits: JsonLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  document(): void {
    if (this.#bytes[0] === 0xef && this.#bytes[1] === 0xbb && this.#bytes[2] === 0xbf) {
      this.#fail('A byte order mark stands before the JSON text');
    }
    this.#value();
    this.#space();
    if (this.#at < this.#bytes.length) this.#fail('Something follows the end of the JSON value');
  }

  #value(): void {
    this.#space();
    const byte = this.#bytes[this.#at];
    if (byte === 0x7b) this.#object();
    else if (byte === 0x5b) this.#array();
    else if (byte === 0x22) this.#string('string');
    else if (byte === 0x2d || (byte !== undefined && byte >= 0x30 && byte <= 0x39)) this.#number();
    else if (!this.#literal('true') && !this.#literal('false') && !this.#literal('null')) {
      this.#fail(byte === undefined ? 'The text ends where a value is due' : 'A value is due here');
    }
  }

  #object(): void {
    const seen = new Set<string>();
    this.#at += 1;
    this.#space();
    if (this.#take(0x7d)) return;
    for (;;) {
      this.#space();
      const start = this.#at;
      if (this.#bytes[start] !== 0x22) this.#fail('A member name in double quotes is due here');
      const key = this.#string('member name');
      if (this.#limits.duplicateKeys === 'refuse') {
        if (seen.has(key)) {
          this.#fail(
            `The member ${shown(key)} is named twice in one object`,
            'duplicate_key',
            start,
          );
        }
        seen.add(key);
      }
      this.#space();
      if (!this.#take(0x3a)) this.#fail('A colon is due after the member name');
      this.#value();
      this.#space();
      if (this.#take(0x7d)) return;
      if (!this.#take(0x2c)) this.#fail('A comma or the end of the object is due here');
    }
  }

  #array(): void {
    this.#at += 1;
    this.#space();
    if (this.#take(0x5d)) return;
    for (;;) {
      this.#value();
      this.#space();
      if (this.#take(0x5d)) return;
      if (!this.#take(0x2c)) this.#fail('A comma or the end of the array is due here');
    }
  }

  #string(what: string): string {
    const start = this.#at;
    const end = stringEnd(this.#bytes, start + 1);
    if (end >= this.#bytes.length) this.#fail(`A ${what} has no closing quote`, 'syntax', start);
    for (let at = start + 1; at < end; at += 1) {
      const byte = this.#bytes[at] ?? 0;
      if (byte < 0x20) this.#fail(`A control character stands in a ${what}`, 'syntax', at);
      if (byte === 0x5c) at = this.#escape(at);
    }
    this.#at = end + 1;
    if (what === 'string') return '';
    // The token was checked just now, so the native reader gives its one meaning: a string.
    return JSON.parse(utf8Text(this.#bytes.subarray(start, end + 1)) ?? '""') as string;
  }

  /** Checks the escape at the backslash and gives the offset of its last byte. */
  #escape(at: number): number {
    const kind = this.#bytes[at + 1] ?? 0;
    if (kind !== 0x75) {
      if ('"\\/bfnrt'.includes(String.fromCharCode(kind))) return at + 1;
      return this.#fail('An escape that JSON does not have', 'syntax', at);
    }
    for (let k = 2; k < 6; k += 1) {
      const digit = String.fromCharCode(this.#bytes[at + k] ?? 0);
      if (!/[0-9a-fA-F]/.test(digit))
        this.#fail('An escape with \\u needs four hex digits', 'syntax', at);
    }
    return at + 5;
  }

  #number(): void {
    const start = this.#at;
    this.#take(0x2d);
    if (!this.#take(0x30) && this.#digits() === 0) this.#fail('A digit is due here');
    if (this.#take(0x2e) && this.#digits() === 0) this.#fail('A digit is due after the point');
    if (this.#take(0x65) || this.#take(0x45)) {
      if (!this.#take(0x2b)) this.#take(0x2d);
      if (this.#digits() === 0) this.#fail('A digit is due in the exponent');
    }
    const text = utf8Text(this.#bytes.subarray(start, this.#at)) ?? '';
    if (!Number.isFinite(Number(text))) {
      this.#fail('A number is out of the range of a double', 'number_out_of_range', start);
    }
  }

  #digits(): number {
    const start = this.#at;
    for (;;) {
      const byte = this.#bytes[this.#at] ?? 0;
      if (byte < 0x30 || byte > 0x39) return this.#at - start;
      this.#at += 1;
    }
  }

  #literal(word: string): boolean {
    for (let k = 0; k < word.length; k += 1) {
      if (this.#bytes[this.#at + k] !== word.charCodeAt(k)) return false;
    }
    this.#at += word.length;
    return true;
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at += 1;
    }
  }

  #take(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #fail(what: string, reason: JsonProblemReason = 'syntax', at: number = this.#at): never {
    throw new Located(problemAt(this.#bytes, at, reason, what));
  }
}

/** A key for a message: short, and with nothing that a terminal would obey. */
function shown(key: string): string {
  const text = JSON.stringify(key);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
