/** Canonical white space and comments. */
import { type ByteText, trimRightSpace } from './byte-text.ts';
import { countNewlines, hasNewline, skipWhitespace, skipWholeComment } from './extra.ts';

export interface ExtraLayout {
  readonly ensureLeadingNewline?: boolean;
  readonly ensureTrailingNewline?: boolean;
  readonly removeLeadingEmptyLines?: boolean;
  readonly removeTrailingEmptyLines?: boolean;
  /** The closing bracket that follows stands one level further out. */
  readonly unindentLastLine?: boolean;
  readonly appendSpaceIfEmpty?: boolean;
}

/** The extra as it is written at `depth` tabs. Comments keep their words; white space is made canonical. */
export function formatExtra(extra: ByteText, depth: number, layout: ExtraLayout): ByteText {
  const input = extra.replaceAll('\r\n', '\n').replaceAll('\n\r', '\n').replaceAll('\r', ' ');
  const leading = layout.ensureLeadingNewline === true && !hasNewline(input) ? '\n' : '';
  let out = leading + formatParagraphs(input, depth, leading);
  if (layout.ensureTrailingNewline === true && !out.endsWith('\n')) out += '\n';
  if (layout.removeLeadingEmptyLines === true) out = out.replace(/^\n+(?=\n)/, '');
  if (layout.removeTrailingEmptyLines === true) {
    while (out.endsWith('\n\n')) out = out.slice(0, -1);
  }
  if (out.endsWith('\n')) {
    out += '\t'.repeat(Math.max(0, layout.unindentLastLine === true ? depth - 1 : depth));
  } else if (out !== '') {
    out += ' ';
  }
  return layout.appendSpaceIfEmpty === true && out === '' ? ' ' : out;
}

/** `before` is what the caller has already written, which decides on the first indentation. */
function formatParagraphs(input: ByteText, depth: number, before: ByteText): ByteText {
  const indent = '\t'.repeat(depth);
  let out = '';
  for (let at = 0; at < input.length; ) {
    const end = skipWhitespace(input, at);
    if (end > at) {
      // Never more than one blank line.
      out += '\n'.repeat(Math.min(2, countNewlines(input.slice(at, end))));
      at = end;
      continue;
    }
    const next = skipWholeComment(input, at);
    if (next === at) break;
    out += (before + out).endsWith('\n') ? indent : ' ';
    const comment = input.slice(at, next);
    const isLine = comment.startsWith('//');
    out += isLine || !hasNewline(comment) ? trimRightSpace(comment) : blockLines(comment, depth);
    // The line feed that ends a line comment is white space of the next round.
    at = isLine ? next - 1 : next;
  }
  return out;
}

/** A block comment of several lines, indented as a whole; a column of stars is aligned. */
function blockLines(comment: ByteText, depth: number): ByteText {
  const [first = '', ...rest] = comment.split('\n').map((line) => trimRightSpace(line));
  const prefix = alignLastLine(rest);
  const prefixLength = skipWhitespace(prefix);
  const hasEmptyLine = first === '' || rest.includes('');
  const starred = !hasEmptyLine && prefix.charAt(prefixLength) === '*';
  const indent = '\t'.repeat(depth) + (starred ? ' ' : '');
  const lines = rest.map((line) => (line === '' ? '' : indent + line.slice(prefixLength)));
  return [first, ...lines].join('\n');
}

/**
 * The longest common prefix of the lines after the first. A last line that is just the end of the comment
 * takes no part: it is given the white space of the others.
 */
function alignLastLine(rest: ByteText[]): ByteText {
  let prefix = rest.find((line) => line !== '') ?? '';
  for (const [i, line] of rest.entries()) {
    if (line === '') continue;
    if (line.endsWith('*/') && skipWhitespace(line) + 2 === line.length) {
      rest[i] = `${prefix.slice(0, skipWhitespace(prefix))}*/`;
      break;
    }
    prefix = commonPrefix(line, prefix);
  }
  return prefix;
}

/** Like the original, a prefix is cut only where a byte differs, never where the line is shorter. */
function commonPrefix(line: ByteText, prefix: ByteText): ByteText {
  const length = Math.min(line.length, prefix.length);
  for (let i = 0; i < length; i += 1) {
    if (line.charAt(i) !== prefix.charAt(i)) return prefix.slice(0, i);
  }
  return prefix;
}
