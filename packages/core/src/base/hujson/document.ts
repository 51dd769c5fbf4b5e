/** A parsed document that can say where things stand. */
import { ok, type Result } from '../result.ts';
import { type ByteText, byteTextOf } from './byte-text.ts';
import { resolve } from './find.ts';
import { type HujsonError, parse } from './parse.ts';
import { type Plain, plainValue } from './plain.ts';
import type { HujsonValue } from './tree.ts';

/** Where something starts. Lines and columns start at 1, columns and offsets count bytes. */
export interface Position {
  readonly line: number;
  readonly column: number;
  readonly offset: number;
}

/** An immutable document: its tree must not be changed. */
export class HujsonDocument {
  readonly root: HujsonValue;
  readonly #lineStarts: readonly number[];
  #plain: Plain | undefined;

  constructor(root: HujsonValue, text: ByteText) {
    this.root = root;
    const starts = [0];
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }

  /** The plain value with what it could not say; made once. */
  get plain(): Plain {
    this.#plain ??= plainValue(this.root);
    return this.#plain;
  }

  positionAt(offset: number): Position {
    let low = 0;
    let high = this.#lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (this.#lineStarts[low] ?? 0) + 1, offset };
  }

  /** Where the value at a JSON pointer starts; undefined where there is none. */
  positionOf(pointer: string): Position | undefined {
    const place = resolve(this.root, pointer);
    return place.ok ? this.positionAt(place.value.value.startOffset) : undefined;
  }

  /** Where the name of the object member at a JSON pointer starts; for anything else, its value. */
  positionOfName(pointer: string): Position | undefined {
    const place = resolve(this.root, pointer);
    if (!place.ok) return undefined;
    const { parent, index, value } = place.value;
    const name = parent?.kind === 'object' ? parent.members[index]?.name : undefined;
    return this.positionAt((name ?? value).startOffset);
  }

  /** The position of the value, or of the nearest thing around it that exists. Never fails. */
  nearestPosition(pointer: string): Position {
    let rest = pointer;
    for (;;) {
      const found = this.positionOf(rest);
      if (found !== undefined) return found;
      if (rest === '') return this.positionAt(this.root.startOffset);
      rest = rest.slice(0, Math.max(0, rest.lastIndexOf('/')));
    }
  }
}

export function parseDocument(input: Uint8Array | string): Result<HujsonDocument, HujsonError> {
  const root = parse(input);
  return root.ok ? ok(new HujsonDocument(root.value, byteTextOf(input))) : root;
}
