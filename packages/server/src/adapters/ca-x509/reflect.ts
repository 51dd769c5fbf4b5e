/**
 * `@peculiar/x509` wires its classes with a container that asks for three functions of the metadata
 * proposal and throws at import without them. This is those three, in place of one more dependency;
 * an implementation that is already there is left alone.
 */
type Key = string | symbol | number;

const metadata = new WeakMap<object, Map<Key, unknown>>();

function getOwnMetadata(key: Key, target: object): unknown {
  return metadata.get(target)?.get(key);
}

function getMetadata(key: Key, target: object): unknown {
  for (
    let at: object | null = target;
    at !== null;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    // `getPrototypeOf` is typed `any`; it gives an object or null.
    const value = getOwnMetadata(key, at);
    if (value !== undefined) return value;
  }
  return undefined;
}

function defineMetadata(key: Key, value: unknown, target: object): void {
  const own = metadata.get(target) ?? new Map<Key, unknown>();
  metadata.set(target, own.set(key, value));
}

/** Must have been called before the library is imported. */
export function provideMetadata(): void {
  for (const [name, value] of Object.entries({ getOwnMetadata, getMetadata, defineMetadata })) {
    if (!(name in Reflect)) Object.defineProperty(Reflect, name, { value, configurable: true });
  }
}
