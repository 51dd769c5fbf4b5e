/** Text to tree, with the messages and positions of Tailscale's parser. */
import { assert } from '../assert.ts';
import { isPrintable } from '../quote.ts';
import { err, ok, type Result } from '../result.ts';
import { type ByteText, byteTextOf, decodeAt, isUtf8, textOf } from './byte-text.ts';
import { skipComment, skipWhitespace } from './extra.ts';
import { isLiteral, isStringLiteral } from './literal.ts';
import type { HujsonArray, HujsonNode, HujsonObject, HujsonValue } from './tree.ts';

/** Largest document, in bytes. Policy files stay below 1 MiB; the tree takes some 50 times its text. */
export const hujsonBytesMax: number = 8 * 1024 * 1024;
/** Deepest nesting of objects and arrays. Every walk over a tree is recursive and must fit the stack. */
export const hujsonDepthMax = 500;

/** Where a document stops being HuJSON. Columns and the offset count bytes; lines and columns start at 1. */
export interface HujsonError {
  /** `hujson: line L, column C: detail`. */
  readonly message: string;
  readonly detail: string;
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  /** What had been read of the outermost value; `value` is absent where nothing of it had. */
  readonly partial: PartialValue;
}

export type PartialValue = Omit<HujsonValue, 'value'> & { readonly value: HujsonNode | undefined };

/** Reads one document. */
export function parse(input: Uint8Array | string): Result<HujsonValue, HujsonError> {
  const parser = new Parser(input.length > hujsonBytesMax ? '' : byteTextOf(input));
  if (input.length > hujsonBytesMax) {
    return err(parser.error(0, `longer than ${hujsonBytesMax} bytes`, partialValue('')));
  }
  return parser.document();
}

/** 1-based line and byte column of an offset. */
export function lineColumn(
  text: ByteText,
  offset: number,
): { readonly line: number; readonly column: number } {
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    line += 1;
    lineStart = at + 1;
  }
  return { line, column: offset - lineStart + 1 };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function partialValue(beforeExtra: ByteText): Mutable<PartialValue> {
  return { beforeExtra, startOffset: 0, value: undefined, endOffset: 0, afterExtra: undefined };
}

/** Every method returns undefined or false after `#fail`; the first failure is the error of the document. */
class Parser {
  readonly #text: ByteText;
  #at = 0;
  #failure: { readonly offset: number; readonly detail: string } | undefined;

  constructor(text: ByteText) {
    this.#text = text;
  }

