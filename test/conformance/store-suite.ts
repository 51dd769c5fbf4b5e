import { afterEach, describe, expect, test } from 'vitest';
import type { Result } from '@postern/core/base';
import type { Author, Command, JournalRow } from '@postern/core/state';
import { emptySnapshot, headOf, replay, sealRecord } from '@postern/core/state';
import type { Control, Store, StoreFailure } from '@postern/server/control';
import { createControl, createKey, listKeys, revokeKey } from '@postern/server/control';
import { createFaultyStore } from '../fakes/store-faulty.ts';
import { createFakeSystem } from '../fakes/system.ts';

/** A place where one kind of store lives, that can be left and come back to. */
export interface StorePlace {
  open(): Promise<Result<Store, StoreFailure>>;
  /** Calls that the fault test lets fail, one a run; a store that opens slowly names fewer. */
  readonly faultSteps: readonly number[];
  /** A name for a backup that does not exist yet. */
  backupFile(name: string): string;
  /** From now on there is no room for more than what is there. */
  fill(): Promise<void>;
  remove(): Promise<void>;
}

export const owner: Author = { actor: { principal: 'local:uid:1000', channel: 'control-socket' } };

const system = createFakeSystem();

/** Rows of a journal of restores, which need no keys to make sense. */
export function rowsAfter(
  head: { index: number; hash: string },
  count: number,
  fromMs = 0,
): JournalRow[] {
  const rows: JournalRow[] = [];
  let at = head;
  for (let i = 0; i < count; i += 1) {
    const event = { kind: 'state.restored', index: i, headHash: at.hash, backupAtMs: i } as const;
    const row = sealRecord(
      at,
      { atMs: fromMs + i, actor: owner.actor, command: 'state.restored', events: [event] },
      system.sha256Hex,
    );
    rows.push(row);
    at = row;
  }
  return rows;
}

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`unexpected refusal: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** What every store promises, whatever is under it. */
export function describeStore(name: string, place: () => Promise<StorePlace>): void {
  describe(`${name} as a store`, () => {
    const places: StorePlace[] = [];
    const stores: Store[] = [];
    const newPlace = async (): Promise<StorePlace> => {
      const made = await place();
      places.push(made);
      return made;
    };
    const open = async (at: StorePlace): Promise<Store> => {
      const store = value(await at.open());
      stores.push(store);
      return store;
    };
    const start = async (store: Store): Promise<Control> =>
      value(await createControl({ store, system: createFakeSystem() }));
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.close();
      for (const made of places.splice(0)) await made.remove();
    });

    test('a new store is empty and intact', async () => {
      const store = await open(await newPlace());
      const loaded = value(await store.load('state'));
      expect(loaded).toEqual({ state: undefined, rows: [], head: headOf(emptySnapshot()) });
      const report = value(await store.verify());
      expect(report).toMatchObject({ intact: true, records: 0, findings: [] });
    });

    test('rows come back as they were, in order, also after closing and opening', async () => {
      const at = await newPlace();
      const store = await open(at);
      const rows = rowsAfter(headOf(emptySnapshot()), 7);
      value(await store.append(rows.slice(0, 3)));
      value(await store.append(rows.slice(3)));
      await store.close();
      const again = await open(at);
      expect(value(await again.load('genesis')).rows).toEqual(rows);
      expect(value(await again.readAfter(5))).toEqual(rows.slice(5));
      expect(value(await again.readAfter(7))).toEqual([]);
    });

    test('rows that do not continue the journal are refused, and none of them stays', async () => {
      const store = await open(await newPlace());
      const rows = rowsAfter(headOf(emptySnapshot()), 3);
      const other = rowsAfter({ index: 1, hash: 'f'.repeat(64) }, 1);
      value(await store.append(rows.slice(0, 1)));
      for (const wrong of [rows.slice(0, 1), rows.slice(2), other]) {
        expect(await store.append(wrong)).toMatchObject({ ok: false, error: { kind: 'conflict' } });
      }
      expect(value(await store.readAfter(0))).toEqual(rows.slice(0, 1));
    });

    test('a batch with a bad row in its middle leaves nothing behind', async () => {
      const store = await open(await newPlace());
      const rows = rowsAfter(headOf(emptySnapshot()), 3);
      expect((await store.append(rows.toSpliced(1, 1))).ok).toBe(false);
      expect(value(await store.readAfter(0))).toEqual([]);
    });

    test('a full disk refuses a batch whole, as full, and keeps what was there', async () => {
      const at = await newPlace();
      const store = await open(at);
      const rows = rowsAfter(headOf(emptySnapshot()), 4_000);
      value(await store.append(rows.slice(0, 10)));
      await store.close();
      await at.fill();
      const full = await open(at);
      const refused = await full.append(rows.slice(10));
      expect(refused).toMatchObject({ ok: false, error: { kind: 'full' } });
      expect(value(await full.readAfter(0))).toEqual(rows.slice(0, 10));
      expect(value(await full.verify()).intact).toBe(true);
    });

    test('only one owner at a time, and the next one as soon as the first lets go', async () => {
      const at = await newPlace();
      const store = await open(at);
      expect(await at.open()).toMatchObject({ ok: false, error: { kind: 'in_use' } });
      await store.close();
      await open(at);
    });

    test('a closed store fails every call and does not hang', async () => {
      const store = await open(await newPlace());
      await store.close();
      for (const call of [store.load('state'), store.append([]), store.verify()]) {
        expect(await call).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
      }
      await store.close();
    });

    test('a materialised state stands for the records before it', async () => {
      const at = await newPlace();
      const control = await start(await open(at));
      for (const n of ['a', 'b', 'c']) value(await createKey(control, keyRequest(n), owner));
      await control.close();
      const store = await open(at);
      const loaded = value(await store.load('state'));
      expect(loaded.state?.head.index).toBe(3);
      expect(loaded.rows).toEqual([]);
      const again = await start(store);
      expect(listKeys(again).map((key) => key.name)).toEqual(['a', 'b', 'c']);
    });

    test('a backup taken under load is a whole prefix and never overwrites', async () => {
      const at = await newPlace();
      const store = await open(at);
      const control = await start(store);
      const file = at.backupFile('one');
      const writes = Array.from({ length: 300 }, (_, i) =>
        createKey(control, keyRequest(`k${i}`), owner),
      );
      await writes[0];
      const manifest = value(await store.backup(file));
      for (const write of writes) value(await write);
      const rows = value(await store.load('genesis')).rows;
      expect(manifest.records).toBe(manifest.headIndex);
      expect(manifest.records).toBeGreaterThan(0);
      if (manifest.records <= rows.length) {
        expect(rows[manifest.records - 1]?.hash).toBe(manifest.headHash);
      }
      expect(await store.backup(file)).toMatchObject({ ok: false, error: { kind: 'refused' } });
    });

    test('whichever call fails, before or after it took effect, acknowledged means kept', async () => {
      for (const time of ['before', 'after'] as const) {
        const { faultSteps } = await newPlace();
        for (const step of faultSteps) {
          const at = await newPlace();
          const store = await open(at);
          const faulty = createFaultyStore(store, (call) => (call === step ? time : undefined));
          const acknowledged = await writeKeys(await start(faulty));
          await store.close();
          await expectKept(await open(at), acknowledged, `${time} ${step}`);
        }
      }
    });

    test('a store that fails for good refuses as unavailable, and reads go on', async () => {
      const store = await open(await newPlace());
      let isDown = false;
      const control = await start(createFaultyStore(store, () => (isDown ? 'before' : undefined)));
      const made = value(await createKey(control, keyRequest('kept'), owner));
      isDown = true;
      const refused = await createKey(control, keyRequest('lost'), owner);
      expect(refused).toMatchObject({ ok: false, error: { code: 'state_unavailable' } });
      expect(listKeys(control)).toEqual([made.key]);
      expect((await control.status()).store.kind).toBe('doubtful');
      isDown = false;
      expect((await control.status()).store.kind).toBe('good');
      expect((await createKey(control, keyRequest('lost'), owner)).ok).toBe(true);
    });
  });
}

export function keyRequest(name: string): Parameters<typeof createKey>[1] {
  return { name, scope: { models: ['local/**'] }, boundTo: [] };
}

/** Makes five keys and revokes two; gives the names that were acknowledged, with whether they were revoked. */
async function writeKeys(control: Control): Promise<Map<string, boolean>> {
  const acknowledged = new Map<string, boolean>();
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const made = await createKey(control, keyRequest(name), owner);
    if (made.ok) acknowledged.set(name, false);
  }
  for (const name of ['b', 'd']) {
    const done = await revokeKey(control, { key: name, withChildren: false }, owner);
    if (done.ok) acknowledged.set(name, true);
  }
  return acknowledged;
}

async function expectKept(
  store: Store,
  acknowledged: ReadonlyMap<string, boolean>,
  why: string,
): Promise<void> {
  const loaded = value(await store.load('genesis'));
  const whole = value(replay(emptySnapshot(), loaded.rows, system.sha256Hex));
  const keys = [...whole.keysById.values()];
  for (const [name, isRevoked] of acknowledged) {
    const kept = keys.filter((key) => key.name === name);
    expect(kept, `${name} ${why}`).toHaveLength(1);
    if (isRevoked) expect(kept[0]?.revokedAtMs, `${name} ${why}`).toBeDefined();
  }
  expect(value(await store.verify()).intact, why).toBe(true);
  await store.close();
}

/** For suites that build commands themselves. */
export function configCommand(text: string): Command {
  return { kind: 'config.apply', text, digest: system.sha256Hex(text) };
}
