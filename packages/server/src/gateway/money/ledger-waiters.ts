import { err, ok } from '@postern/core/base';
import { amountMax } from '@postern/core/quota';
import type { BankFailure } from './bank.ts';
import type { Waiter } from './ledger-desk.ts';

export interface Need {
  /** What the first in line lacks. */
  readonly need: number;
  /** What all of them together would like. */
  readonly want: number;
}

/** Requests that wait for a lease, in the order in which they came. */
export class Waiters {
  #waiting: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(waiter: Waiter): void {
    this.#waiting.push(waiter);
  }

  /** Everybody, in order, as far as the slices have it. */
  serve(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    const left: Waiter[] = [];
    for (const waiter of waiting) {
      const taken = waiter.attempt();
      if (taken.ok) waiter.settle(ok(undefined));
      else if (taken.error.kind === 'short') left.push(waiter);
      else waiter.settle(err({ kind: 'too-many' }));
    }
    // Whoever came meanwhile is behind them.
    this.#waiting = [...left, ...this.#waiting];
  }

  /** By account. `lastAmountOf` is what the last request asked of it. */
  needs(lastAmountOf: (account: string) => number): ReadonlyMap<string, Need> {
    const needs = new Map<string, { need: number; want: number }>();
    for (const waiter of this.#waiting) {
      const taken = waiter.attempt();
      if (taken.ok) {
        // Something came free between two looks.
        waiter.settle(ok(undefined));
        this.#waiting = this.#waiting.filter((each) => each !== waiter);
        continue;
      }
      if (taken.error.kind !== 'short') continue;
      for (const { account, amount } of taken.error.lacks) {
        const known = needs.get(account);
        if (known === undefined) needs.set(account, { need: amount, want: amount });
        else known.want = Math.min(known.want + lastAmountOf(account), amountMax);
      }
    }
    return needs;
  }

  /** Refuses everybody who lacks at least so much of the account; who lacks less may still be served. */
  refuse({ account, need, room, affordableAtMs, applies }: Refusing): void {
    const left: Waiter[] = [];
    for (const waiter of this.#waiting) {
      const taken = waiter.accounts.some((each) => each.account === account)
        ? waiter.attempt()
        : undefined;
      if (taken?.ok === true) {
        waiter.settle(ok(undefined));
        continue;
      }
      const lacks =
        taken?.error.kind === 'short'
          ? taken.error.lacks.find((each) => each.account === account)
          : undefined;
      if (lacks === undefined || lacks.amount < need || !applies(waiter)) {
        left.push(waiter);
        continue;
      }
      const at = affordableAtMs === undefined ? {} : { affordableAtMs };
      waiter.settle(err({ kind: 'exhausted', account, room: room(), ...at }));
    }
    this.#waiting = left;
  }

  /** Nobody can be served now. */
  fail(failure: BankFailure): void {
    for (const waiter of this.#waiting.splice(0))
      waiter.settle(err({ kind: 'unavailable', failure }));
  }
}

interface Refusing {
  readonly account: string;
  readonly need: number;
  /** What could be reserved at most now. */
  readonly room: () => number;
  readonly affordableAtMs: number | undefined;
  readonly applies: (waiter: Waiter) => boolean;
}