  document(): Result<HujsonValue, HujsonError> {
    const slot = partialValue('');
    const value = this.#value(slot, 0);
    if (value !== undefined) {
      if (this.#at === this.#text.length) return ok(value);
      this.#failCharacter(this.#at, 'after top-level value');
    }
    assert(this.#failure !== undefined, 'a parser that stops has a reason');
    return err(this.error(this.#failure.offset, this.#failure.detail, slot));
  }

  error(offset: number, detail: string, partial: PartialValue): HujsonError {
    const { line, column } = lineColumn(this.#text, offset);
    const message = `hujson: line ${line}, column ${column}: ${detail}`;
    return { message, detail, line, column, offset, partial };
  }

  #fail(offset: number, detail: string): undefined {
    this.#failure ??= { offset, detail };
  }

  #failCharacter(offset: number, where: string): undefined {
    this.#fail(offset, `invalid character ${describeCharacter(this.#text, offset)} ${where}`);
  }

  /** White space and comments; undefined after a failure. */
  #extra(): ByteText | undefined {
    const start = this.#at;
    for (;;) {
      this.#at = skipWhitespace(this.#text, this.#at);
      if (this.#text.charAt(this.#at) !== '/') break;
      const end = skipComment(this.#text, this.#at);
      if (end === undefined) return this.#fail(this.#at, 'parsing comment: unexpected EOF');
      if (end === this.#at) break;
      if (!isUtf8(this.#text.slice(this.#at, end))) {
        return this.#fail(this.#at, 'invalid UTF-8 in comment');
      }
      this.#at = end;
    }
    return this.#text.slice(start, this.#at);
  }

  /** Fills `slot` step by step, so that a failure leaves what had been read. */
  #value(slot: Mutable<PartialValue>, depth: number): HujsonValue | undefined {
    const before = this.#extra();
    if (before === undefined) return undefined;
    slot.beforeExtra = before;
    return this.#valueAfterExtra(slot, depth);
  }

  #valueAfterExtra(slot: Mutable<PartialValue>, depth: number): HujsonValue | undefined {
    slot.startOffset = this.#at;
    const node = this.#node(slot, depth);
    if (node === undefined) return undefined;
    slot.endOffset = this.#at;
    const after = this.#extra();
    if (after === undefined) return undefined;
    slot.afterExtra = after === '' ? undefined : after;
    return { ...slot, value: node };
  }

  #node(slot: Mutable<PartialValue>, depth: number): HujsonNode | undefined {
    const text = this.#text;
    if (this.#at === text.length) return this.#fail(this.#at, 'parsing value: unexpected EOF');
    const char = text.charAt(this.#at);
    if (char === '{' || char === '[') {
      if (depth >= hujsonDepthMax) {
        return this.#fail(this.#at, `nested deeper than ${hujsonDepthMax} levels`);
      }
      this.#at += 1;
      if (char === '{') {
        const object: HujsonObject = { kind: 'object', members: [], afterExtra: '' };
        slot.value = object;
        return this.#object(object, depth) ? object : undefined;
      }
      const array: HujsonArray = { kind: 'array', elements: [], afterExtra: '' };
      slot.value = array;
      return this.#array(array, depth) ? array : undefined;
    }
    const literal = char === '"' ? this.#string() : this.#word();
    if (literal === undefined) return undefined;
    const node: HujsonNode = { kind: 'literal', text: literal };
    slot.value = node;
    return node;
  }

  #object(object: HujsonObject, depth: number): boolean {
    for (;;) {
      const before = this.#extra();
      if (before === undefined) return false;
      if (this.#closes('}', object, before)) return true;
      const name = this.#valueAfterExtra(partialValue(before), depth + 1);
      if (name === undefined) return false;
      if (name.value.kind !== 'literal' || !isStringLiteral(name.value.text)) {
        this.#failCharacter(name.startOffset, 'at start of object name');
        return false;
      }
      if (!this.#colon()) return false;
      const value = this.#value(partialValue(''), depth + 1);
      if (value === undefined) return false;
      object.members.push({ name, value });
      const next = this.#separator('object', '}');
      if (next === undefined) return false;
      if (next === 'end') return endOf(object, value);
    }
  }

  #array(array: HujsonArray, depth: number): boolean {
    for (;;) {
      const before = this.#extra();
      if (before === undefined) return false;
      if (this.#closes(']', array, before)) return true;
      const element = this.#valueAfterExtra(partialValue(before), depth + 1);
      if (element === undefined) return false;
      array.elements.push(element);
      const next = this.#separator('array', ']');
      if (next === undefined) return false;
      if (next === 'end') return endOf(array, element);
    }
  }

  /** A closing bracket where a value could start: an empty composite, or the end after a trailing comma. */
  #closes(bracket: string, composite: HujsonObject | HujsonArray, before: ByteText): boolean {
    if (this.#text.charAt(this.#at) !== bracket) return false;
    const last =
      composite.kind === 'object' ? composite.members.at(-1)?.value : composite.elements.at(-1);
    if (last !== undefined) last.afterExtra ??= '';
    composite.afterExtra = before;
    this.#at += 1;
    return true;
  }

  #colon(): boolean {
    if (this.#at === this.#text.length) {
      this.#fail(this.#at, 'parsing object after name: unexpected EOF');
      return false;
    }
    if (this.#text.charAt(this.#at) !== ':') {
      this.#failCharacter(this.#at, 'after object name');
      return false;
    }
    this.#at += 1;
    return true;
  }

  #separator(what: 'object' | 'array', bracket: string): 'more' | 'end' | undefined {
    if (this.#at === this.#text.length) {
      return this.#fail(this.#at, `parsing ${what} after value: unexpected EOF`);
    }
    const char = this.#text.charAt(this.#at);
    if (char !== ',' && char !== bracket) {
      return this.#failCharacter(this.#at, `after ${what} value (expecting ',' or '${bracket}')`);
    }
    this.#at += 1;
    return char === ',' ? 'more' : 'end';
  }

  #string(): ByteText | undefined {
    const start = this.#at;
    for (let at = start + 1; at < this.#text.length; at += 1) {
      const char = this.#text.charAt(at);
      if (char === '\\') {
        at += 1;
      } else if (char === '"') {
        this.#at = at + 1;
        return this.#checked(start);
      }
    }
    return this.#fail(this.#text.length, 'parsing string: unexpected EOF');
  }

  #word(): ByteText | undefined {
    const start = this.#at;
    while (isWordCode(this.#text.charCodeAt(this.#at))) this.#at += 1;
    if (this.#at === start) return this.#failCharacter(start, 'at start of value');
    return this.#checked(start);
  }

  #checked(start: number): ByteText | undefined {
    const literal = this.#text.slice(start, this.#at);
    return isLiteral(literal) ? literal : this.#fail(start, `invalid literal: ${textOf(literal)}`);
  }
}

/** What stood before the closing bracket belongs to the composite, not to its last value. */
function endOf(composite: HujsonObject | HujsonArray, last: HujsonValue): true {
  composite.afterExtra = last.afterExtra ?? '';
  last.afterExtra = undefined;
  return true;
}

/** `-`, `+`, `.`, letters and digits; NaN at the end of the text is none of them. */
function isWordCode(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x2d ||
    code === 0x2b ||
    code === 0x2e
  );
}

function describeCharacter(text: ByteText, at: number): string {
  const { code, length } = decodeAt(text, at);
  if (code === 0xfffd && length === 1) return `'\\x${hex(text.charCodeAt(at), 2)}'`;
  if (code === 0x27 || code === 0x5c) return `'\\${String.fromCodePoint(code)}'`;
  if (isPrintable(code)) return `'${String.fromCodePoint(code)}'`;
  return code <= 0xffff ? `'\\u${hex(code, 4)}'` : `'\\U${hex(code, 8)}'`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
