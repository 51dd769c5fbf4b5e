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
  #sweptAtMs = 0;
  #hasWaited = false;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  add(one: Timed): void {
    this.#timed.add(one);
    if (this.#timer !== undefined) return;
    this.#sweptAtMs = performance.now();
    this.#timer = setInterval(() => this.#sweep(), this.#everyMs);
  }

  delete(one: Timed): void {
    this.#timed.delete(one);
  }

  #sweep(): void {
    const nowMs = performance.now();
    const isLate = nowMs - this.#sweptAtMs > 2 * this.#everyMs;
    this.#sweptAtMs = nowMs;
    // This process was held up: what arrived meanwhile was in time, and is read before anybody is judged.
    this.#hasWaited = isLate && !this.#hasWaited;
    if (this.#hasWaited) return;
    this.#timed.each((one) => one.check(nowMs));
    if (this.#timed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
