import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { BankAnswer, BankChange, Budget, ReserveRefusal, Settled } from '@postern/core/quota';
import { amountMax, Till } from '@postern/core/quota';
import type { BankFailure, StaleSlice, UsageRow } from './bank.ts';
import { bankBatchChangesMax } from './bank.ts';
import type { PaidAccount } from './terms.ts';
import { monotonicMs } from '../elapsed.ts';
import {
  changesOf,
  deskChangesMax,
  grantedOf,
  proofOf,
  putBack,
  takeRecalled,
} from './ledger-changes.ts';
import type { Desk, Sent } from './ledger-desk.ts';
import { aheadOf, isQuiet, isRecallOver, newDesk, noteAsked, wakeDesk } from './ledger-desk.ts';
import type { LedgerOptions, Shortage } from './ledger-options.ts';
import { endsOf } from './ledger-sweep.ts';
import { tickMs, pause, retryMsMin, retryMsMax } from './ledger-times.ts';
import { Waiters } from './ledger-waiters.ts';
import { UsageTally } from './usage-tally.ts';

/**
 * The money of one process. What a slice holds is reserved, extended and settled in memory, without a wait; only where it is short does a request
 * wait for a lease, many of them for one batch. One batch is under way at a time, and one whose answer was lost is sent again as it
 * was before anything new, so that both sides agree after any failure.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #till = new Till();
  /** Of accounts that were used lately. */
  readonly #desks = new Map<string, Desk>();
  /** Of all others that have a slice, what was reported of it. */
  readonly #asleep = new Map<string, number>();
  /** Those that the next batch is about, whatever else there is. */
  readonly #due = new Set<Desk>();
  /** Where the look at all of them goes on that a tick began. */
  #round: Iterator<Desk> | undefined;
  readonly #tally = new UsageTally();
  readonly #recall: { close(): void };
  readonly #waiters = new Waiters();
  #seq = 0;
  #pending: Sent | undefined;
  #sentAtMs = 0;
  #isBusy = false;
  /** All desks are to be looked at, after the batch that is under way. */
  #isTickDue = false;
  #running: Promise<void> = Promise.resolve();
  #failure: BankFailure | undefined;
  #retryMs = retryMsMin;
  #timer: { clear(): void } | undefined;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #ends: BankChange[] = [];
  #isClosing = false;
  #mustSweep = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#recall = options.bank.onRecall(options.process, (accounts) => {
      for (const account of accounts) {
        const desk = this.#desks.get(account);
        if (desk === undefined) continue;
        desk.isRecalled = true;
        this.#due.add(desk);
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
    this.#noteAsked(accounts, amount);
    return this.#take(accounts, () => this.#till.reserve(id, names, amount));
  }

  /** Sets more aside for a stream that goes on. It may go on from memory while the store is down. */
  extend(
    id: string,
    accounts: readonly PaidAccount[],
    amount: number,
  ): Result<void, Shortage> | Promise<Result<void, Shortage>> {
    // A stream may have begun under terms of before a reload: those that count by now stay.
    const current = accounts.map((paid) => this.#current(paid));
    this.#noteAsked(current, amount);
    return this.#take(current, () => this.#till.extend(id, amount));
  }

  /** Ends a reservation with what it cost. */
  settle(id: string, cost: number): Settled {
    let settled = this.#till.settle(id, cost);
    // More than an account can count, by an upstream that says nonsense: what was set aside is charged, and told.
    const isBeyond = !settled.ok && settled.error.kind === 'bad-amount';
    if (isBeyond) settled = this.#till.settleReserved(id);
    if (!settled.ok) throw new RangeError(`a reservation is settled once: ${settled.error.kind}`);
    const isOver = isBeyond || settled.value.overrun > 0;
    for (const account of settled.value.accounts) {
      const desk = this.#desks.get(account);
      if (desk === undefined) continue;
      desk.isDirty = true;
      if (isOver) this.#due.add(desk);
    }
    if (isOver) {
      const { accounts } = settled.value;
      const overrun = isBeyond ? cost - settled.value.charged : settled.value.overrun;
      this.#options.onEvent?.({ kind: 'overrun', accounts, amount: overrun });
      this.#kick();
    }
    return settled.value;
  }

  /** Charges what was served while the store was down: over the balance, if need be. */
  owe(accounts: readonly PaidAccount[], cost: number): void {
    const now = monotonicMs(this.#options.clock);
    const names = accounts.map(({ account }) => account);
    // In the till at once, whatever the store does: nothing has to be kept for later, or could be refused then.
    const isCharged = this.#till.charge(names, cost);
    if (!isCharged) this.#options.onEvent?.({ kind: 'overrun', accounts: names, amount: cost });
    for (const { account, budget } of accounts) {
      const desk = this.#deskOf(account, budget, now);
      desk.lastUsedMs = now;
      desk.isDirty = true;
      this.#due.add(desk);
    }
    if (this.#failure === undefined) this.#kick();
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
    this.#waiters.fail(closing);
    await this.#running;
    await this.#pump(true);
    // Where that found slices ended, what was spent above them.
    await this.#pump(true);
    if (this.#pending !== undefined) return;
    const { process } = this.#options;
    for (const desk of this.#desks.values()) {
      const proof = proofOf(desk, this.#till);
      if (proof !== undefined)
        this.#ends.push({ kind: 'end', account: desk.account, slice: process, proof });
    }
    for (const [account, settled] of this.#asleep)
      this.#ends.push({ kind: 'end', account, slice: process, proof: { settled, unspent: 0 } });
    this.#asleep.clear();
    this.#due.clear();
    this.#desks.clear();
    await this.#pump(true);
  }

  #take(
    accounts: readonly PaidAccount[],
    attempt: () => Result<void, ReserveRefusal>,
  ): Result<void, Shortage> | Promise<Result<void, Shortage>> {
    // Who came first is first: while others wait, nobody takes from a slice what was leased for them.
    const taken = this.#waiters.isEmpty ? attempt() : undefined;
    if (taken?.ok === true) {
      this.#leaseAhead(accounts);
      return taken;
    }
    if (taken !== undefined && taken.error.kind !== 'short') return err({ kind: 'too-many' });
    if (this.#isClosing) return err({ kind: 'unavailable', failure: closing });
    if (this.#failure !== undefined) return err({ kind: 'unavailable', failure: this.#failure });
    return new Promise((settle) => {
      this.#waiters.add({ accounts, recalls: 0, recalledMs: 0, attempt, settle });
      this.#kick();
    });
  }

  #noteAsked(accounts: readonly PaidAccount[], amount: number): void {
    const now = monotonicMs(this.#options.clock);
    for (const { account, budget } of accounts) {
      noteAsked(this.#deskOf(account, budget, now), budget, { amount, now });
    }
  }

  #current(paid: PaidAccount): PaidAccount {
    const budget = this.#desks.get(paid.account)?.budget;
    return budget === undefined || budget === paid.budget ? paid : { ...paid, budget };
  }

  #deskOf(account: string, budget: Budget, now: number): Desk {
    let desk = this.#desks.get(account);
    if (desk === undefined) {
      const reported = this.#asleep.get(account);
      desk = newDesk(account, budget, now);
      if (reported !== undefined) desk = wakeDesk(desk, reported);
      this.#asleep.delete(account);
      this.#desks.set(account, desk);
    }
    return desk;
  }

  /** A busy account asks for the next part of its slice before it is short, so that no request waits for it. */
  #leaseAhead(accounts: readonly PaidAccount[]): void {
    for (const { account } of accounts) {
      const desk = this.#desks.get(account);
      if (desk === undefined || aheadOf(desk, this.#till) === undefined) continue;
      this.#due.add(desk);
      this.#kick();
    }
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
    if (isTick) this.#isTickDue = true;
    if (this.#isBusy) return this.#running;
    this.#isBusy = true;
    this.#running = this.#send();
    return this.#running;
  }

  async #send(): Promise<void> {
    try {
      for (;;) {
        this.#waiters.serve();
        const next = this.#pending ?? this.#compose();
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
        if (this.#heed(next, answered.value) && !this.#waiters.isEmpty)
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

  #compose(): Sent | undefined {
    const isTick = this.#isTickDue;
    this.#isTickDue = false;
    const changes: BankChange[] = this.#ends.splice(0, bankBatchChangesMax / 2);
    const desks: (Desk | undefined)[] = changes.map(() => undefined);
    const now = monotonicMs(this.#options.clock);
    if (isTick) this.#round = this.#desks.values();
    // Before anybody's need is known: who waits here then needs all of its amount, as everybody elsewhere does.
    const recalled = takeRecalled(this.#due, this.#till);
    const needs = this.#waiters.needs((account) => this.#desks.get(account)?.lastAmount ?? 0);
    for (const account of needs.keys()) {
      const desk = this.#desks.get(account);
      if (desk !== undefined) this.#due.add(desk);
    }
    const { process: slice } = this.#options;
    const isRound = this.#round !== undefined;
    for (const desk of this.#next(() => changes.length > bankBatchChangesMax - deskChangesMax)) {
      const ask =
        needs.get(desk.account) ?? (this.#isClosing ? undefined : aheadOf(desk, this.#till));
      const moment = { slice, now, isTick: isRound, ask, recalled: recalled.get(desk) };
      recalled.delete(desk);
      const before = changes.length;
      for (const change of changesOf(desk, this.#till, moment)) {
        changes.push(change);
        desks.push(desk);
      }
      if (isRound && changes.length === before && isQuiet(desk, this.#till, now)) this.#sleep(desk);
    }
    putBack(recalled, this.#till);
    const usage = isTick || changes.length > 0 ? this.#tally.take() : [];
    if (changes.length === 0 && usage.length === 0 && !this.#mustShowLife(now)) return undefined;
    this.#seq += 1;
    this.#sentAtMs = now;
    return { batch: { process: slice, seq: this.#seq, changes, usage }, desks };
  }

  /** Each desk once that the batch is about; those that find no place are there for the next one. */
  *#next(isFull: () => boolean): Generator<Desk> {
    const seen = new Set<Desk>();
    for (const desk of this.#due) {
      if (isFull()) return;
      this.#due.delete(desk);
      seen.add(desk);
      yield desk;
    }
    while (this.#round !== undefined && !isFull()) {
      const { value, done } = this.#round.next();
      if (done === true) this.#round = undefined;
      else if (!seen.has(value)) yield value;
    }
  }

  /** Nobody asked for the account for a while: its slice stays, and what is known of it is one number. */
  #sleep(desk: Desk): void {
    const { account, hasSlice, base } = desk;
    const { settled } = this.#till.view(account);
    this.#till.close(account);
    this.#desks.delete(account);
    if (hasSlice) this.#asleep.set(account, Math.max(0, settled - base));
  }

  /** A process that holds slices says often enough that it lives. */
  #mustShowLife(now: number): boolean {
    const { staleAfterMs } = this.#options;
    if (staleAfterMs === 0 || now - this.#sentAtMs < staleAfterMs / 4) return false;
    for (const desk of this.#desks.values()) if (grantedOf(desk, this.#till) > 0) return true;
    return false;
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
    desk.hasSlice = slice !== undefined;
    if (slice !== undefined && isLast) {
      desk.reported = slice.settled;
      const missing = slice.granted - grantedOf(desk, this.#till);
      if (missing > 0) this.#till.grant(desk.account, missing);
      else if (this.#till.view(desk.account).granted === 0) this.#till.grant(desk.account, 0);
    }
    if (change.kind !== 'lease' || outcome.kind === 'done') return;
    const now = monotonicMs(this.#options.clock);
    this.#waiters.refuse({
      account: desk.account,
      need: change.need,
      room: () => Math.max(0, desk.balance) + this.held(desk.account).free,
      affordableAtMs: outcome.kind === 'exhausted' ? outcome.affordableAtMs : undefined,
      applies: (waiter) => outcome.kind !== 'elsewhere' || isRecallOver(waiter, now),
    });
  }

  /**
   * Others took this process for dead and counted its slice as spent: what is open is paid for, the rest is gone. What was spent above it was
   * counted by nobody, and is owed.
   */
  #ended(desk: Desk): void {
    this.#till.takeIdle(desk.account, amountMax);
    desk.base = this.#till.view(desk.account).granted;
    desk.hasSlice = false;
    desk.reported = 0;
    desk.isDirty = true;
  }

  #failed(failure: BankFailure): void {
    if (this.#failure === undefined)
      this.#options.onEvent?.({ kind: 'down', message: failure.message });
    this.#failure = failure;
    this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2);
    this.#waiters.fail(failure);
  }

  #recovered(): void {
    this.#retryMs = retryMsMin;
    if (this.#failure === undefined) return;
    this.#failure = undefined;
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
