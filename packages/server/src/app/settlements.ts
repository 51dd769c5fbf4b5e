import type { Settlement } from '../observe/index.ts';

/** One of the things that are done with every request that is over. */
export type SettlementStep = (settlement: Settlement) => void;

/**
 * What every request leaves behind (its line in the log, its record, its counts), for all requests of one turn of the loop
 * together: a step that runs for one after the other finds its code in the processor's caches, where each request alone
 * would load it anew. Nothing waits longer than its turn.
 */
export class Settlements {
  readonly #steps: readonly SettlementStep[];
  readonly #onFault: (fault: unknown, requestId: string) => void;
  #waiting: Settlement[] = [];
  readonly #onTurnEnd = (): void => this.flush();

  constructor(
    steps: readonly SettlementStep[],
    onFault: (fault: unknown, requestId: string) => void,
  ) {
    this.#steps = steps;
    this.#onFault = onFault;
  }

  readonly take: SettlementStep = (settlement) => {
    if (this.#waiting.length === 0) setImmediate(this.#onTurnEnd);
    this.#waiting.push(settlement);
  };

  /** Whoever ends does not wait for the turn to end. */
  flush(): void {
    const all = this.#waiting;
    this.#waiting = [];
    for (const step of this.#steps) {
      for (const settlement of all) this.#run(step, settlement);
    }
  }

  /** A defect in one step, or of one request, keeps nothing from the others. */
  #run(step: SettlementStep, settlement: Settlement): void {
    try {
      step(settlement);
    } catch (fault) {
      this.#onFault(fault, settlement.request.id);
    }
  }
}
