/**
 * Which comments belong to which member or element. A block of comments right above an entry, and a comment on the
 * same line after it (with the lines that continue it up to a blank line), go with the entry when it is
 * moved or removed; blocks set apart by blank lines stay. Comments between a name and its colon, a colon and
 * its value, or a value and its comma are lost with the entry.
 */
import type { ByteText } from './byte-text.ts';
import { countNewlines, hasComment, skipWhitespace, skipWholeComment } from './extra.ts';

/** `extra.slice(0, prevEnd)` belongs to the entry before, `extra.slice(currStart)` to the entry after. */
function classify(extra: ByteText): { readonly prevEnd: number; readonly currStart: number } {
  let firstDivider: number | undefined;
  let lastDivider = 0;
  let newlinesBefore = 0;
  for (let at = 0; at < extra.length; ) {
    const end = skipWhitespace(extra, at);
    if (newlinesBefore + countNewlines(extra.slice(at, end)) >= 2) {
      firstDivider ??= at;
      lastDivider = at;
    }
    const next = skipWholeComment(extra, end);
    if (next === end) break;
    newlinesBefore = extra.charAt(next - 1) === '\n' ? 1 : 0;
    at = next;
  }
  if (firstDivider !== undefined) return { prevEnd: firstDivider, currStart: lastDivider };
  // Without a blank line, a line comment that starts on the first line belongs to the entry before.
  const end = skipWholeComment(extra, skipWhitespace(extra));
  const first = extra.slice(0, end);
  const own = countNewlines(first) === 1 && first.endsWith('\n') ? end : 0;
  return { prevEnd: own, currStart: own };
}

/** Both parts of an extra: what was asked for and what stays when it is taken out. */
export interface Extraction {
  readonly comments: ByteText;
  readonly rest: ByteText;
}

/** The comments that belong to the entry after this extra. */
export function leadingComments(extra: ByteText): Extraction {
  const at = skipWhitespace(extra, classify(extra).currStart);
  return { comments: extra.slice(at), rest: extra.slice(0, at) };
}

/** The comments that belong to the entry before this extra. A line feed that ends them also stays. */
export function trailingComments(extra: ByteText): Extraction {
  const { prevEnd } = classify(extra);
  const comments = extra.slice(0, prevEnd);
  return { comments, rest: extra.slice(comments.endsWith('\n') ? prevEnd - 1 : prevEnd) };
}

/** The extra with `leading` in the place of the comments of the entry after it. */
export function withLeadingComments(extra: ByteText, leading: ByteText): ByteText {
  if (leading === '') return extra;
  const kept = leadingComments(extra).rest;
  const comments = leading.slice(skipWhitespace(leading));
  if (comments === '') return kept;
  const newline = kept.lastIndexOf('\n');
  const onOwnLine = newline >= 0 && !hasComment(kept.slice(newline));
  return onOwnLine ? kept + comments : `${kept}\n${comments}`;
}

/** The extra with `trailing` in the place of the comments of the entry before it. */
export function withTrailingComments(extra: ByteText, trailing: ByteText): ByteText {
  if (trailing === '') return extra;
  const { rest } = trailingComments(extra);
  if (!hasComment(trailing)) return rest;
  const doubled = trailing.endsWith('\n') && rest.startsWith('\n');
  return (doubled ? trailing.slice(0, -1) : trailing) + rest;
}

/** What is left between two entries when the one between the extras is gone. */
export function joinAround(before: ByteText, after: ByteText): ByteText {
  return hasComment(before) ? before + after.slice(skipWhitespace(after)) : after;
}
