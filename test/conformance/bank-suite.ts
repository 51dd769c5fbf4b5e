import { afterEach, describe, expect, test } from 'vitest';
import type { Result } from '@postern/core/base';
import type { BankAnswer, BankChange, Budget } from '@postern/core/quota';
import { leasedOf } from '@postern/core/quota';
import type { SliceBank, UsageRow } from '@postern/server/gateway/money';

/** A place where one kind of bank lives: processes open it, leave it and come back. */
export interface BankPlace {
  /** For a new process. A place that only one process may have open gives the same bank again. */
  open(): Promise<SliceBank>;
  /** The store stops answering; undefined where that cannot be arranged. */
  readonly outage?: { begin(): Promise<void>; end(): Promise<void> };
  remove(): Promise<void>;
}

const team: Budget = { name: 'team', capacity: 1_000, per: 'all' };

export const usageRow: UsageRow = {
  hourMs: 3_600_000,
  principal: 'tailnet:u1',
  display: 'ann',
  model: 'instant',
  target: 'openai/gpt-5',
  accounts: 'team team/user:tailnet:u1',
  requests: 1,
  estimated: 0,
  input: 10,
  cacheRead: 2,
  cacheWrite: 1,
  output: 5,
  reasoning: 3,
  cost: 700,
  webSearches: 9,
  storageSearches: 10,
  inputAudio: 11,
  outputAudio: 12,
};

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`unexpected failure: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** One process that numbers its batches. */
class Teller {
  readonly id: string;
  readonly #bank: SliceBank;
  #seq = 0;

  constructor(id: string, bank: SliceBank) {
    this.id = id;
    this.#bank = bank;
  }

  async change(...changes: readonly BankChange[]): Promise<readonly BankAnswer[]> {
    this.#seq += 1;
    return value(await this.#bank.change({ process: this.id, seq: this.#seq, changes, usage: [] }));
  }

  lease(need: number, want = 0, budget = team): Promise<readonly BankAnswer[]> {
    return this.change({
      kind: 'lease',
      budget,
      account: budget.name,
      slice: this.id,
      need,
      want,
    });
  }
}

/** What every bank promises, whatever is under it. Names of processes are fresh in every test. */
export function describeBank(name: string, place: () => Promise<BankPlace>): void {
  describe(`${name} as a bank`, () => {
    const places: BankPlace[] = [];
    const banks: SliceBank[] = [];
    const setUp = async (): Promise<BankPlace> => {
      const made = await place();
      places.push(made);
      return made;
    };
    const open = async (at: BankPlace): Promise<SliceBank> => {
      const bank = await at.open();
      banks.push(bank);
      return bank;
    };
    const conserved = async (bank: SliceBank): Promise<void> => {
      for (const { state } of value(await bank.accounts({ limit: 100 })))
        expect(state.balance + leasedOf(state) + state.spent + state.lost).toBe(
          state.opened + state.refilled,
        );
    };
    afterEach(async () => {
      await Promise.all(banks.splice(0).map((bank) => bank.close()));
      await Promise.all(places.splice(0).map((at) => at.remove()));
    });

    test('a first lease opens the account and the slice', async () => {
      const bank = await open(await setUp());
      const [answer] = await new Teller('p1', bank).lease(100, 0);
      expect(answer).toEqual({
        outcome: { kind: 'done' },
        balance: 900,
        slice: { id: 'p1', granted: 100, settled: 0 },
      });
      await conserved(bank);
    });

    test('a lease that wants more gets up to a quarter of what is there', async () => {
      const bank = await open(await setUp());
      const [answer] = await new Teller('p1', bank).lease(10, 5_000);
      expect(answer?.slice?.granted).toBe(250);
    });

    test('changes of one batch are applied in order, all in one', async () => {
      const bank = await open(await setUp());
      const p1 = new Teller('p1', bank);
      await p1.lease(400);
      const answers = await p1.change(
        { kind: 'report', account: 'team', slice: 'p1', settled: 150 },
        { kind: 'return', account: 'team', slice: 'p1', granted: 200 },
        { kind: 'end', account: 'team', slice: 'p1', proof: { settled: 150, unspent: 30 } },
        { kind: 'report', account: 'team', slice: 'p1', settled: 150 },
      );
      expect(answers.map(({ outcome }) => outcome)).toEqual([
        { kind: 'done' },
        { kind: 'done' },
        { kind: 'done' },
        { kind: 'refused', why: 'unknown-slice' },
      ]);
      const [row] = value(await bank.accounts({ name: 'team', limit: 10 }));
      expect(row?.state).toMatchObject({ balance: 830, spent: 150, lost: 20, slices: [] });
      await conserved(bank);
    });

    test('what another process holds idle is named, what is spent is exhausted', async () => {
      const at = await setUp();
      const p1 = new Teller('p1', await open(at));
      const p2 = new Teller('p2', await open(at));
      await p1.lease(900);
      expect((await p2.lease(200))[0]?.outcome).toEqual({ kind: 'elsewhere', slices: ['p1'] });
      await p1.change({ kind: 'report', account: 'team', slice: 'p1', settled: 900 });
      expect((await p2.lease(200))[0]?.outcome).toEqual({ kind: 'exhausted' });
      expect((await p2.lease(100))[0]?.outcome).toEqual({ kind: 'done' });
    });

    test('an overrun is charged to the balance and never dropped', async () => {
      const bank = await open(await setUp());
      const p1 = new Teller('p1', bank);
      await p1.lease(100);
      const [answer] = await p1.change({
        kind: 'report',
        account: 'team',
        slice: 'p1',
        settled: 1_300,
      });
      expect(answer).toMatchObject({
        balance: -300,
        slice: { id: 'p1', granted: 1_300, settled: 1_300 },
      });
      await conserved(bank);
    });

    test('what an overrun took from other reservations is covered, over the balance if need be', async () => {
      const bank = await open(await setUp());
      const p1 = new Teller('p1', bank);
      await p1.lease(1_000);
      const cover = { kind: 'cover', account: 'team', slice: 'p1', granted: 1_200 } as const;
      const [answer] = await p1.change(cover);
      expect(answer).toMatchObject({ balance: -200, slice: { granted: 1_200 } });
      const [again] = await p1.change(cover);
      expect(again).toMatchObject({ balance: -200 });
      await conserved(bank);
    });

    test('a batch that comes again changes nothing and is answered with what is there', async () => {
      const bank = await open(await setUp());
      const batch = {
        process: 'p1',
        seq: 1,
        changes: [
          { kind: 'lease', budget: team, account: 'team', slice: 'p1', need: 100, want: 0 },
        ],
        usage: [usageRow],
      } as const;
      value(await bank.change(batch));
      expect(value(await bank.change(batch))).toEqual([
        {
          outcome: { kind: 'done' },
          balance: 900,
          slice: { id: 'p1', granted: 100, settled: 0 },
        },
      ]);
      expect(value(await bank.usage({ sinceMs: 0, by: 'user' }))[0]?.requests).toBe(1);
    });

    test('side by side, room for ten leases grants exactly ten', async () => {
      const at = await setUp();
      const tellers = await Promise.all(
        [1, 2, 3].map(async (i) => new Teller(`p${i}`, await open(at))),
      );
      const granted = await Promise.all(
        tellers.map(async (teller) => {
          let count = 0;
          for (let i = 0; i < 20; i += 1) {
            // oxlint-disable-next-line no-await-in-loop -- one process asks one thing at a time
            const [answer] = await teller.lease(100, 0);
            if (answer?.outcome.kind === 'done') count += 1;
          }
          return count;
        }),
      );
      expect(granted.reduce((sum, count) => sum + count, 0)).toBe(10);
    });

    test('an operator fills an account up, or puts in an amount', async () => {
      const bank = await open(await setUp());
      const p1 = new Teller('p1', bank);
      await p1.lease(800);
      await p1.change({ kind: 'report', account: 'team', slice: 'p1', settled: 800 });
      const credit = { kind: 'credit', budget: team, account: 'team' } as const;
      expect((await p1.change(credit))[0]).toEqual({ outcome: { kind: 'done' }, balance: 1_000 });
      expect((await p1.change({ ...credit, amount: 500 }))[0]?.balance).toBe(1_500);
      expect((await p1.change({ ...credit, amount: -1 }))[0]?.outcome).toEqual({
        kind: 'refused',
        why: 'bad-amount',
      });
      await conserved(bank);
    });

    test('a budget of another size changes the balance and not what was spent', async () => {
      const bank = await open(await setUp());
      const p1 = new Teller('p1', bank);
      await p1.lease(800);
      await p1.change({ kind: 'report', account: 'team', slice: 'p1', settled: 800 });
      const [smaller] = await p1.lease(0, 0, { ...team, capacity: 500 });
      expect(smaller?.balance).toBe(-300);
      const [larger] = await p1.lease(0, 0, { ...team, capacity: 2_000 });
      expect(larger?.balance).toBe(1_200);
      await conserved(bank);
    });

    test('use adds up by user, model and each budget that paid', async () => {
      const bank = await open(await setUp());
      const other = { ...usageRow, principal: 'key:k1', display: 'ci', accounts: '', cost: 50 };
      const rows = [usageRow, usageRow, other, { ...usageRow, hourMs: 0, cost: 9 }];
      value(await bank.change({ process: 'p1', seq: 1, changes: [], usage: rows }));
      const byUser = value(await bank.usage({ sinceMs: 3_600_000, by: 'user' }));
      expect(byUser).toEqual([
        {
          key: 'tailnet:u1',
          display: 'ann',
          requests: 2,
          estimated: 0,
          input: 20,
          cacheRead: 4,
          cacheWrite: 2,
          output: 10,
          reasoning: 6,
          cost: 1_400,
          webSearches: 18,
          storageSearches: 20,
          inputAudio: 22,
          outputAudio: 24,
        },
        expect.objectContaining({ key: 'key:k1', display: 'ci', requests: 1, cost: 50 }),
      ]);
      const byModel = value(await bank.usage({ sinceMs: 0, by: 'model' }));
      expect(byModel.map(({ key, cost }) => [key, cost])).toEqual([['instant', 1_459]]);
      const byBudget = value(await bank.usage({ sinceMs: 3_600_000, by: 'budget' }));
      expect(new Map(byBudget.map(({ key, cost }) => [key, cost]))).toEqual(
        new Map([
          ['', 50],
          ['team', 1_400],
          ['team/user:tailnet:u1', 1_400],
        ]),
      );
      const own = value(await bank.usage({ sinceMs: 0, by: 'hour', principal: 'key:k1' }));
      expect(own.map(({ key, cost }) => [key, cost])).toEqual([['3600000', 50]]);
    });

    test('slices of processes that are silent are found, with what they hold', async () => {
      const at = await setUp();
      const bank = await open(at);
      await new Teller('p1', bank).lease(100);
      expect(value(await bank.stale({ process: 'p2', idleMs: 0 }))).toEqual([
        { account: 'team', slice: 'p1', granted: 100, settled: 0 },
      ]);
      expect(value(await bank.stale({ process: 'p1', idleMs: 0 }))).toEqual([]);
      expect(value(await bank.stale({ process: 'p2', idleMs: 3_600_000 }))).toEqual([]);
    });

    test('of more accounts than one page has, every one is found', async () => {
      const at = await setUp();
      const bank = await open(at);
      const each: Budget = { name: 'each', capacity: 10, per: 'user' };
      const names = Array.from({ length: 10_100 }, (_, i) => `each/user:u${10_000 + i}`);
      const p1 = new Teller('p1', bank);
      const others = { ...team, name: 'before' };
      await p1.lease(1, 0, others);
      await p1.change({
        kind: 'end',
        account: 'before',
        slice: 'p1',
        proof: { settled: 1, unspent: 0 },
      });
      for (let from = 0; from < names.length; from += 1_000)
        // oxlint-disable-next-line no-await-in-loop -- one process asks one thing at a time
        await p1.change(
          ...names.slice(from, from + 1_000).map((account) => {
            const slice = { account, slice: 'p1' };
            return { kind: 'lease', budget: each, ...slice, need: 2, want: 2 } as const;
          }),
        );
      const stale = value(await bank.stale({ process: 'p2', idleMs: 0 }));
      expect(stale.map(({ account }) => account).toSorted()).toEqual(names);
      expect(stale.at(-1)).toMatchObject({ slice: 'p1', granted: 2, settled: 0 });
      const found: string[] = [];
      for (let after = ''; ; after = found.at(-1) ?? '') {
        // oxlint-disable-next-line no-await-in-loop -- a page begins where the one before it ended
        const page = value(await bank.accounts({ name: 'each/', after, limit: 1_000 }));
        found.push(...page.map(({ account }) => account));
        if (page.length < 1_000) break;
      }
      expect(found).toEqual(names);
      const last = names.at(-1) ?? '';
      const named = value(
        await bank.accounts({ names: [last, 'team', 'each/user:u', 'before'], limit: 10 }),
      );
      expect(named.map(({ account }) => account)).toEqual(['before', last]);
      expect(value(await bank.accounts({ names: [], limit: 10 }))).toEqual([]);
    });

    test('who leases while others look for the silent is not taken for silent', async () => {
      const at = await setUp();
      const [bank, other] = [await open(at), await open(at)];
      const leasing = (async () => {
        for (let i = 0; i < 40; i += 1) await new Teller(`new${i}`, other).lease(1);
      })();
      const done = leasing.then(() => true);
      const oneLook = async (): Promise<boolean> => {
        expect(value(await bank.stale({ process: 'p1', idleMs: 3_600_000 }))).toEqual([]);
        return false;
      };
      while (!(await Promise.race([done, oneLook()])));
      await leasing;
    });

    test('after an outage it goes on where it was, without being opened again', async () => {
      const at = await setUp();
      if (at.outage === undefined) return;
      const bank = await open(at);
      const p1 = new Teller('p1', bank);
      await p1.lease(100);
      await at.outage.begin();
      const failed = await bank.change({ process: 'p1', seq: 2, changes: [], usage: [] });
      expect(failed.ok ? 'ok' : failed.error.kind).toBe('unavailable');
      await at.outage.end();
      const [row] = value(await bank.accounts({ limit: 10 }));
      expect(row?.state.slices).toEqual([{ id: 'p1', granted: 100, settled: 0 }]);
      value(await bank.change({ process: 'p1', seq: 2, changes: [], usage: [] }));
    });

    test('a bank that was closed says so', async () => {
      const bank = await open(await setUp());
      await bank.close();
      const late = await bank.change({ process: 'p1', seq: 1, changes: [], usage: [] });
      expect(late.ok ? 'ok' : late.error.kind).toBe('closed');
    });
  });
}
