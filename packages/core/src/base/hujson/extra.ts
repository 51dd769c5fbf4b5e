/** What may stand between the parts of a document: white space and comments. */
import type { ByteText } from './byte-text.ts';

/** White space is exactly space, tab, carriage return and line feed (RFC 8259 section 2). */
function isWhitespace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

/** The offset of the first byte at or after `at` that is not white space. */
export function skipWhitespace(text: ByteText, at = 0): number {
  let end = at;
  while (end < text.length && isWhitespace(text.charCodeAt(end))) end += 1;
  return end;
}

/**
 * The offset after the comment that starts at `at`; `at` itself where none starts; undefined where one starts
 * and never ends. A line comment ends with its line feed, so one that ends with the input never ends.
 */
export function skipComment(text: ByteText, at = 0): number | undefined {
  const line = text.startsWith('//', at);
  if (!line && !text.startsWith('/*', at)) return at;
  const terminator = line ? '\n' : '*/';
  const end = text.indexOf(terminator, at + 2);
  return end < 0 ? undefined : end + terminator.length;
}

/** Like `skipComment`, where a comment without end counts as none. */
export function skipWholeComment(text: ByteText, at = 0): number {
  return skipComment(text, at) ?? at;
}

export function hasComment(extra: ByteText): boolean {
  return skipWhitespace(extra) < extra.length;
}

export function hasNewline(extra: ByteText | undefined): boolean {
  return extra?.includes('\n') ?? false;
}

export function countNewlines(text: ByteText): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
