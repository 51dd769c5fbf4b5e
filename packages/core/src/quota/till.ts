import type { Result } from '@postern/core/base';
import { assert, ChurnMap, err, ok, present } from '@postern/core/base';
import { amountMax, isAmount } from './amount.ts';
import type { SliceProof } from './slices.ts';

/** More requests than one process has open at a time. */
export const reservationsMax = 1_000_000;
/** Accounts that one request pays from: budgets of its grant and of the configuration, times its tags. */
export const accountsPerRequestMax = 256;

export type ReserveRefusal =
  /** Not enough in these drawers: lease at least as much (0 where only a slice is missing), `grant` it, then try again. */
  | { readonly kind: 'short'; readonly lacks: readonly Lack[] }
  | { readonly kind: 'bad-amount' | 'duplicate' | 'not-open' | 'too-many' };

export interface Lack {
  readonly account: string;
  readonly amount: number;
}

export interface Settled {
  readonly accounts: readonly string[];
  readonly charged: number;
  readonly reserved: number;
  /** What was charged above the reservation. More than nothing means that a ceiling was wrong: worth an alarm. */
  readonly overrun: number;
}

interface Drawer {
  granted: number;
  /** Of `granted`, what the durable record says may be reserved; the rest is proven unspent after a crash. */
  usable: number;
  spent: number;
  held: number;
  open: number;
}

interface Reservation {
  readonly accounts: readonly string[];
  amount: number;
}

/**
 * The money of one process: a drawer for each account with what its slice grants, and every open reservation. Deterministic; no clock, no
 * I/O. All calls are synchronous, so requests that run side by side cannot both take the last of a drawer. A reservation ends exactly
 * once: settling or releasing what is not open is refused, and the caller's bug shows.
 */
export class Till {
  readonly #drawers = new Map<string, Drawer>();
  readonly #open = new ChurnMap<Reservation>();

  /** Adds what a lease granted. `usable` of it may be reserved at once, the rest after `allow`. */
  grant(account: string, amount: number, usable: number = amount): void {
    assert(isAmount(amount) && isAmount(usable) && usable <= amount, 'a grant is an amount');
    const drawer = this.#drawers.get(account) ?? { ...emptyDrawer };
    assert(drawer.granted + amount <= amountMax, 'a drawer holds an amount');
    this.#drawers.set(account, drawer);
    drawer.granted += amount;
    drawer.usable += usable;
  }

  /** Lets more of the grant be reserved. First comes the durable record that says so. */
  allow(account: string, amount: number): void {
    const drawer = this.#drawer(account);
    assert(
      isAmount(amount) && drawer.usable + amount <= drawer.granted,
      'no more than was granted',
    );
    drawer.usable += amount;
  }

