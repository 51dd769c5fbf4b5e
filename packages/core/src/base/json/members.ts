import { assert } from '../assert.ts';
import type { JsonValue } from '../json-value.ts';

/** Where one member of an object stands in its text, in UTF-16 units; ends are exclusive. */
export interface JsonMember {
  readonly name: string;
  readonly nameStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

export interface MemberEdits {
  /** New values; a member that is not there is added at the end. */
  readonly set?: Readonly<Record<string, JsonValue>>;
  readonly remove?: readonly string[];
  /** Edits inside a member that is an object; where it is not one, it becomes one. */
  readonly within?: Readonly<Record<string, MemberEdits>>;
}

/** Anything whose text is one valid JSON object: a `JsonDocument`, or a piece of one. */
export interface ObjectText {
  readonly text: string;
  members(): readonly JsonMember[];
}

/**
 * The members of a valid JSON object's text. Native search finds the ends of strings, so a text of long strings
 * costs next to nothing. Call it only on text that was parsed before; it checks no grammar.
 */
export function topLevelMembers(text: string): readonly JsonMember[] {
  const members: JsonMember[] = [];
  let at = skipSpace(text, 0);
  assert(text[at] === '{', 'members are asked of an object');
  at = skipSpace(text, at + 1);
  while (text[at] === '"') {
    const nameStart = at;
    const nameEnd = closingQuote(text, at + 1) + 1;
    at = skipSpace(text, nameEnd);
    const valueStart = skipSpace(text, at + 1);
    const valueEnd = valueEndOf(text, valueStart);
    members.push({
      name: nameOf(text.slice(nameStart, nameEnd)),
      nameStart,
      valueStart,
      valueEnd,
    });
    at = skipSpace(text, valueEnd);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return members;
}

/** The text of an object that was parsed before, for edits. */
export function objectText(text: string): ObjectText {
  return { text, members: () => topLevelMembers(text) };
}

/** Changes the named members and leaves every other byte as it came: order, spacing, spelling of numbers. */
export function editMembers(document: ObjectText, edits: MemberEdits): string {
  const { text } = document;
  const members = document.members();
  const splices: Splice[] = [];
  const added: string[] = [];
  for (const [name, value] of Object.entries(edits.set ?? {})) {
    place(members, name, () => JSON.stringify(value), splices, added);
  }
  for (const [name, inner] of Object.entries(edits.within ?? {})) {
    place(members, name, (old) => editedInside(text, old, inner), splices, added);
  }
  const removed = new Set(edits.remove);
  const kept = members.filter((member) => !removed.has(member.name));
  if (kept.length < members.length) splices.push(...removals(members, removed));
  if (added.length > 0) {
    const last = members.at(-1);
    const at = last?.valueEnd ?? text.indexOf('{') + 1;
    splices.push({ start: at, end: at, text: (kept.length > 0 ? ',' : '') + added.join(',') });
  }
  return applySplices(text, splices);
}

interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function place(
  members: readonly JsonMember[],
  name: string,
  write: (old: JsonMember | undefined) => string,
  splices: Splice[],
  added: string[],
): void {
  // The last one counts, as for every reader; request texts have each name once.
  const old = members.findLast((member) => member.name === name);
  const text = write(old);
  if (old === undefined) added.push(`${JSON.stringify(name)}:${text}`);
  else splices.push({ start: old.valueStart, end: old.valueEnd, text });
}

function editedInside(text: string, old: JsonMember | undefined, edits: MemberEdits): string {
  const isObject = old !== undefined && text[old.valueStart] === '{';
  const inner = isObject ? text.slice(old.valueStart, old.valueEnd) : '{}';
  return editMembers(objectText(inner), edits);
}

/** Cuts each removed member with the comma on its one side, so that what is left is still one valid list. */
function removals(members: readonly JsonMember[], removed: ReadonlySet<string>): readonly Splice[] {
  const splices: Splice[] = [];
  let keptBefore: JsonMember | undefined;
  for (const [index, member] of members.entries()) {
    if (!removed.has(member.name)) {
      keptBefore = member;
      continue;
    }
    const next = members[index + 1];
    if (keptBefore !== undefined) {
      const before = members[index - 1];
      splices.push({ start: before?.valueEnd ?? member.nameStart, end: member.valueEnd, text: '' });
    } else {
      splices.push({ start: member.nameStart, end: next?.nameStart ?? member.valueEnd, text: '' });
    }
  }
  return splices;
}

function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = [...splices].sort((a, b) => a.start - b.start || a.end - b.end);
  let out = '';
  let at = 0;
  for (const splice of ordered) {
    if (splice.start > at) out += text.slice(at, splice.start);
    out += splice.text;
    at = Math.max(at, splice.end);
  }
  return out + text.slice(at);
}

function nameOf(token: string): string {
  // The token is a checked JSON string; only escapes need the native reader.
  return token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

function closingQuote(text: string, from: number): number {
  let at = from;
  for (;;) {
    const quote = text.indexOf('"', at);
    assert(quote >= 0, 'a parsed string has its closing quote');
    let slashes = 0;
    while (quote - slashes > at && text.charCodeAt(quote - slashes - 1) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
}

function valueEndOf(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return closingQuote(text, start + 1) + 1;
  if (first !== '{' && first !== '[') {
    let at = start;
    while (at < text.length && !/[,}\]\s]/.test(text.charAt(at))) at += 1;
    return at;
  }
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = closingQuote(text, at + 1);
    else if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}
