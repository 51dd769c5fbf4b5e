import type { JsonValue } from '@postern/core/base';
import { mcpLimits } from './limits.ts';

/**
 * What no name, comment or message may carry to a model: control characters, marks that turn the direction of text, zero
 * width, the tags of plane 14, variation selectors (both are used to hide words from people), line separators, and
 * surrogates without their other half. Line feeds and tabs stay in documents.
 */
const hidden =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Variation_Selector}\u{e0000}-\u{e0fff}\u115f\u1160\u2028\u2029\u3164\uffa0]/gu;
const hiddenInDocument =
  /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Variation_Selector}\u{e0000}-\u{e0fff}\u115f\u1160\u2028\u2029\u3164\uffa0]/gu;

/** Where something was hidden: visible, so that nobody takes the rest for the whole. */
const mark = '\u{fffd}';

/** A name, a tag, a message: one line of bounded length, without anything hidden. */
export function plainLine(text: string, charsMax: number = mcpLimits.textCharsMax): string {
  return cut(text.replaceAll(hidden, mark), charsMax);
}

/** A text of several lines. */
export function plainDocument(text: string, charsMax: number = mcpLimits.documentCharsMax): string {
  return cut(text.replaceAll(hiddenInDocument, mark), charsMax);
}

function cut(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  return `${text.slice(0, charsMax - 1).replace(/[\ud800-\udbff]$/u, '')}…`;
}

/** Members whose text is a document. */
const documents: ReadonlySet<string> = new Set(['text', 'text_diff', 'messages']);

/** A whole answer with every text and every name of a member made plain. */
export function plainValue(value: JsonValue, name = ''): JsonValue {
  if (typeof value === 'string')
    return documents.has(name) ? plainDocument(value) : plainLine(value);
  if (Array.isArray(value)) return value.map((item) => plainValue(item, name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [plainLine(key), plainValue(item, key)]),
  );
}
