import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Account } from './account.ts';
import { leasedOf, openAccount } from './account.ts';
import type { Budget } from './budget.ts';
import { dayMs } from './budget.ts';
import { refill } from './refill.ts';
import { endSlice, leaseSlice, reportSlice, returnIdle } from './slices.ts';
import { crashProof, Till } from './till.ts';

/**
 * A small fleet around two accounts: processes that reserve, extend, settle, report, give back, stop and crash, in any order. What the
 * world really spent is kept apart from what the ledger says.
 */
const budgets: Readonly<Record<string, Budget>> = {
  team: {
    name: 'team',
    capacity: 10_000,
    per: 'all',
    refill: { amount: 3_000, every: 'day', style: 'boundary' },
  },
  alice: {
    name: 'alice',
    capacity: 4_000,
    per: 'all',
    refill: { amount: 1_000, every: 'day', style: 'steady' },
  },
};
const names = Object.keys(budgets);
const budgetOf = (name: string): Budget => budgets[name]!;

interface Process {
  id: string;
  till: Till;
  /** Open requests: what the provider has delivered of each so far, never above what is reserved. */
  readonly open: Map<string, { reserved: number; used: number; accounts: readonly string[] }>;
  /** What its durable record shows, by account: usable as of the last record, settled as of the last flush. */
  readonly record: Map<string, { usable: number; settled: number }>;
}

class Fleet {
  readonly accounts = new Map<string, Account>(
    names.map((name) => [name, openAccount(budgetOf(name), 0)]),
  );
  readonly processes: Process[] = [];
  readonly real = new Map<string, number>(names.map((name) => [name, 0]));
  now = 0;
  #ids = 0;

  constructor(count: number) {
    for (let i = 0; i < count; i += 1) this.processes.push(this.#start());
  }

  #start(): Process {
    this.#ids += 1;
    return { id: `p${this.#ids}`, till: new Till(), open: new Map(), record: new Map() };
  }

  account(name: string): Account {
    return this.accounts.get(name)!;
  }

  reserve(process: Process, accounts: readonly string[], amount: number): boolean {
    this.#ids += 1;
    const id = `r${this.#ids}`;
    let result = process.till.reserve(id, accounts, amount);
    for (let round = 0; round < 2 && !result.ok; round += 1) {
      if (
        result.error.kind !== 'short' ||
        !result.error.lacks.every((lack) => this.lease(process, lack.account, lack.amount))
      )
        return false;
      result = process.till.reserve(id, accounts, amount);
    }
    if (result.ok)
      process.open.set(id, { reserved: amount, used: 0, accounts: [...new Set(accounts)] });
    return result.ok;
  }

  /** Frees what is granted and not yet allowed, then leases; what lies idle elsewhere is called back first. */
  lease(process: Process, name: string, need: number): boolean {
    const view = process.till.view(name);
    const dormant = Math.min(need, view.granted - view.usable);
    if (dormant > 0) this.#allow(process, name, dormant);
    if (dormant > 0 && dormant === need) return true;
    for (let round = 0; round < 2; round += 1) {
      const lease = leaseSlice(budgetOf(name), this.account(name), {
        slice: process.id,
        need: need - dormant,
        want: 900,
        nowMs: this.now,
      });
      this.accounts.set(name, lease.account);
      if (lease.kind === 'leased') {
        process.till.grant(name, lease.granted, 0);
        this.#allow(process, name, need - dormant);
        return true;
      }
      if (lease.kind !== 'elsewhere') return false;
      for (const other of this.processes)
        if (lease.slices.includes(other.id)) this.giveBack(other, name);
    }
    return false;
  }

