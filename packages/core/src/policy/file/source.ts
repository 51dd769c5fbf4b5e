/** A JSON tree in which every value knows where it stands. What the readers of the policy file walk over. */

/** Where a value stands. Line and column count from 1, columns in bytes; 0 where the text is not known. */
export interface Position {
  /** RFC 6901 pointer; the empty text is the whole document. */
  readonly pointer: string;
  readonly line: number;
  readonly column: number;
}

export interface SourceObject {
  readonly kind: 'object';
  readonly members: readonly SourceMember[];
  readonly at: Position;
}

export interface SourceMember {
  readonly name: string;
  /** Position of the name. */
  readonly at: Position;
  readonly value: SourceValue;
}

export interface SourceArray {
  readonly kind: 'array';
  readonly items: readonly SourceValue[];
  readonly at: Position;
}

export type SourceScalar =
  | { readonly kind: 'string'; readonly value: string; readonly at: Position }
  | { readonly kind: 'number'; readonly value: number; readonly at: Position }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly at: Position }
  | { readonly kind: 'null'; readonly at: Position };

export type SourceValue = SourceObject | SourceArray | SourceScalar;

/** The position of a pointer in the text it came from. */
export type Locate = (pointer: string) => { readonly line: number; readonly column: number };

const nowhere: Locate = () => ({ line: 0, column: 0 });

/** One step of an RFC 6901 pointer. */
export function pointerStep(pointer: string, name: string | number): string {
  return `${pointer}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/**
 * The tree of a value that is already parsed. What JSON cannot hold (undefined, functions) reads as null.
 * Depth is bounded by the caller's parser.
 */
export function sourceOfValue(value: unknown, locate: Locate = nowhere, pointer = ''): SourceValue {
  const at = { pointer, ...locate(pointer) };
  if (typeof value === 'string') return { kind: 'string', value, at };
  if (typeof value === 'number') return { kind: 'number', value, at };
  if (typeof value === 'boolean') return { kind: 'boolean', value, at };
  if (Array.isArray(value)) {
    const items = value.map((item: unknown, i) =>
      sourceOfValue(item, locate, pointerStep(pointer, i)),
    );
    return { kind: 'array', items, at };
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, member]: [string, unknown]) => {
      const step = pointerStep(pointer, name);
      return {
        name,
        at: { pointer: step, ...locate(step) },
        value: sourceOfValue(member, locate, step),
      };
    });
    return { kind: 'object', members, at };
  }
  return { kind: 'null', at };
}

/** The plain JSON value of a tree. Members named twice: the last one, as most parsers have it. */
export function valueOfSource(source: SourceValue): JsonData {
  switch (source.kind) {
    case 'object':
      return Object.freeze(
        Object.fromEntries(
          source.members.map((member) => [member.name, valueOfSource(member.value)]),
        ),
      );
    case 'array':
      return Object.freeze(source.items.map((item) => valueOfSource(item)));
    case 'null':
      return null;
    case 'boolean':
    case 'number':
    case 'string':
      return source.value;
  }
}

export type JsonData =
  | null
  | boolean
  | number
  | string
  | readonly JsonData[]
  | { readonly [name: string]: JsonData };
