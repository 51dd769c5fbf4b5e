import { expect, test } from 'vitest';
import type { Budget } from '@postern/core/quota';

/** One process that admits requests against a shared account. */
export interface Contender {
  /** Sets the amount aside for so many requests side by side; gives the ids of those that were admitted. */
  admit(count: number, amount: number): Promise<readonly string[]>;
  /** Ends admitted requests with what they cost. */
  settle(ids: readonly string[], cost: number): Promise<void>;
  /** Ends as a process does that was told to. */
  stop(): Promise<void>;
  /** Ends as by kill -9. */
  kill(): Promise<void>;
}

/** A place where any number of processes share one store. */
export interface Arena {
  contender(budget: Budget): Promise<Contender>;
  /** Spent and lost of the account, once everybody has reported. */
  books(account: string): Promise<{ readonly spent: number; readonly lost: number }>;
  remove(): Promise<void>;
}

const races: Budget = { name: 'races', capacity: 10_000, per: 'all' };
const amount = 1_000;
const room = 10;
const requests = 500;

/**
 * 500 requests side by side against room for ten, spread over so many processes; and again with one of them killed in the
 * middle. The stores may be any that keep the promises of their suites.
 */
export function describeRace(
  name: string,
  options: { readonly processes: number; readonly arena: () => Promise<Arena> },
): void {
  const { processes } = options;
  const inArena = async (
    run: (arena: Arena, contenders: readonly Contender[]) => Promise<void>,
  ): Promise<void> => {
    const arena = await options.arena();
    try {
      const contenders: Contender[] = [];
      for (let i = 0; i < processes; i += 1)
        // oxlint-disable-next-line no-await-in-loop -- processes start one after the other
        contenders.push(await arena.contender(races));
      await run(arena, contenders);
      await Promise.all(contenders.map((each) => each.stop()));
    } finally {
      await arena.remove();
    }
  };
  const share = Math.ceil(requests / processes);

  test(`${name}: ${requests} requests on ${processes} processes against room for ${room} admit exactly ${room}`, async () => {
    await inArena(async (arena, contenders) => {
      const admitted = await Promise.all(contenders.map((each) => each.admit(share, amount)));
      expect(admitted.flat()).toHaveLength(room);
      await Promise.all(contenders.map((each, i) => each.settle(admitted[i] ?? [], amount - 1)));
      await Promise.all(contenders.map((each) => each.stop()));
      expect(await arena.books('races')).toEqual({ spent: room * (amount - 1), lost: 0 });
    });
  });

  test(`${name}: what was reserved and not used is there for the next ones`, async () => {
    await inArena(async (_, contenders) => {
      const first = await Promise.all(contenders.map((each) => each.admit(share, amount)));
      await Promise.all(contenders.map((each, i) => each.settle(first[i] ?? [], 0)));
      const second = await Promise.all(contenders.map((each) => each.admit(share, amount)));
      expect(second.flat()).toHaveLength(room);
    });
  });

  test.skipIf(processes < 2)(
    `${name}: with one of ${processes} processes killed in the middle nothing is spent twice`,
    async () => {
      await inArena(async (arena, contenders) => {
        const [victim, ...others] = contenders;
        const before = (await victim?.admit(3, amount)) ?? [];
        expect(before).toHaveLength(3);
        const racing = Promise.all(others.map((each) => each.admit(share, amount)));
        await victim?.kill();
        const admitted = await racing;
        // What the victim had open counts as spent; what it had leased besides may be lost with it.
        expect(admitted.flat().length).toBeLessThanOrEqual(room - before.length);
        expect(admitted.flat().length).toBeGreaterThan(0);
        await Promise.all(others.map((each, i) => each.settle(admitted[i] ?? [], amount)));
        await Promise.all(others.map((each) => each.stop()));
        const heir = await arena.contender(races);
        const late = await heir.admit(share, amount);
        await heir.settle(late, amount);
        await heir.stop();
        const { spent, lost } = await arena.books('races');
        const used = (before.length + admitted.flat().length + late.length) * amount;
        expect(spent + lost).toBeGreaterThanOrEqual(used);
        expect(spent + lost).toBeLessThanOrEqual(races.capacity);
      });
    },
  );
}