  #allow(process: Process, name: string, amount: number): void {
    const record = process.record.get(name) ?? { usable: 0, settled: 0 };
    process.record.set(name, { ...record, usable: record.usable + amount });
    process.till.allow(name, amount);
  }

  giveBack(process: Process, name: string): void {
    const idle = process.till.takeIdle(name, 1_000_000);
    if (idle === 0) return;
    const change = returnIdle(this.account(name), process.id, idle);
    expect(change.ok).toBe(true);
    if (change.ok) this.accounts.set(name, change.account);
    const record = process.record.get(name)!;
    process.record.set(name, { ...record, usable: process.till.view(name).usable });
  }

  settle(process: Process, overrun: number): void {
    const [first] = process.open;
    if (first === undefined) return;
    const [id, { used, reserved, accounts }] = first;
    const cost = overrun > 0 ? reserved + overrun : used;
    expect(process.till.settle(id, cost).ok).toBe(true);
    expect(process.till.settle(id, cost)).toEqual({ ok: false, error: { kind: 'not-open' } });
    process.open.delete(id);
    for (const name of accounts) this.real.set(name, this.real.get(name)! + cost);
    // A settlement above its reservation is recorded before anything else happens; others may wait for the next flush.
    if (overrun > 0) {
      this.flush(process);
      for (const name of accounts) {
        const record = process.record.get(name)!;
        process.record.set(name, { ...record, usable: record.usable + overrun });
      }
    }
  }

  flush(process: Process): void {
    for (const [name, record] of process.record)
      process.record.set(name, { ...record, settled: process.till.view(name).settled });
  }

  report(process: Process, name: string): void {
    if (!this.account(name).slices.some((slice) => slice.id === process.id)) return;
    this.flush(process);
    const change = reportSlice(this.account(name), process.id, process.till.view(name).settled);
    if (!change.ok) throw new Error(change.why);
    this.accounts.set(name, change.account);
    this.#cover(process, name, change.covered);
  }

  #cover(process: Process, name: string, covered: number): void {
    if (covered === 0) return;
    process.till.grant(name, covered, 0);
    this.#allow(process, name, covered);
  }

  /** Everything in memory is gone; the provider delivered what it delivered. */
  crash(at: number): void {
    const process = this.processes[at]!;
    for (const { used, accounts } of process.open.values())
      for (const name of accounts) this.real.set(name, this.real.get(name)! + used);
    this.#end(process, (name, granted) =>
      crashProof({ granted, ...(process.record.get(name) ?? { usable: 0, settled: 0 }) }),
    );
    this.processes[at] = this.#start();
  }

  stop(at: number): void {
    const process = this.processes[at]!;
    while (process.open.size > 0) this.settle(process, 0);
    this.#end(process, (name) => {
      this.report(process, name);
      return process.till.close(name)!;
    });
    this.processes[at] = this.#start();
  }

  #end(
    process: Process,
    proof: (name: string, granted: number) => { settled: number; unspent: number },
  ): void {
    for (const name of names) {
      const row = this.account(name).slices.find((slice) => slice.id === process.id);
      if (row === undefined) continue;
      const proven = proof(name, row.granted);
      const change = endSlice(this.account(name), process.id, proven);
      if (!change.ok) throw new Error(`${change.why} ${JSON.stringify({ row, proven })}`);
      this.accounts.set(name, change.account);
    }
  }

  /** Plain comparisons: it runs some hundred thousand times. */
  check(hasOverruns: boolean): void {
    for (const name of names) {
      const account = this.account(name);
      const { opened, refilled, balance, spent, lost } = account;
      if (opened + refilled !== balance + leasedOf(account) + spent + lost)
        throw new Error(`the books of ${name} do not balance: ${JSON.stringify(account)}`);
      if (!hasOverruns && (balance < 0 || this.real.get(name)! > opened + refilled))
        throw new Error(`${name} is overspent: ${JSON.stringify(account)}`);
      for (const { till, id } of this.processes) {
        const view = till.view(name);
        const row = account.slices.find((slice) => slice.id === id);
        if (view.granted !== (row?.granted ?? 0)) throw new Error(`${id} and ${name} disagree`);
        if (!hasOverruns && view.settled + view.held > view.usable)
          throw new Error(`${id} spends more of ${name} than it may`);
      }
    }
  }
}

