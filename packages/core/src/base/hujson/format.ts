/**
 * The canonical layout of Tailscale's formatter, byte for byte: its SHA-256 is the ETag of a policy file
 * at Tailscale's API. Idempotent; standard JSON stays standard JSON.
 */
import { type ByteText, trimRightSpace } from './byte-text.ts';
import {
  countNewlines,
  hasComment,
  hasNewline,
  skipWhitespace,
  skipWholeComment,
} from './extra.ts';
import { type ExtraLayout, formatExtra } from './format-extra.ts';
import { isStringLiteral, literalText, stringLiteral } from './literal.ts';
import { updateOffsets } from './pack.ts';
import { isStandard } from './standard.ts';
import {
  childrenOf,
  cloneValue,
  type HujsonComposite,
  type HujsonObject,
  type HujsonValue,
  lastValueOf,
  lengthOf,
  setTrailingComma,
} from './tree.ts';

/** Longest line, in bytes, that an object or array is kept on. */
const lineBytesMax = 80;

/** A formatted copy. */
export function formatted(value: HujsonValue): HujsonValue {
  const copy = cloneValue(value);
  const before = formatExtra(copy.beforeExtra, 0, {});
  copy.beforeExtra = before.slice(skipWhitespace(before));
  const standard = isStandard(copy);
  normalize(copy);
  const expanded = new Set<HujsonComposite>();
  measure(copy, expanded);
  layOut(copy, 0, expanded, standard);
  alignValues(copy);
  copy.afterExtra = `${trimRightSpace(formatExtra(copy.afterExtra ?? '', 0, {}))}\n`;
  updateOffsets(copy);
  return copy;
}

/** Shortest escapes in strings; no white space where only white space stands before `:`, `,` or in `{}`. */
function normalize(value: HujsonValue): void {
  const node = value.value;
  if (node.kind === 'literal') {
    if (isStringLiteral(node.text) && node.text.includes('\\')) {
      value.value = { kind: 'literal', text: stringLiteral(literalText(node.text)) };
    }
    return;
  }
  if (lengthOf(node) === 0) {
    if (!hasComment(node.afterExtra)) node.afterExtra = '';
    return;
  }
  for (const child of childrenOf(node)) {
    if (!hasComment(child.afterExtra ?? '')) child.afterExtra = undefined;
    normalize(child);
  }
}

/** Lengths of the first and last line of a piece of text; equal when it is one line. */
interface LineStats {
  readonly first: number;
  readonly last: number;
  readonly multiline: boolean;
}

/** Adds up pieces of text that follow each other into the lengths of the lines they make. */
class LineCounter {
  readonly #ended: number[] = [];
  #current = 0;

  add(length: number): void {
    this.#current += length;
  }

  addStats(stats: LineStats): void {
    this.#current += stats.first;
    if (stats.multiline) {
      this.#ended.push(this.#current);
      this.#current = stats.last;
    }
  }

