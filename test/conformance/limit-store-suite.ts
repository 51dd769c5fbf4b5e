import { afterEach, describe, expect, test } from 'vitest';
import type { Result } from '@postern/core/base';
import type { RateLimit } from '@postern/core/quota';
import type { LimitAnswer, LimitStore } from '@postern/server/gateway/money';

/** A place where one kind of limit store lives; several processes may open it. */
export interface LimitPlace {
  open(): Promise<LimitStore>;
  /** Lets time pass, really or by the store's clock. */
  wait(ms: number): Promise<void>;
  remove(): Promise<void>;
}

const slow: RateLimit = { units: 1, periodMs: 60_000, burst: 10 };
const fast: RateLimit = { units: 10, periodMs: 1_000, burst: 10 };

const minute = (units: number): RateLimit => ({ units, periodMs: 60_000, burst: units });

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`unexpected failure: ${JSON.stringify(result.error)}`);
  return result.value;
}

let holders = 0;
async function take(
  store: LimitStore,
  ask: { rate?: RateLimit; cost?: number; slots?: number; holder?: string; key?: string },
): Promise<LimitAnswer> {
  holders += 1;
  const { rate, cost = 1, slots, holder = `h${holders}`, key = 'a' } = ask;
  return value(
    await store.take({
      holder,
      rates: rate === undefined ? [] : [{ key: `rate/${key}`, limit: rate, cost }],
      slots: slots === undefined ? [] : [{ key: `slots/${key}`, max: slots }],
    }),
  );
}

/** What every limit store promises, whatever is under it. Keys are those of an empty store. */
export function describeLimitStore(name: string, place: () => Promise<LimitPlace>): void {
  describe(`${name} as a store of limits`, () => {
    const places: LimitPlace[] = [];
    const stores: LimitStore[] = [];
    const setUp = async (): Promise<{ at: LimitPlace; store: LimitStore }> => {
      const at = await place();
      places.push(at);
      const store = await at.open();
      stores.push(store);
      return { at, store };
    };
    afterEach(async () => {
      await Promise.all(stores.splice(0).map((store) => store.close()));
      await Promise.all(places.splice(0).map((at) => at.remove()));
    });

    test('500 side by side against room for ten: exactly ten', async () => {
      const { at, store } = await setUp();
      const others = [store, await at.open(), await at.open()];
      stores.push(...others.slice(1));
      const answers = await Promise.all(
        Array.from({ length: 500 }, (_, i) => take(others[i % 3] ?? store, { rate: slow })),
      );
      // A store of one process counts each of its openings alone only if it shares nothing: then the place opens the same one.
      expect(answers.filter(({ isAllowed }) => isAllowed)).toHaveLength(10);
    });

    test('a refusal says which limit is full and when it will have room', async () => {
      const { store } = await setUp();
      expect(await take(store, { rate: slow, cost: 10 })).toMatchObject({ isAllowed: true });
      const refused = await take(store, { rate: slow, cost: 1 });
      expect(refused).toMatchObject({ isAllowed: false, full: { key: 'rate/a' } });
      expect(refused.full?.retryAfterMs).toBeGreaterThan(50_000);
      expect(refused.full?.retryAfterMs).toBeLessThanOrEqual(60_000);
      expect(refused.rooms[0]).toMatchObject({ key: 'rate/a', remaining: 0 });
    });

    test('of several full limits the one counts that has room last', async () => {
      const { store } = await setUp();
      const rates = [
        { key: 'rate/fast', limit: fast, cost: 10 },
        { key: 'rate/slow', limit: slow, cost: 10 },
        { key: 'rate/fast-too', limit: fast, cost: 10 },
      ];
      expect(value(await store.take({ holder: 'a', rates, slots: [] })).isAllowed).toBe(true);
      const refused = value(await store.take({ holder: 'b', rates, slots: [] }));
      expect(refused).toMatchObject({ isAllowed: false, full: { key: 'rate/slow' } });
      expect(refused.full?.retryAfterMs).toBeGreaterThan(590_000);
    });

    test('who used a limit that was lowered since waits no longer than for what can be owed', async () => {
      const { store } = await setUp();
      const [before, after] = [minute(100_000), minute(10)];
      await take(store, { rate: before, cost: 100_000, holder: 'x' });
      const refused = await take(store, { rate: after });
      expect(refused.isAllowed).toBe(false);
      expect(refused.full?.retryAfterMs).toBeGreaterThan(60_000);
      expect(refused.full?.retryAfterMs).toBeLessThanOrEqual(16 * 60_000);
      const [room] = value(await store.look([{ key: 'rate/a', limit: after }], [])).rooms;
      expect(room?.resetMs).toBeLessThanOrEqual(16 * 60_000);
    });

    test('room comes back with time', async () => {
      const { at, store } = await setUp();
      await take(store, { rate: fast, cost: 10 });
      expect((await take(store, { rate: fast, cost: 1 })).isAllowed).toBe(false);
      await at.wait(150);
      expect((await take(store, { rate: fast, cost: 1 })).isAllowed).toBe(true);
    });

    test('what one limit refuses is not counted under another', async () => {
      const { store } = await setUp();
      await take(store, { slots: 1, holder: 'open' });
      expect(await take(store, { rate: slow, cost: 5, slots: 1 })).toMatchObject({
        isAllowed: false,
        full: { key: 'slots/a' },
      });
      store.settle('open', []);
      expect((await take(store, { rate: slow, cost: 10, slots: 1 })).isAllowed).toBe(true);
    });

    test('slots are free again once their holder is settled, and only once', async () => {
      const { store } = await setUp();
      await take(store, { slots: 2, holder: 'one' });
      await take(store, { slots: 2, holder: 'two' });
      expect((await take(store, { slots: 2 })).isAllowed).toBe(false);
      store.settle('one', []);
      store.settle('one', []);
      expect((await take(store, { slots: 2, holder: 'three' })).isAllowed).toBe(true);
      expect((await take(store, { slots: 2 })).isAllowed).toBe(false);
    });

    test('corrections charge more and give back, and what is owed makes the next one wait', async () => {
      const { store } = await setUp();
      await take(store, { rate: slow, cost: 8, holder: 'x' });
      store.settle('x', [{ key: 'rate/a', limit: slow, units: -6 }]);
      expect((await take(store, { rate: slow, cost: 8, holder: 'y' })).isAllowed).toBe(true);
      store.settle('y', [{ key: 'rate/a', limit: slow, units: 5 }]);
      const refused = await take(store, { rate: slow, cost: 1 });
      expect(refused.isAllowed).toBe(false);
      expect(refused.full?.retryAfterMs).toBeGreaterThan(5 * 60_000);
    });

    test('keys do not share', async () => {
      const { store } = await setUp();
      await take(store, { rate: slow, cost: 10, key: 'a' });
      expect((await take(store, { rate: slow, cost: 10, key: 'b' })).isAllowed).toBe(true);
    });

    test('looking takes nothing', async () => {
      const { store } = await setUp();
      await take(store, { rate: slow, cost: 4, slots: 3, holder: 'x' });
      const rates = [{ key: 'rate/a', limit: slow }];
      const slots = [{ key: 'slots/a', max: 3 }];
      value(await store.look(rates, slots));
      expect(value(await store.look(rates, slots))).toMatchObject({
        rooms: [{ key: 'rate/a', remaining: 6 }],
        inUse: [1],
      });
    });

    test('a store that was closed says so', async () => {
      const { store } = await setUp();
      await store.close();
      const late = await store.take({ holder: 'late', rates: [], slots: [] });
      expect(late.ok ? 'ok' : late.error.kind).toBe('closed');
    });
  });
}
