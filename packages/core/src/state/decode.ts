/**
 * Decoders for what comes back from a disk: a value of the type, or undefined where it is not one. Unknown members
 * are refused, because a journal of a newer release must not be half understood.
 */
export type Decoder<T> = (value: unknown) => T | undefined;

export const text: Decoder<string> = (value) => (typeof value === 'string' ? value : undefined);

export const flag: Decoder<boolean> = (value) => (typeof value === 'boolean' ? value : undefined);

export const count: Decoder<number> = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

export function literal<const T extends string>(...allowed: readonly T[]): Decoder<T> {
  return (value) => allowed.find((each) => each === value);
}

export function list<T>(item: Decoder<T>): Decoder<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    const items: T[] = [];
    for (const raw of value) {
      const decoded = item(raw);
      if (decoded === undefined) return undefined;
      items.push(decoded);
    }
    return items;
  };
}

type Shape = Readonly<Record<string, Decoder<unknown>>>;
type Of<S extends Shape> = { readonly [K in keyof S]: S[K] extends Decoder<infer T> ? T : never };

/** An object with exactly these members. */
export function object<R extends Shape>(required: R): Decoder<Of<R>> {
  return objectWith(required, {});
}

/** An object with all of the first members, any of the second, and no others. */
export function objectWith<R extends Shape, O extends Shape>(
  required: R,
  optional: O,
): Decoder<Of<R> & Partial<Of<O>>> {
  const members = new Map<string, Decoder<unknown>>([
    ...Object.entries(optional),
    ...Object.entries(required),
  ]);
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const decoded: Record<string, unknown> = {};
    for (const [name, raw] of Object.entries(value)) {
      const part = members.get(name)?.(raw);
      if (part === undefined) return undefined;
      decoded[name] = part;
    }
    for (const name of Object.keys(required)) if (!Object.hasOwn(decoded, name)) return undefined;
    // Each member was decoded by the decoder of its name, and every required one is there.
    return decoded as Of<R> & Partial<Of<O>>;
  };
}

/** One of several object shapes, told apart by the text in one member. */
export function variant<T>(tag: string, shapes: Readonly<Record<string, Decoder<T>>>): Decoder<T> {
  return (value) => {
    if (typeof value !== 'object' || value === null || !(tag in value)) return undefined;
    // `in` has just shown the member; its type is judged by hasOwn and the chosen shape.
    const name = (value as Record<string, unknown>)[tag];
    if (typeof name !== 'string' || !Object.hasOwn(shapes, name)) return undefined;
    return shapes[name]?.(value);
  };
}
