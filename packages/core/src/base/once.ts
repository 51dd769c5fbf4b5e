/**
 * Made with the first question for it and kept, as what is loaded late is. A fault is not kept: the next one who asks may find what this
 * one missed (a file that could not be opened, an update that was under way).
 */
export function onceUnlessItFails<T>(make: () => Promise<T>): Once<T> {
  let making: Promise<T> | undefined;
  const once = (): Promise<T> => {
    making ??= make().catch((fault: unknown) => {
      making = undefined;
      throw fault;
    });
    return making;
  };
  return Object.assign(once, { begun: () => making });
}

export interface Once<T> {
  (): Promise<T>;
  /** What was asked for already: for whoever ends it and would not make it for that. */
  begun(): Promise<T> | undefined;
}
