import { Roll, type Rolled } from '../../http/index.ts';

/** Something whose time may run out. */
export interface Timed extends Rolled {
  /** Looks at its own deadlines; may take itself off. */
  check(nowMs: number): void;
}

/** One timer for all calls: a timer of its own for each phase of each call costs more than the call's parsing. */
export class Deadlines {
  readonly #everyMs: number;
  readonly #timed = new Roll<Timed>();
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  add(one: Timed): void {
    this.#timed.add(one);
    this.#timer ??= setInterval(() => this.#sweep(), this.#everyMs);
  }

  delete(one: Timed): void {
    this.#timed.delete(one);
  }

  #sweep(): void {
    const nowMs = performance.now();
    this.#timed.each((one) => one.check(nowMs));
    if (this.#timed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
