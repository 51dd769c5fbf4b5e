/** A value that is there already, or that comes. */
export type Soon<T> = T | Promise<T>;

/**
 * Goes on with a value: at once where it is there, which on hot ways it nearly always is, else when it comes. A promise
 * for each step that waits for nothing costs more than most of the steps.
 */
export function andThen<T, U>(value: Soon<T>, next: (value: T) => Soon<U>): Soon<U> {
  // oxlint-disable-next-line promise/no-callback-in-promise -- it is the callback of this promise
  return value instanceof Promise ? value.then(next) : next(value);
}