  /** Sets the amount aside in every account, or in none. */
  reserve(id: string, accounts: readonly string[], amount: number): Result<void, ReserveRefusal> {
    if (!isAmount(amount)) return err({ kind: 'bad-amount' });
    if (this.#open.has(id)) return err({ kind: 'duplicate' });
    const each = distinct(accounts);
    if (each.length > accountsPerRequestMax || this.#open.size >= reservationsMax)
      return err({ kind: 'too-many' });
    const lacks = this.#lacks(each, amount);
    if (lacks.length > 0) return err({ kind: 'short', lacks });
    for (const account of each) {
      const drawer = this.#drawer(account);
      drawer.held += amount;
      drawer.open += 1;
    }
    this.#open.set(id, { accounts: each, amount });
    return ok(undefined);
  }

  /** Sets more aside for a stream that goes on, in every account or in none. Refused, the reservation stays as it was. */
  extend(id: string, amount: number): Result<void, ReserveRefusal> {
    const reservation = this.#open.get(id);
    if (reservation === undefined) return err({ kind: 'not-open' });
    if (!isAmount(amount) || !isAmount(reservation.amount + amount))
      return err({ kind: 'bad-amount' });
    const lacks = this.#lacks(reservation.accounts, amount);
    if (lacks.length > 0) return err({ kind: 'short', lacks });
    for (const account of reservation.accounts) this.#drawer(account).held += amount;
    reservation.amount += amount;
    return ok(undefined);
  }

  /** Ends the reservation with what it really cost, whatever was reserved: the rest is free again, an overrun is charged. */
  settle(id: string, cost: number): Result<Settled, { readonly kind: 'not-open' | 'bad-amount' }> {
    const reservation = this.#open.get(id);
    if (reservation === undefined) return err({ kind: 'not-open' });
    if (!isAmount(cost)) return err({ kind: 'bad-amount' });
    for (const account of reservation.accounts)
      if (this.#drawer(account).spent + cost > amountMax) return err({ kind: 'bad-amount' });
    for (const account of reservation.accounts) {
      const drawer = this.#drawer(account);
      drawer.held -= reservation.amount;
      drawer.spent += cost;
      drawer.open -= 1;
    }
    this.#open.delete(id);
    return ok({
      accounts: reservation.accounts,
      charged: cost,
      reserved: reservation.amount,
      overrun: Math.max(0, cost - reservation.amount),
    });
  }

  /** Charges what nothing was set aside for, in every account or, where a sum is no amount, in none. A slice for it may come later. */
  charge(accounts: readonly string[], cost: number): boolean {
    const each = distinct(accounts);
    const isCountable = (account: string): boolean => isAmount(this.view(account).settled + cost);
    if (!isAmount(cost) || !each.every(isCountable)) return false;
    for (const account of each) {
      this.grant(account, 0);
      this.#drawer(account).spent += cost;
    }
    return true;
  }

  /** Ends the reservation with what was set aside, where its cost is no amount. */
  settleReserved(id: string): Result<Settled, { readonly kind: 'not-open' | 'bad-amount' }> {
    return this.settle(id, this.#open.get(id)?.amount ?? 0);
  }

  /** Ends a reservation whose request was never sent on: it costs nothing. Once sent, `settle` it, with 0 if need be. */
  release(id: string): Result<Settled, { readonly kind: 'not-open' | 'bad-amount' }> {
    return this.settle(id, 0);
  }

  /** Takes out what is neither spent nor set aside, at most so much; the caller then returns it to the account. */
  takeIdle(account: string, atMost: number): number {
    assert(isAmount(atMost), 'an amount to take');
    const drawer = this.#drawers.get(account);
    if (drawer === undefined) return 0;
    const taken = Math.min(atMost, Math.max(0, drawer.granted - drawer.spent - drawer.held));
    drawer.granted -= taken;
    drawer.usable = Math.min(drawer.usable, drawer.granted);
    return taken;
  }

  /** What the durable account is told, and what an operator sees. */
  view(account: string): {
    readonly granted: number;
    readonly usable: number;
    readonly settled: number;
    readonly held: number;
    readonly open: number;
  } {
    const { granted, usable, spent, held, open } = this.#drawers.get(account) ?? emptyDrawer;
    return { granted, usable, settled: spent, held, open };
  }

  /** Closes a drawer in which nothing is open any more, with the proof that ends its slice; undefined while something is, or without one. */
  close(account: string): SliceProof | undefined {
    const drawer = this.#drawers.get(account);
    if (drawer === undefined || drawer.open > 0) return undefined;
    this.#drawers.delete(account);
    return { settled: drawer.spent, unspent: Math.max(0, drawer.granted - drawer.spent) };
  }

  /** Ids of what is open: a sweep ends what outlived its request. */
  openIds(): readonly string[] {
    return this.#open.keys();
  }

  #drawer(account: string): Drawer {
    return present(this.#drawers.get(account), 'a drawer for every slice that was granted');
  }

  /**
   * An account that nothing was ever leased from lacks even an amount of zero: without a slice an overrun could not be reported. With
   * one, what costs nothing is admitted although the account is overdrawn.
   */
  #lacks(accounts: readonly string[], amount: number): readonly Lack[] {
    let lacks: Lack[] | undefined;
    for (const account of accounts) {
      const drawer = this.#drawers.get(account);
      const lacking =
        drawer === undefined ? amount : amount - (drawer.usable - drawer.spent - drawer.held);
      if (drawer !== undefined && (amount === 0 || lacking <= 0)) continue;
      (lacks ??= []).push({ account, amount: lacking });
    }
    return lacks ?? nothing;
  }
}

const nothing: readonly never[] = Object.freeze([]);

/** Up to so many names a look through the list is quicker than a set. */
const fewAccounts = 8;

/** Each of them once; mostly they are. */
function distinct(accounts: readonly string[]): readonly string[] {
  const isDistinct =
    accounts.length <= fewAccounts &&
    accounts.every((account, at) => accounts.indexOf(account) === at);
  return isDistinct ? accounts : [...new Set(accounts)];
}

const emptyDrawer: Readonly<Drawer> = Object.freeze({
  granted: 0,
  usable: 0,
  spent: 0,
  held: 0,
  open: 0,
});

/**
 * What is proven about a slice whose process is gone: `granted` by the account, `settled` and `usable` by the records that survived.
 * What was usable may have been reserved; only what was not is unspent. Without a record of `usable` it is all of `granted`. An overrun
 * raises what the record calls usable by itself, since it is used beside everything that is reserved.
 */
export function crashProof(record: {
  readonly granted: number;
  readonly usable: number;
  readonly settled: number;
}): SliceProof {
  const { granted, usable, settled } = record;
  // An overrun used money that others had reserved: what the record calls usable may be more than was granted, and is then owed.
  const spent = usable > granted ? Math.max(usable, settled) : settled;
  return { settled: spent, unspent: Math.max(0, granted - Math.max(usable, spent)) };
}
