const shown = '[secret]';
/** Node looks this symbol up by its registered name, so no import of node:util is needed. */
const inspect = Symbol.for('nodejs.util.inspect.custom');

/**
 * A value that does not print. String conversion, JSON, template literals and Node's `inspect` all give
 * `[secret]`; only `reveal()` gives the text, and a tidy rule allows that call in adapters alone.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    Object.defineProperty(this, inspect, { value: () => shown });
  }

  /** The text itself. For the last moment before it goes to its peer. */
  reveal(): string {
    return this.#text;
  }

  get isEmpty(): boolean {
    return this.#text === '';
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }
}
