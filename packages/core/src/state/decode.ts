/**
 * Shapes of what comes back from a disk, as type guards over what `JSON.parse` gave: nothing is copied, so that a
 * start with thousands of keys stays fast. Unknown members do not pass, because a journal of a newer release must not
 * be half understood.
 */
export type Guard<T> = (value: unknown) => value is T;

export const text: Guard<string> = (value) => typeof value === 'string';

export const flag: Guard<boolean> = (value) => typeof value === 'boolean';

export const count: Guard<number> = (value): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

export function literal<const T extends string | number>(...allowed: readonly T[]): Guard<T> {
  return (value): value is T => allowed.some((each) => each === value);
}

export function list<T>(item: Guard<T>): Guard<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(item);
}

/** An object whose members all have one shape, whatever their names. */
export function record<T>(item: Guard<T>): Guard<Readonly<Record<string, T>>> {
  return (value): value is Readonly<Record<string, T>> =>
    isRecord(value) && Object.values(value).every(item);
}

type Shape = Readonly<Record<string, Guard<unknown>>>;
type Of<S extends Shape> = { readonly [K in keyof S]: S[K] extends Guard<infer T> ? T : never };

/** An object with exactly these members. */
export function object<R extends Shape>(required: R): Guard<Of<R>> {
  return objectWith(required, {});
}

/** An object with all of the first members, any of the second, and no others. */
export function objectWith<R extends Shape, O extends Shape>(
  required: R,
  optional: O,
): Guard<Of<R> & Partial<Of<O>>> {
  const members = new Map<string, Guard<unknown>>(Object.entries({ ...optional, ...required }));
  const needed = Object.keys(required);
  return (value): value is Of<R> & Partial<Of<O>> => {
    if (!isRecord(value)) return false;
    for (const name in value) {
      const guard = members.get(name);
      if (guard === undefined || !guard(value[name])) return false;
    }
    return needed.every((name) => Object.hasOwn(value, name));
  };
}

/** One of several object shapes, told apart by the text in one member. */
export function variant<T>(tag: string, shapes: Readonly<Record<string, Guard<T>>>): Guard<T> {
  const known = new Map(Object.entries(shapes));
  return (value): value is T => {
    if (!isRecord(value)) return false;
    const name = value[tag];
    return typeof name === 'string' && known.get(name)?.(value) === true;
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