  get longest(): number {
    return Math.max(this.#current, ...this.#ended);
  }

  get stats(): LineStats {
    const first = this.#ended[0] ?? this.#current;
    return { first, last: this.#current, multiline: this.#ended.length > 0 };
  }
}

/**
 * Finds the objects and arrays that get a line per member. Each is either on one line or fully expanded, so that
 * programs that edit the file can tell which: expanded where a line feed follows an opening bracket or comma or
 * precedes a closing bracket, or where a line would be too long.
 */
function measure(value: HujsonValue, expanded: Set<HujsonComposite>): LineStats {
  const node = value.value;
  if (node.kind === 'literal') {
    return { first: node.text.length, last: node.text.length, multiline: false };
  }
  const counter = new LineCounter();
  let expand = hasNewline(lastValueOf(node)?.afterExtra) || hasNewline(node.afterExtra);
  counter.add(1);
  if (node.kind === 'object') {
    for (const member of node.members) {
      expand ||= hasNewline(member.name.beforeExtra);
      measureAround(member.name, counter, expanded);
      counter.add(2);
      measureAround(member.value, counter, expanded);
      counter.add(2);
    }
  } else {
    for (const element of node.elements) {
      expand ||= hasNewline(element.beforeExtra);
      measureAround(element, counter, expanded);
      counter.add(2);
    }
  }
  counter.add(1);
  if (!expand && counter.longest <= lineBytesMax) return counter.stats;
  expanded.add(node);
  return { first: 1 + extraStats(firstExtraOf(node)).first, last: 1, multiline: true };
}

function measureAround(
  value: HujsonValue,
  counter: LineCounter,
  expanded: Set<HujsonComposite>,
): void {
  counter.addStats(extraStats(value.beforeExtra));
  counter.addStats(measure(value, expanded));
  counter.addStats(extraStats(value.afterExtra ?? ''));
}

function firstExtraOf(node: HujsonComposite): ByteText {
  const first = node.kind === 'object' ? node.members[0]?.name : node.elements[0];
  return first?.beforeExtra ?? node.afterExtra;
}

function extraStats(extra: ByteText): LineStats {
  const newline = extra.indexOf('\n');
  if (newline < 0) {
    const length = commentsLength(extra);
    return { first: length, last: length, multiline: false };
  }
  return {
    first: commentsLength(extra.slice(0, newline)),
    last: commentsLength(extra.slice(extra.lastIndexOf('\n') + 1)),
    multiline: true,
  };
}

/** About how long the comments of one line will be, with the spaces around them. */
function commentsLength(line: ByteText): number {
  let length = 0;
  for (let at = skipWhitespace(line); at < line.length; at = skipWhitespace(line, at)) {
    // A line comment, or a block comment that goes on below, takes the rest of the line.
    const end = line.startsWith('//', at) ? at : skipWholeComment(line, at);
    if (end === at)
      return line.startsWith('/', at) ? length + 1 + line.length - at : padded(length);
    length += 1 + end - at;
    at = end;
  }
  return padded(length);
}

function padded(length: number): number {
  return length > 0 ? length + 1 : 0;
}

const insideMember: ExtraLayout = { removeLeadingEmptyLines: true, removeTrailingEmptyLines: true };

/** Writes every extra anew, with its indentation, and settles the trailing commas. */
function layOut(
  value: HujsonValue,
  depth: number,
  expanded: ReadonlySet<HujsonComposite>,
  standard: boolean,
): void {
  const node = value.value;
  if (node.kind === 'literal') return;
  const expand = expanded.has(node);
  const inner = expand ? depth + 1 : depth;
  if (node.kind === 'object') {
    node.members.forEach(({ name, value: content }, i) => {
      name.beforeExtra = formatExtra(name.beforeExtra, depth + 1, entryLayout(expand, i));
      formatAfter(name, depth + 2);
      content.beforeExtra = formatExtra(content.beforeExtra, depth + 2, {
        ...insideMember,
        appendSpaceIfEmpty: true,
      });
      const broken = hasNewline(name.afterExtra) || hasNewline(content.beforeExtra);
      layOut(content, broken ? inner + 1 : inner, expanded, standard);
      formatAfter(content, depth + 2);
    });
  } else {
    node.elements.forEach((element, i) => {
      element.beforeExtra = formatExtra(element.beforeExtra, depth + 1, entryLayout(expand, i));
      layOut(element, inner, expanded, standard);
      formatAfter(element, depth + 2);
    });
  }
  node.afterExtra = formatExtra(node.afterExtra, depth + 1, {
    ensureTrailingNewline: expand,
    removeLeadingEmptyLines: lengthOf(node) === 0,
    removeTrailingEmptyLines: true,
    unindentLastLine: true,
  });
  const commaBetweenComments =
    (lastValueOf(node)?.afterExtra ?? '') !== '' && node.afterExtra !== '';
  if (!expand && !commaBetweenComments) setTrailingComma(node, false);
  else if (expand && !standard) setTrailingComma(node, true);
}

function entryLayout(expand: boolean, i: number): ExtraLayout {
  return {
    ensureLeadingNewline: expand,
    removeLeadingEmptyLines: i === 0,
    appendSpaceIfEmpty: i !== 0,
  };
}

/** An absent extra stays absent: on a last value it says that there is no trailing comma. */
function formatAfter(value: HujsonValue, depth: number): void {
  if (value.afterExtra !== undefined) {
    value.afterExtra = formatExtra(value.afterExtra, depth, insideMember);
  }
}

/** Pads after the colon so that the values of neighbouring one-line members start in the same column. */
function alignValues(value: HujsonValue): void {
  if (value.value.kind === 'object') alignMembers(value.value);
  for (const child of childrenOf(value.value)) alignValues(child);
}

function alignMembers(object: HujsonObject): void {
  let rows: { readonly content: HujsonValue; readonly length: number }[] = [];
  const flush = (): void => {
    const widest = Math.max(0, ...rows.map((row) => row.length));
    for (const { content, length } of rows) content.beforeExtra += ' '.repeat(widest - length);
    rows = [];
  };
  for (const { name, value: content } of object.members) {
    const oneLine =
      !hasNewline(name.afterExtra) &&
      !hasNewline(content.beforeExtra) &&
      !hasNewline(content.afterExtra) &&
      !spansLines(content);
    if (!hasNewline(name.beforeExtra) || !oneLine || name.value.kind !== 'literal') {
      flush();
      continue;
    }
    // A blank line or a comment of its own line starts a new block.
    if (countNewlines(name.beforeExtra) > 1) flush();
    const after = name.afterExtra?.length ?? 0;
    rows.push({ content, length: name.value.text.length + after + 1 + content.beforeExtra.length });
  }
  flush();
}

function spansLines(value: HujsonValue): boolean {
  return childrenOf(value.value).some(
    (child) => hasNewline(child.beforeExtra) || hasNewline(child.afterExtra) || spansLines(child),
  );
}
