import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { BankAnswer, BankChange, ReserveRefusal, Settled } from '@postern/core/quota';
import { amountMax, Till } from '@postern/core/quota';
import type { BankFailure, StaleSlice, UsageRow } from './bank.ts';
import { bankBatchChangesMax } from './bank.ts';
import type { PaidAccount } from './terms.ts';
import { monotonicMs } from '../elapsed.ts';
import { changesOf, deskChangesMax, grantedOf, putBack, takeRecalled } from './ledger-changes.ts';
import type { Desk, Sent, Waiter } from './ledger-desk.ts';
import { aheadOf, isRecallOver, newDesk, noteAsked } from './ledger-desk.ts';
import type { LedgerOptions, Shortage } from './ledger-options.ts';
import { endsOf } from './ledger-sweep.ts';
import { tickMs, pause, retryMsMin, retryMsMax } from './ledger-times.ts';
import { UsageTally } from './usage-tally.ts';

/**
 * The money of one process. What a slice holds is reserved, extended and settled in memory, without a wait; only where it is short does a request
 * wait for a lease, many of them for one batch. One batch is under way at a time, and one whose answer was lost is sent again as it
 * was before anything new, so that both sides agree after any failure.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #till = new Till();
  readonly #desks = new Map<string, Desk>();
  readonly #tally = new UsageTally();
  readonly #recall: { close(): void };
  #waiters: Waiter[] = [];
  #seq = 0;
  #pending: Sent | undefined;
  #sentAtMs = 0;
  #isBusy = false;
  #running: Promise<void> = Promise.resolve();
  #failure: BankFailure | undefined;
  #retryMs = retryMsMin;
  #timer: { clear(): void } | undefined;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #ends: BankChange[] = [];
  #owed: {
    readonly id: string;
    readonly accounts: readonly PaidAccount[];
    readonly cost: number;
  }[] = [];
  #isClosing = false;
  #mustSweep = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#recall = options.bank.onRecall(options.process, (accounts) => {
      for (const account of accounts) {
        const desk = this.#desks.get(account);
        if (desk !== undefined) desk.isRecalled = true;
      }
      this.#kick();
    });
  }

  /** Ends the slices of processes that are gone. Before the first request, so that their money is there again. */
  async begin(): Promise<Result<void, BankFailure>> {
    const swept = await this.#sweep();
    if (!swept.ok) this.#failed(swept.error);
    if (this.#timer === undefined) this.#arm(this.#tickMs());
    return swept;
  }

  /** Undefined while the store answers. */
  get failure(): BankFailure | undefined {
    return this.#failure;
  }

  /** Sets the amount aside in every account or in none; at once where the slices have it. */
  reserve(
    id: string,
    accounts: readonly PaidAccount[],
    amount: number,
  ): Result<void, Shortage> | Promise<Result<void, Shortage>> {
    if (this.#failure !== undefined) {
      this.#kick();
      return err({ kind: 'unavailable', failure: this.#failure });
    }
    const names = accounts.map(({ account }) => account);
    return this.#take(accounts, amount, () => this.#till.reserve(id, names, amount));
  }

  /** Sets more aside for a stream that goes on. It may go on from memory while the store is down. */
  extend(
    id: string,
    accounts: readonly PaidAccount[],
    amount: number,
  ): Result<void, Shortage> | Promise<Result<void, Shortage>> {
    return this.#take(accounts, amount, () => this.#till.extend(id, amount));
  }

  /** Ends a reservation with what it cost. */
  settle(id: string, cost: number): Settled {
    let settled = this.#till.settle(id, cost);
    // More than an account can count, by an upstream that says nonsense: what was set aside is charged, and told.
    const isBeyond = !settled.ok && settled.error.kind === 'bad-amount';
    if (isBeyond) settled = this.#till.settleReserved(id);
    if (!settled.ok) throw new RangeError(`a reservation is settled once: ${settled.error.kind}`);
    for (const account of settled.value.accounts) this.#touch(account);
    if (isBeyond || settled.value.overrun > 0) {
      const { accounts } = settled.value;
      const overrun = isBeyond ? cost - settled.value.charged : settled.value.overrun;
      this.#options.onEvent?.({ kind: 'overrun', accounts, amount: overrun });
      this.#kick();
    }
    return settled.value;
  }

  /** Charges what was served while the store was down: over the balance, if need be. */
  owe(id: string, accounts: readonly PaidAccount[], cost: number): void {
    if (this.#failure !== undefined) {
      this.#owed.push({ id, accounts, cost });
      return;
    }
    const asked = this.reserve(id, accounts, 0);
    const then = (reserved: Result<void, Shortage>): void => {
      if (reserved.ok) this.settle(id, cost);
      else if (reserved.error.kind === 'unavailable') this.#owed.push({ id, accounts, cost });
    };
    if (asked instanceof Promise) void asked.then(then);
    else then(asked);
  }

  /** Adds to the history. */
  note(row: UsageRow): void {
    this.#tally.add(row);
  }

  /** What this process holds of an account and has not spent. */
  held(account: string): {
    readonly free: number;
    readonly held: number;
    readonly unreported: number;
  } {
    const view = this.#till.view(account);
    const desk = this.#desks.get(account);
    return {
      free: Math.max(0, view.granted - view.settled - view.held),
      held: view.held,
      unreported: Math.max(0, view.settled - (desk?.base ?? 0) - (desk?.reported ?? 0)),
    };
  }

  /** Reports what was settled so far; for questions whose answer should be of now. */
  async flush(): Promise<void> {
    await this.#running;
    await this.#pump(true);
  }

  /** Reports everything, gives back what is left and ends the slices in which nothing is open. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#recall.close();
    this.#timer?.clear();
    for (const waiter of this.#waiters.splice(0))
      waiter.settle(err({ kind: 'unavailable', failure: closing }));
    await this.#running;
    await this.#pump(true);
    if (this.#pending !== undefined) return;
    for (const { account, base } of this.#desks.values()) {
      const proof = this.#till.close(account);
      if (proof === undefined || base > 0) continue;
      const { process } = this.#options;
      this.#ends.push({ kind: 'end', account, slice: process, proof });
    }
    this.#desks.clear();
    await this.#pump(true);
  }

  #take(
    accounts: readonly PaidAccount[],
    amount: number,
    attempt: () => Result<void, ReserveRefusal>,
  ): Result<void, Shortage> | Promise<Result<void, Shortage>> {
    this.#noteAsked(accounts, amount);
    // Who came first is first: while others wait, nobody takes from a slice what was leased for them.
    const taken = this.#waiters.length === 0 ? attempt() : undefined;
    if (taken?.ok === true) {
      this.#leaseAhead(accounts);
      return taken;
    }
    if (taken !== undefined && taken.error.kind !== 'short') return err({ kind: 'too-many' });
    if (this.#isClosing) return err({ kind: 'unavailable', failure: closing });
    if (this.#failure !== undefined) return err({ kind: 'unavailable', failure: this.#failure });
    return new Promise((settle) => {
      this.#waiters.push({ accounts, recalls: 0, recalledMs: 0, attempt, settle });
      this.#kick();
    });
  }

  #noteAsked(accounts: readonly PaidAccount[], amount: number): void {
    const now = monotonicMs(this.#options.clock);
    for (const { account, budget } of accounts) {
      let desk = this.#desks.get(account);
      if (desk === undefined) {
        desk = newDesk(account, budget, now);
        this.#desks.set(account, desk);
      }
      noteAsked(desk, budget, { amount, now });
    }
  }

  /** A busy account asks for the next part of its slice before it is short, so that no request waits for it. */
  #leaseAhead(accounts: readonly PaidAccount[]): void {
    for (const { account } of accounts) {
      const desk = this.#desks.get(account);
      if (desk !== undefined && aheadOf(desk, this.#till) !== undefined) this.#kick();
    }
  }

  #touch(account: string): void {
    const desk = this.#desks.get(account);
    if (desk !== undefined) desk.isDirty = true;
  }

  #kick(): void {
    if (this.#isBusy) return;
    void this.#pump(false);
  }

  /** Often enough to say in time that this process lives. */
  #tickMs(): number {
    const { staleAfterMs } = this.#options;
    return staleAfterMs === 0 ? tickMs : Math.min(tickMs, staleAfterMs / 4);
  }

  #arm(ms: number): void {
    this.#timer?.clear();
    if (this.#isClosing) return;
    this.#timer = this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      void this.#tick();
    });
  }

  async #tick(): Promise<void> {
    const { staleAfterMs, clock } = this.#options;
    const isDue = staleAfterMs > 0 && monotonicMs(clock) - this.#sweptAtMs >= staleAfterMs;
    // What an outage kept from being swept at the start is swept once it is over.
    if (isDue || this.#mustSweep) await this.#sweep();
    await this.#pump(true);
  }

  /** Sends batches until nobody waits. One at a time. */
  #pump(isTick: boolean): Promise<void> {
    if (this.#isBusy) return this.#running;
    this.#isBusy = true;
    this.#running = this.#send(isTick);
    return this.#running;
  }

  async #send(isTick: boolean): Promise<void> {
    try {
      let isDue = isTick;
      for (;;) {
        this.#serve();
        const next = this.#pending ?? this.#compose(isDue);
        isDue = false;
        if (next === undefined) break;
        this.#pending = next;
        // oxlint-disable-next-line no-await-in-loop -- one batch after the other is the protocol
        const answered = await this.#options.bank.change(next.batch);
        if (!answered.ok) {
          this.#failed(answered.error);
          break;
        }
        this.#pending = undefined;
        this.#recovered();
        // oxlint-disable-next-line no-await-in-loop -- as above
        if (this.#heed(next, answered.value) && this.#waiters.length > 0)
          await pause(this.#options.clock);
      }
    } finally {
      this.#isBusy = false;
      if (this.#timer === undefined)
        this.#arm(this.#failure === undefined ? this.#tickMs() : this.#retryMs);
    }
  }

  /** Takes note of a batch's answers; true where others hold what somebody waits for. */
  #heed(sent: Sent, answers: readonly BankAnswer[]): boolean {
    const last = new Map(sent.desks.map((desk, i) => [desk, i]));
    let isElsewhere = false;
    sent.batch.changes.forEach((change, i) => {
      const desk = sent.desks[i];
      const answer = answers[i];
      if (desk === undefined || answer === undefined) return;
      if (answer.outcome.kind === 'elsewhere') isElsewhere = true;
      this.#learn({ change, desk, answer, isLast: last.get(desk) === i });
    });
    return isElsewhere;
  }

  /** Everybody who waits, in order, as far as the slices have it. */
  #serve(): void {
    const waiting = this.#waiters;
    if (waiting.length === 0) return;
    this.#waiters = [];
    const left: Waiter[] = [];
    for (const waiter of waiting) {
      const taken = waiter.attempt();
      if (taken.ok) waiter.settle(ok(undefined));
      else if (taken.error.kind === 'short') left.push(waiter);
      else waiter.settle(err({ kind: 'too-many' }));
    }
    // Whoever came meanwhile is behind them.
    this.#waiters = [...left, ...this.#waiters];
  }

  #compose(isTick: boolean): Sent | undefined {
    const changes: BankChange[] = this.#ends.splice(0, bankBatchChangesMax / 2);
    const desks: (Desk | undefined)[] = changes.map(() => undefined);
    const now = monotonicMs(this.#options.clock);
    // Before anybody's need is known: who waits here then needs all of its amount, as everybody elsewhere does.
    const recalled = takeRecalled(this.#desks.values(), this.#till);
    const needs = this.#needs();
    const { process: slice } = this.#options;
    for (const desk of this.#desks.values()) {
      if (changes.length > bankBatchChangesMax - deskChangesMax) break;
      const ask =
        needs.get(desk.account) ?? (this.#isClosing ? undefined : aheadOf(desk, this.#till));
      const moment = { slice, now, isTick, ask, recalled: recalled.get(desk) };
      recalled.delete(desk);
      for (const change of changesOf(desk, this.#till, moment)) {
        changes.push(change);
        desks.push(desk);
      }
    }
    putBack(recalled, this.#till);
    const usage = isTick || changes.length > 0 ? this.#tally.take() : [];
    if (changes.length === 0 && usage.length === 0 && !this.#mustShowLife(now)) return undefined;
    this.#seq += 1;
    this.#sentAtMs = now;
    return { batch: { process: slice, seq: this.#seq, changes, usage }, desks };
  }

  /** A process that holds slices says often enough that it lives. */
  #mustShowLife(now: number): boolean {
    const { staleAfterMs } = this.#options;
    if (staleAfterMs === 0 || now - this.#sentAtMs < staleAfterMs / 4) return false;
    return [...this.#desks.values()].some((desk) => grantedOf(desk, this.#till) > 0);
  }

  /** Of each account that somebody waits for: what the first in line lacks, and what all of them together would like. */
  #needs(): ReadonlyMap<string, { readonly need: number; readonly want: number }> {
    const needs = new Map<string, { need: number; want: number }>();
    for (const waiter of this.#waiters) {
      const taken = waiter.attempt();
      if (taken.ok) {
        // Something came free between two looks.
        waiter.settle(ok(undefined));
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        continue;
      }
      if (taken.error.kind !== 'short') continue;
      for (const { account, amount } of taken.error.lacks) {
        const known = needs.get(account);
        if (known === undefined) needs.set(account, { need: amount, want: amount });
        else
          known.want = Math.min(
            known.want + (this.#desks.get(account)?.lastAmount ?? 0),
            amountMax,
          );
      }
    }
    return needs;
  }

  /** What the answer to one change says of the slice, and of those who wait for it. */
  #learn({
    change,
    desk,
    answer,
    isLast,
  }: {
    readonly change: BankChange;
    readonly desk: Desk;
    readonly answer: BankAnswer;
    /** Earlier answers of a batch show the slice as it was in between. */
    readonly isLast: boolean;
  }): void {
    desk.balance = answer.balance;
    const { outcome, slice } = answer;
    if (outcome.kind === 'refused' && outcome.why === 'unknown-slice') {
      this.#ended(desk);
      return;
    }
    if (slice !== undefined && isLast) {
      desk.reported = slice.settled;
      const missing = slice.granted - grantedOf(desk, this.#till);
      if (missing > 0) this.#till.grant(desk.account, missing);
      else if (slice.granted === 0 && this.#till.view(desk.account).granted === 0)
        this.#till.grant(desk.account, 0);
    }
    if (change.kind !== 'lease' || outcome.kind === 'done') return;
    if (outcome.kind === 'elsewhere') {
      const now = monotonicMs(this.#options.clock);
      this.#refuse(desk, change.need, undefined, (waiter) => isRecallOver(waiter, now));
      return;
    }
    const at = outcome.kind === 'exhausted' ? outcome.affordableAtMs : undefined;
    this.#refuse(desk, change.need, at, () => true);
  }

  /** Refuses everybody who lacks at least so much; who lacks less may still be served. */
  #refuse(
    desk: Desk,
    need: number,
    affordableAtMs: number | undefined,
    applies: (waiter: Waiter) => boolean,
  ): void {
    const left: Waiter[] = [];
    for (const waiter of this.#waiters) {
      const taken = waiter.accounts.some(({ account }) => account === desk.account)
        ? waiter.attempt()
        : undefined;
      if (taken?.ok === true) {
        waiter.settle(ok(undefined));
        continue;
      }
      const lacks =
        taken?.error.kind === 'short'
          ? taken.error.lacks.find(({ account }) => account === desk.account)
          : undefined;
      if (lacks === undefined || lacks.amount < need || !applies(waiter)) {
        left.push(waiter);
        continue;
      }
      const room = Math.max(0, desk.balance) + this.held(desk.account).free;
      waiter.settle(
        err({
          kind: 'exhausted',
          account: desk.account,
          room,
          ...(affordableAtMs === undefined ? {} : { affordableAtMs }),
        }),
      );
    }
    this.#waiters = left;
  }

  /** Others took this process for dead and counted its slice as spent: what is open is paid for, the rest is gone. */
  #ended(desk: Desk): void {
    this.#till.takeIdle(desk.account, amountMax);
    const view = this.#till.view(desk.account);
    desk.base = view.settled + view.held;
    desk.reported = 0;
  }

  #failed(failure: BankFailure): void {
    if (this.#failure === undefined)
      this.#options.onEvent?.({ kind: 'down', message: failure.message });
    this.#failure = failure;
    this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2);
    for (const waiter of this.#waiters.splice(0))
      waiter.settle(err({ kind: 'unavailable', failure }));
  }

  #recovered(): void {
    this.#retryMs = retryMsMin;
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    for (const { id, accounts, cost } of this.#owed.splice(0)) this.owe(id, accounts, cost);
    this.#options.onEvent?.({ kind: 'up', message: 'The store of money answers again.' });
  }

  /** Where their proof cannot be read now, slices wait for it and requests do not: they have that much less money. */
  async #endStale(slices: readonly StaleSlice[]): Promise<void> {
    const wasUnproven = this.#mustSweep;
    try {
      const ends = await endsOf(slices, this.#options);
      this.#ends = [...this.#ends, ...ends];
      this.#mustSweep = false;
    } catch (cause) {
      this.#mustSweep = true;
      if (!wasUnproven) this.#options.onEvent?.({ kind: 'unproven', message: messageOf(cause) });
    }
  }

  async #sweep(): Promise<Result<void, BankFailure>> {
    const { bank, process, staleAfterMs, clock } = this.#options;
    this.#sweptAtMs = monotonicMs(clock);
    const stale = await bank.stale({ process, idleMs: staleAfterMs });
    if (!stale.ok) {
      this.#mustSweep = true;
      return stale;
    }
    // A start without the store is over here: no batch is under way whose answer would say so.
    if (this.#pending === undefined) this.#recovered();
    await this.#endStale(stale.value);
    await this.#pump(false);
    return this.#failure === undefined ? ok(undefined) : err(this.#failure);
  }
}

const closing: BankFailure = { kind: 'closed', message: 'The ledger is closing.' };
