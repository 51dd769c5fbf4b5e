/**
 * A broken invariant of our own: a bug, never the caller's mistake. The edge answers it with 500 and
 * an id; the text goes to the log only.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Fault(`broken invariant: ${what}`);
}

/** Makes a switch total: a new variant that nobody handles does not compile. */
export function unreachable(value: never): never {
  throw new Fault(`unreachable: ${JSON.stringify(value)}`);
}

/** The value, where the program itself guarantees that there is one (an index just checked). */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Fault(`missing: ${what}`);
  return value;
}
