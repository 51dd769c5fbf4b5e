import { utf8Text } from '../bytes.ts';
import type { JsonValue } from '../json-value.ts';
import { jsonValueOf } from './parse.ts';

/** Beyond this the time of an answer is its bytes, and there is room for the reader that builds a tree. */
const glanceBytesMax = 65_536;
const depthMax = 64;

/** What a glance found: the value of the member, or that there is none. */
export interface GlancedMember {
  readonly value: JsonValue | undefined;
}

/**
 * One top-level member of an object, without building the rest of it. The whole text is walked and its grammar checked;
 * undefined where it is no such object, or of a shape (depth, numbers, names with escapes) that is for `readJson`. Where
 * it gives a value, `readJson` gives the same one.
 */
export function glanceMember(bytes: Uint8Array, name: string): GlancedMember | undefined {
  if (bytes.length > glanceBytesMax) return undefined;
  const walk = new Walk(bytes, name);
  if (!walk.run()) return undefined;
  if (!walk.isAscii && utf8Text(bytes) === undefined) return undefined;
  if (walk.start === walk.end) return absent;
  const text = utf8Text(bytes.subarray(walk.start, walk.end));
  const value = text === undefined ? undefined : jsonValueOf(text);
  return value === undefined ? undefined : { value };
}

const absent: GlancedMember = Object.freeze({ value: undefined });

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;

class Walk {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #at = 0;
  isAscii = true;
  /** Where the value of the member stands; the last one of that name counts. */
  start = 0;
  end = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  run(): boolean {
    this.#space();
    if (!this.#object(1)) return false;
    this.#space();
    return this.#at === this.#bytes.length;
  }

  #object(depth: number): boolean {
    if (depth > depthMax || !this.#take(0x7b)) return false;
    this.#space();
    if (this.#take(0x7d)) return true;
    for (;;) {
      this.#space();
      const from = this.#at;
      if (!this.#string(depth > 1)) return false;
      const isIt = depth === 1 && this.#isName(from);
      this.#space();
      if (!this.#take(colon)) return false;
      this.#space();
      const start = this.#at;
      if (!this.#value(depth + 1)) return false;
      if (isIt) {
        this.start = start;
        this.end = this.#at;
      }
      this.#space();
      if (this.#take(0x7d)) return true;
      if (!this.#take(comma)) return false;
    }
  }

  #array(depth: number): boolean {
    if (depth > depthMax || !this.#take(0x5b)) return false;
    this.#space();
    if (this.#take(0x5d)) return true;
    for (;;) {
      this.#space();
      if (!this.#value(depth + 1)) return false;
      this.#space();
      if (this.#take(0x5d)) return true;
      if (!this.#take(comma)) return false;
    }
  }

  #value(depth: number): boolean {
    switch (this.#bytes[this.#at] ?? 0) {
      case quote:
        return this.#string(true);
      case 0x7b:
        return this.#object(depth);
      case 0x5b:
        return this.#array(depth);
      case 0x74:
        return this.#word('true');
      case 0x66:
        return this.#word('false');
      case 0x6e:
        return this.#word('null');
      default:
        return this.#number();
    }
  }

  /** Past a string. Names at the top have one spelling here, since it is by that that they are known. */
  #string(mayEscape: boolean): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== quote) return false;
    for (let at = this.#at + 1; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte === quote) {
        this.#at = at + 1;
        return true;
      }
      if (byte < 0x20) return false;
      if (byte >= 0x80) this.isAscii = false;
      if (byte === backslash) {
        const length = mayEscape ? this.#escapeAt(at) : 0;
        if (length === 0) return false;
        at += length - 1;
      }
    }
    return false;
  }

  /** Its length; 0 where it is none. */
  #escapeAt(at: number): number {
    const kind = this.#bytes[at + 1] ?? 0;
    // u, then any of " \ / b f n r t
    if (kind === 0x75) {
      for (let digit = at + 2; digit < at + 6; digit += 1) {
        if (!isHex(this.#bytes[digit] ?? 0)) return 0;
      }
      return 6;
    }
    return simpleEscapes.includes(kind) ? 2 : 0;
  }

  /** Plain decimals of a size that no reader sees differently. */
  #number(): boolean {
    if (this.#bytes[this.#at] === 0x2d) this.#at += 1;
    const from = this.#at;
    const whole = this.#digits();
    if (whole === 0 || whole > 15 || (whole > 1 && this.#bytes[from] === 0x30)) return false;
    if (this.#take(0x2e)) {
      const fraction = this.#digits();
      if (fraction === 0 || fraction > 20) return false;
    }
    const after = this.#bytes[this.#at] ?? 0;
    return after !== 0x65 && after !== 0x45;
  }

  #digits(): number {
    const from = this.#at;
    for (;;) {
      const byte = this.#bytes[this.#at] ?? 0;
      if (byte < 0x30 || byte > 0x39) return this.#at - from;
      this.#at += 1;
    }
  }

  #word(word: string): boolean {
    for (let index = 0; index < word.length; index += 1) {
      if (this.#bytes[this.#at + index] !== word.charCodeAt(index)) return false;
    }
    this.#at += word.length;
    return true;
  }

  /** Whether the string that begins at `from`, and ends here, is the name that is looked for. */
  #isName(from: number): boolean {
    const name = this.#name;
    if (this.#at - from !== name.length + 2) return false;
    for (let index = 0; index < name.length; index += 1) {
      if (this.#bytes[from + 1 + index] !== name.charCodeAt(index)) return false;
    }
    return true;
  }

  #take(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at += 1;
    }
  }
}

/** `"`, `\`, `/`, b, f, n, r, t */
const simpleEscapes: readonly number[] = [0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74];

function isHex(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x46) ||
    (byte >= 0x61 && byte <= 0x66)
  );
}
