/** The plain JavaScript value of a tree. */
import type { JsonValue } from '../json-value.ts';
import { pointerToken } from './find.ts';
import { isStringLiteral, literalText } from './literal.ts';
import type { HujsonNode, HujsonValue } from './tree.ts';

/** What the plain value cannot say: a name given twice, a number too large for a double. */
export interface PlainProblem {
  readonly kind: 'duplicate-name' | 'number-range';
  /** JSON pointer of the object member or the number. */
  readonly pointer: string;
  /** Byte offset of the second name, or of the number. */
  readonly offset: number;
  readonly detail: string;
}

export interface Plain {
  readonly value: JsonValue;
  readonly problems: readonly PlainProblem[];
}

/**
 * Objects without prototype, arrays, strings, numbers, booleans and null. Of a name given twice the last value
 * counts, and a number that is too large becomes null; both are reported.
 */
export function plainValue(root: HujsonValue): Plain {
  const problems: PlainProblem[] = [];
  return { value: toPlain(root, '', problems), problems };
}

function toPlain(value: HujsonValue, pointer: string, problems: PlainProblem[]): JsonValue {
  const node = value.value;
  if (node.kind === 'literal') {
    const plain = literalValue(node.text);
    if (plain !== undefined) return plain;
    const detail = `number ${node.text} is out of range`;
    problems.push({ kind: 'number-range', pointer, offset: value.startOffset, detail });
    return null;
  }
  if (node.kind === 'array') {
    return node.elements.map((element, i) => toPlain(element, `${pointer}/${i}`, problems));
  }
  const object = emptyObject();
  for (const member of node.members) {
    const name = nameOf(member.name.value);
    const at = `${pointer}/${pointerToken(name)}`;
    if (Object.hasOwn(object, name)) {
      const detail = `name ${JSON.stringify(name)} is given twice`;
      problems.push({
        kind: 'duplicate-name',
        pointer: at,
        offset: member.name.startOffset,
        detail,
      });
    }
    object[name] = toPlain(member.value, at, problems);
  }
  return object;
}

/** Without a prototype, so that `__proto__` is a name like any other. */
function emptyObject(): Record<string, JsonValue> {
  // Object.create returns any; an object without prototype has exactly this type.
  return Object.create(null) as Record<string, JsonValue>;
}

function nameOf(node: HujsonNode): string {
  return node.kind === 'literal' ? literalText(node.text) : '';
}

/** Undefined for a number beyond the doubles. */
function literalValue(text: string): JsonValue | undefined {
  if (isStringLiteral(text)) return literalText(text);
  if (text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}

/**
 * Equality as the `test` operation of a patch sees it, with two quirks of the original: null at the top
 * equals nothing, and a value with a number beyond the doubles equals nothing.
 */
export function decodeEqual(a: HujsonValue, b: HujsonValue): boolean {
  const [x, y] = [plainValue(a), plainValue(b)];
  const decodes = [...x.problems, ...y.problems].every(({ kind }) => kind !== 'number-range');
  return decodes && x.value !== null && y.value !== null && plainEqual(x.value, y.value);
}

function plainEqual(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  const [aNames, bNames] = [Object.keys(a), Object.keys(b)];
  if (Array.isArray(a) !== Array.isArray(b) || aNames.length !== bNames.length) return false;
  // Arrays are compared by their indexes as names.
  const [aMembers, bMembers] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
  return aNames.every((name) => {
    const [x, y] = [aMembers.get(name), bMembers.get(name)];
    return x !== undefined && y !== undefined && plainEqual(x, y);
  });
}
