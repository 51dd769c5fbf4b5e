import { earnRetry, fullRetryBudget, type RetryRules, spendRetry } from '@postern/core/routing';

/** Repetitions add a tenth to the load at most, however much fails. */
const rules: RetryRules = { times: 1, ratio: 0.1, burst: 20 };

/** How many lost requests may still be sent again. */
export class RepeatBudget {
  #budget = fullRetryBudget(rules);

  earn(): void {
    this.#budget = earnRetry(rules, this.#budget);
  }

  spend(): boolean {
    const spent = spendRetry(this.#budget);
    if (spent === undefined) return false;
    this.#budget = spent;
    return true;
  }
}