const step = fc.record({
  kind: fc.constantFrom(
    'reserve',
    'reserve',
    'reserve',
    'deliver',
    'extend',
    'settle',
    'settle',
    'overrun',
    'release',
    'report',
    'return',
    'crash',
    'stop',
    'time',
  ),
  process: fc.nat(2),
  amount: fc.nat(700),
  accounts: fc.constantFrom(['team'], ['alice'], ['team', 'alice']),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function run(fleet: Fleet, { kind, process: at, amount, accounts }: Step): void {
  const process = fleet.processes[at]!;
  const [first] = process.open;
  if (kind === 'reserve') fleet.reserve(process, accounts, amount);
  else if (kind === 'settle') fleet.settle(process, 0);
  else if (kind === 'overrun') fleet.settle(process, amount);
  else if (kind === 'report') fleet.report(process, accounts[0]);
  else if (kind === 'return') fleet.giveBack(process, accounts[0]);
  else if (kind === 'crash') fleet.crash(at);
  else if (kind === 'stop') fleet.stop(at);
  else if (kind === 'time') {
    fleet.now += (amount - 200) * 100_000;
    for (const name of names)
      fleet.accounts.set(name, refill(budgetOf(name), fleet.account(name), fleet.now));
  } else if (first === undefined) return;
  else if (kind === 'deliver') first[1].used = Math.min(first[1].reserved, first[1].used + amount);
  else if (kind === 'extend' && process.till.extend(first[0], amount).ok)
    first[1].reserved += amount;
  else if (kind === 'release' && first[1].used === 0) {
    expect(process.till.release(first[0]).ok).toBe(true);
    process.open.delete(first[0]);
  }
}

describe('10,000 schedules of three processes with crashes', () => {
  test.each([
    ['without overruns nothing is ever spent beyond what was there', false, 7_000],
    ['with overruns nothing that was used is ever dropped', true, 3_000],
  ])('%s', (_, hasOverruns, numRuns) => {
    let admitted = 0;
    let lost = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const fleet = new Fleet(3);
        for (const each of steps) {
          run(fleet, hasOverruns || each.kind !== 'overrun' ? each : { ...each, kind: 'settle' });
          fleet.check(hasOverruns);
        }
        admitted += fleet.processes.reduce((sum, process) => sum + process.open.size, 0);
        for (const at of [0, 1, 2]) fleet.stop(at);
        fleet.check(hasOverruns);
        for (const name of names) {
          const account = fleet.account(name);
          expect(account.slices).toEqual([]);
          expect(account.spent + account.lost).toBeGreaterThanOrEqual(fleet.real.get(name)!);
          lost += account.lost;
          // Without a crash the books agree with the world to the last nano-USD.
          if (!steps.some((each) => each.kind === 'crash'))
            expect([account.spent, account.lost]).toEqual([fleet.real.get(name)!, 0]);
        }
      }),
      { numRuns },
    );
    expect(admitted).toBeGreaterThan(numRuns / 2);
    expect(lost).toBeGreaterThan(0);
  });
});

test('N at once on several processes against room for k admit exactly k', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.array(fc.nat(2), { minLength: 60, maxLength: 120 }),
      (amount, order) => {
        const fleet = new Fleet(3);
        const admitted = order.filter((at) =>
          fleet.reserve(fleet.processes[at]!, ['team', 'alice'], amount),
        ).length;
        expect(admitted).toBe(Math.min(order.length, Math.floor(4_000 / amount)));
      },
    ),
    { numRuns: 300 },
  );
});

test('money that a stopped process leaves is there for the others at once, and after a day the refill is', () => {
  const fleet = new Fleet(2);
  expect(fleet.reserve(fleet.processes[0]!, ['alice'], 4_000)).toBe(true);
  expect(fleet.reserve(fleet.processes[1]!, ['alice'], 1)).toBe(false);
  fleet.stop(0);
  expect(fleet.reserve(fleet.processes[1]!, ['alice'], 4_000)).toBe(true);
  fleet.crash(1);
  expect(fleet.account('alice')).toMatchObject({ lost: 4_000, balance: 0 });
  fleet.now = dayMs;
  expect(fleet.reserve(fleet.processes[0]!, ['alice'], 1_000)).toBe(true);
});
