/** Why a text is not JSON that we read. */
export type JsonProblemReason =
  | 'too_large'
  | 'not_utf8'
  | 'syntax'
  | 'too_deep'
  | 'too_many_keys'
  | 'too_many_values'
  | 'string_too_long'
  | 'number_too_long'
  | 'number_out_of_range'
  | 'duplicate_key';

export interface JsonProblem {
  readonly reason: JsonProblemReason;
  /** Bytes from the start. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters (code points). */
  readonly column: number;
  /** What is wrong, fit for the caller, without the position and without a full stop. It quotes keys, never values. */
  readonly message: string;
}

/** A problem at a byte offset; the position is counted only now, so that good texts pay nothing for it. */
export function problemAt(
  bytes: Uint8Array,
  offset: number,
  reason: JsonProblemReason,
  what: string,
): JsonProblem {
  const end = Math.min(offset, bytes.length);
  let line = 1;
  let lineStart = 0;
  for (let at = 0; at < end; at += 1) {
    if (bytes[at] === 0x0a) {
      line += 1;
      lineStart = at + 1;
    }
  }
  let column = 1;
  // Continuation bytes belong to the character that began before them.
  for (let at = lineStart; at < end; at += 1) if (((bytes[at] ?? 0) & 0xc0) !== 0x80) column += 1;
  return { reason, offset, line, column, message: what };
}

/** The offset of the first byte that is not UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). */
export function firstBadUtf8(bytes: Uint8Array): number | undefined {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return undefined;
}

function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The second byte of some leads is narrower: it excludes overlong forms, surrogates and what lies past U+10FFFF.
  const second = bytes[at + 1] ?? 0;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let k = 2; k < length; k += 1) if (((bytes[at + k] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}
