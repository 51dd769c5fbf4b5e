/** The syntax tree: every byte of the document is in it once, so packing gives the document back. */
import type { ByteText } from './byte-text.ts';

/** A value with what surrounds it. Offsets are in bytes from the start of the document. */
export interface HujsonValue {
  /** White space and comments after the preceding `{`, `[`, `:`, `,` or the start of the input. */
  beforeExtra: ByteText;
  startOffset: number;
  value: HujsonNode;
  endOffset: number;
  /**
   * White space and comments before the following `:`, `,` or the end of the input. On the last value of an
   * object or array it is undefined unless a trailing comma follows.
   */
  afterExtra: ByteText | undefined;
}

export type HujsonNode = HujsonLiteral | HujsonObject | HujsonArray;
export type HujsonComposite = HujsonObject | HujsonArray;

export interface HujsonLiteral {
  readonly kind: 'literal';
  readonly text: ByteText;
}

export interface HujsonObject {
  readonly kind: 'object';
  readonly members: HujsonMember[];
  /** White space and comments before the closing brace. */
  afterExtra: ByteText;
}

export interface HujsonMember {
  readonly name: HujsonValue;
  readonly value: HujsonValue;
}

export interface HujsonArray {
  readonly kind: 'array';
  readonly elements: HujsonValue[];
  /** White space and comments before the closing bracket. */
  afterExtra: ByteText;
}

/** A value that stands nowhere yet: no surroundings, offsets 0. */
export function bareValue(value: HujsonNode): HujsonValue {
  return { beforeExtra: '', startOffset: 0, value, endOffset: 0, afterExtra: undefined };
}

export function cloneValue(value: HujsonValue): HujsonValue {
  return { ...value, value: cloneNode(value.value) };
}

export function cloneNode(node: HujsonNode): HujsonNode {
  switch (node.kind) {
    case 'literal':
      return node;
    case 'object':
      return {
        ...node,
        members: node.members.map(({ name, value }) => ({
          name: cloneValue(name),
          value: cloneValue(value),
        })),
      };
    case 'array':
      return { ...node, elements: node.elements.map((element) => cloneValue(element)) };
  }
}

/** Names and values of an object in turn, or the elements of an array; nothing for a literal. */
export function childrenOf(node: HujsonNode): readonly HujsonValue[] {
  switch (node.kind) {
    case 'literal':
      return [];
    case 'object':
      return node.members.flatMap(({ name, value }) => [name, value]);
    case 'array':
      return node.elements;
  }
}

/** The value itself, then everything in it, depth first and in document order. */
export function* walk(value: HujsonValue): Generator<HujsonValue, void, undefined> {
  yield value;
  for (const child of childrenOf(value.value)) yield* walk(child);
}

export function lengthOf(composite: HujsonComposite): number {
  return composite.kind === 'object' ? composite.members.length : composite.elements.length;
}

export function lastValueOf(composite: HujsonComposite): HujsonValue | undefined {
  return composite.kind === 'object' ? composite.members.at(-1)?.value : composite.elements.at(-1);
}

export function hasTrailingComma(composite: HujsonComposite): boolean {
  return lastValueOf(composite)?.afterExtra !== undefined;
}

/** Adds or takes away the trailing comma. What stood before it moves to the extra of the composite. */
export function setTrailingComma(composite: HujsonComposite, wanted: boolean): void {
  const last = lastValueOf(composite);
  if (last === undefined) return;
  if (wanted) {
    last.afterExtra ??= '';
  } else if (last.afterExtra !== undefined) {
    composite.afterExtra = last.afterExtra + composite.afterExtra;
    last.afterExtra = undefined;
  }
}
