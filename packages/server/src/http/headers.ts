import type { RequestHeaders } from './exchange.ts';

/** Request headers by lower-case name. A Map has no prototype that a header name could reach. */
export class HeaderMap implements RequestHeaders {
  readonly #values: ReadonlyMap<string, string>;
  memo: unknown = undefined;

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  entries(): IterableIterator<readonly [string, string]> {
    return this.#values.entries();
  }
}
