/**
 * @module HuJSON: JSON with comments and trailing commas, as Tailscale writes policy files.
 *
 * Promises: a parsed document packs to exactly its input, byte for byte; the canonical format is that of
 * Tailscale's formatter, so its SHA-256 is the ETag; an edit takes the comments of a value along and touches
 * nothing else; errors have the position and the words of Tailscale's parser. Works on bytes: what is not UTF-8
 * inside a string survives. Refuses: single quotes, hexadecimal, byte order marks, a `//` comment that ends
 * without a line feed. Limits: 8 MiB, 500 levels. Names given twice parse; `plainValue` reports them.
 */
import { ok, type Result } from '../result.ts';
import { formatted } from './format.ts';
import { pack } from './pack.ts';
import { type HujsonError, parse } from './parse.ts';
import { minimized, standardized } from './standard.ts';
import type { HujsonValue } from './tree.ts';

export { type ByteText, byteTextOf, bytesOf, textOf } from './byte-text.ts';
export { HujsonDocument, type Position, parseDocument } from './document.ts';
export { find, pointerToken } from './find.ts';
export { formatted } from './format.ts';
export { isStringLiteral, literalText, stringLiteral } from './literal.ts';
export { pack, packText } from './pack.ts';
export {
  type HujsonError,
  hujsonBytesMax,
  hujsonDepthMax,
  lineColumn,
  type PartialValue,
  parse,
} from './parse.ts';
export { type PatchError, patch } from './patch.ts';
export { type Plain, type PlainProblem, plainValue } from './plain.ts';
export { isStandard, minimized, standardized } from './standard.ts';
export {
  cloneValue,
  type HujsonArray,
  type HujsonComposite,
  type HujsonLiteral,
  type HujsonMember,
  type HujsonNode,
  type HujsonObject,
  type HujsonValue,
  walk,
} from './tree.ts';

/** The document in canonical layout. */
export function format(input: Uint8Array | string): Result<Uint8Array, HujsonError> {
  return rewrite(input, formatted);
}

/** The document without white space, comments and trailing commas. */
export function minimize(input: Uint8Array | string): Result<Uint8Array, HujsonError> {
  return rewrite(input, minimized);
}

/** Standard JSON of the same length: comments and trailing commas are spaces. */
export function standardize(input: Uint8Array | string): Result<Uint8Array, HujsonError> {
  return rewrite(input, standardized);
}

function rewrite(
  input: Uint8Array | string,
  change: (value: HujsonValue) => HujsonValue,
): Result<Uint8Array, HujsonError> {
  const root = parse(input);
  return root.ok ? ok(pack(change(root.value))) : root;
}
