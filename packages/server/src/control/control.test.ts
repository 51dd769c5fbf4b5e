import { describe, expect, test } from 'vitest';
import type { Result } from '@postern/core/base';
import { recogniseKey } from '@postern/core/state';
import { createFaultyStore } from '../../../../test/fakes/store-faulty.ts';
import type { MemoryDisk } from '../../../../test/fakes/store-memory.ts';
import { createMemoryDisk, openMemoryStore } from '../../../../test/fakes/store-memory.ts';
import { createFakeSystem } from '../../../../test/fakes/system.ts';
import type { ControlLine } from './audit.ts';
import { applyConfig } from './config.ts';
import type { Control, ControlOptions, Requester } from './control.ts';
import { createControl } from './control.ts';
import { createKey, listKeys, revokeKey, showKey } from './keys.ts';
import { controlLimits } from './limits.ts';
import { liftRevocation, listRevocations, revokeTokens } from './revocations.ts';
import type { Store } from './store.ts';

const owner: Requester = {
  actor: { principal: 'local:uid:1000', channel: 'control-socket' },
  requestId: 'req-1',
};

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** A store that says when it writes and holds its answers back until it is told to go on. */
function gated(store: Store): { store: Store; batches: number[]; open: () => void } {
  const batches: number[] = [];
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    batches,
    open: () => open(),
    store: {
      ...store,
      append: async (rows) => {
        batches.push(rows.length);
        await gate;
        return store.append(rows);
      },
    },
  };
}

async function start(
  options: Partial<ControlOptions> & { disk?: MemoryDisk } = {},
): Promise<Control> {
  const store = options.store ?? value(openMemoryStore(options.disk ?? createMemoryDisk()));
  return value(await createControl({ store, system: createFakeSystem(), ...options }));
}

const request = (name: string): Parameters<typeof createKey>[1] => ({
  name,
  scope: { models: ['local/**'] },
  boundTo: [],
});

describe('commands', () => {
  test('that gather while the disk is busy share one transaction', async () => {
    const slow = gated(value(openMemoryStore(createMemoryDisk())));
    const control = await start({ store: slow.store });
    const first = createKey(control, request('first'), owner);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const others = Array.from({ length: 40 }, (_, i) =>
      createKey(control, request(`k${i}`), owner),
    );
    slow.open();
    for (const each of [first, ...others]) expect((await each).ok).toBe(true);
    expect(slow.batches).toEqual([1, 40]);
    expect(control.snapshot().index).toBe(41);
  });

  test('are not answered before they are durable, not even those refused because of another', async () => {
    const slow = gated(value(openMemoryStore(createMemoryDisk())));
    const control = await start({ store: slow.store });
    let answers = 0;
    const count = <T>(result: T): T => {
      answers += 1;
      return result;
    };
    const one = createKey(control, request('same'), owner).then(count);
    const two = createKey(control, request('same'), owner).then(count);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(answers).toBe(0);
    expect(control.snapshot().index).toBe(0);
    slow.open();
    expect((await one).ok).toBe(true);
    expect(await two).toMatchObject({ ok: false, error: { code: 'conflict' } });
  });

  test('read what they wrote', async () => {
    const control = await start();
    const { key } = value(await createKey(control, request('mine'), owner));
    expect(showKey(control, 'mine')).toEqual({ ok: true, value: key });
  });

  test('beyond the queue are refused as overloaded at once', async () => {
    const slow = gated(value(openMemoryStore(createMemoryDisk())));
    const control = await start({ store: slow.store });
    const more = controlLimits.queuedMax + 10;
    const all = Array.from({ length: more }, (_, i) => createKey(control, request(`k${i}`), owner));
    const last = await all.at(-1);
    expect(last).toMatchObject({ ok: false, error: { code: 'overloaded', retryAfterMs: 1_000 } });
    slow.open();
    const codes = (await Promise.all(all)).map((each) => (each.ok ? 'ok' : each.error.code));
    expect(codes.filter((code) => code === 'ok').length).toBeGreaterThanOrEqual(
      controlLimits.queuedMax,
    );
    expect(new Set(codes)).toEqual(new Set(['ok', 'overloaded']));
  });

  test('that wait are finished when it closes, and later ones are refused as draining', async () => {
    const disk = createMemoryDisk();
    const control = await start({ disk });
    const waiting = createKey(control, request('waiting'), owner);
    const closed = control.close();
    const late = await createKey(control, request('late'), owner);
    expect(late).toMatchObject({ ok: false, error: { code: 'draining' } });
    expect((await waiting).ok).toBe(true);
    await closed;
    expect(disk.rows).toHaveLength(1);
    expect(disk.state?.head.index).toBe(1);
  });
});

describe('a store that fails', () => {
  test('before it wrote: the change was not saved, and the next one is', async () => {
    const disk = createMemoryDisk();
    const control = await start({
      store: createFaultyStore(value(openMemoryStore(disk)), (_, method) =>
        method === 'append' && disk.rows.length === 0 && disk.backups.size === 0
          ? 'before'
          : undefined,
      ),
    });
    const refused = await createKey(control, request('a'), owner);
    expect(refused).toMatchObject({
      error: {
        code: 'state_unavailable',
        message: 'The change was not saved: The disk went away.',
        retryAfterMs: 1_000,
      },
    });
    expect(disk.rows).toHaveLength(0);
    disk.backups.set('from now on it works', []);
    expect((await createKey(control, request('a'), owner)).ok).toBe(true);
  });

  test('after it wrote: the change is found to be there, and acknowledged', async () => {
    const disk = createMemoryDisk();
    const control = await start({
      store: createFaultyStore(value(openMemoryStore(disk)), (_, method) =>
        method === 'append' ? 'after' : undefined,
      ),
    });
    const { key } = value(await createKey(control, request('a'), owner));
    expect(listKeys(control)).toEqual([key]);
    expect(disk.rows).toHaveLength(1);
  });

  test('after it wrote and for reads too: it is said that nobody knows, until it comes back', async () => {
    const disk = createMemoryDisk();
    let isDown = true;
    const control = await start({
      store: createFaultyStore(value(openMemoryStore(disk)), (_, method) => {
        if (!isDown || method === 'load') return undefined;
        return method === 'append' ? 'after' : 'before';
      }),
    });
    const unknown = await createKey(control, request('a'), owner);
    expect(unknown).toMatchObject({
      error: { message: 'It is not known whether the change was saved: The disk went away.' },
    });
    expect(listKeys(control)).toEqual([]);
    isDown = false;
    expect((await control.status()).keys).toBe(1);
    expect(await createKey(control, request('a'), owner)).toMatchObject({
      error: { code: 'conflict' },
    });
  });

  test('that somebody else writes to is never written again', async () => {
    const disk = createMemoryDisk();
    const control = await start({ disk });
    value(await createKey(control, request('a'), owner));
    disk.rows = disk.rows.map((row) => ({ ...row, hash: 'e'.repeat(64) }));
    disk.rows.push({ ...disk.rows[0], index: 2 } as (typeof disk.rows)[0]);
    const refused = await createKey(control, request('b'), owner);
    expect(refused).toMatchObject({ error: { code: 'state_unavailable' } });
    expect((await control.status()).store.kind).toBe('diverged');
    expect((await createKey(control, request('c'), owner)).ok).toBe(false);
  });

  test('at the start is state_unavailable with the reason, and is let go of', async () => {
    const disk = createMemoryDisk();
    const control = await start({ disk });
    value(await createKey(control, request('a'), owner));
    await control.close();
    disk.state = undefined;
    disk.rows = disk.rows.map((row) => ({ ...row, body: row.body.replace('local', 'louder') }));
    const store = value(openMemoryStore(disk));
    const refused = await createControl({ store, system: createFakeSystem() });
    expect(refused).toMatchObject({
      error: {
        code: 'state_unavailable',
        message: expect.stringContaining('The journal is broken at record 1'),
      },
    });
    expect(disk.isOwned).toBe(false);
  });
});

describe('a start', () => {
  test('pages through a long journal and ends where it ended', async () => {
    const disk = createMemoryDisk();
    const first = await start({ disk });
    await Promise.all(
      Array.from({ length: 350 }, (_, i) => createKey(first, request(`k${i}`), owner)),
    );
    const { headHash } = first.snapshot();
    await first.close();
    disk.state = undefined;
    const again = await start({ disk });
    expect(again.snapshot()).toMatchObject({ index: 350, headHash });
    expect(listKeys(again)).toHaveLength(350);
  });

  test('passes over a materialised state of another release', async () => {
    const disk = createMemoryDisk();
    const first = await start({ disk });
    value(await createKey(first, request('a'), owner));
    await first.close();
    disk.state = disk.state && { ...disk.state, body: '{"v":2}' };
    expect(listKeys(await start({ disk }))).toHaveLength(1);
  });

  test('materialises again after a thousand records', async () => {
    const disk = createMemoryDisk();
    const control = await start({ disk });
    const count = controlLimits.recordsPerMaterialisation;
    for (let i = 0; i < count; i += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, j) => createKey(control, request(`k${i + j}`), owner)),
      );
    }
    await control.status();
    expect(disk.state?.head.index).toBe(count);
  });
});

describe('snapshots', () => {
  test('come to subscribers at once and after every commit, until they leave', async () => {
    const faults: unknown[] = [];
    const control = await start({ onFault: (fault) => faults.push(fault) });
    const seen: number[] = [];
    const leaving = new AbortController();
    control.subscribe(() => {
      throw new Error('a listener with a defect');
    }, leaving.signal);
    control.subscribe((snapshot) => seen.push(snapshot.index), leaving.signal);
    value(await createKey(control, request('a'), owner));
    leaving.abort();
    value(await createKey(control, request('b'), owner));
    expect(seen).toEqual([0, 1]);
    expect(faults).toHaveLength(2);
    control.subscribe((snapshot) => seen.push(snapshot.index), leaving.signal);
    expect(seen).toEqual([0, 1]);
  });

  test('that were handed out never change', async () => {
    const control = await start();
    const before = control.snapshot();
    value(await createKey(control, request('a'), owner));
    expect(before.keysById.size).toBe(0);
    expect(Object.isFrozen(before) && Object.isFrozen(control.snapshot())).toBe(true);
  });
});

describe('keys', () => {
  test('the secret is recognised, is nowhere in the journal, and does not print', async () => {
    const disk = createMemoryDisk();
    const control = await start({ disk });
    const { key, secret } = value(await createKey(control, request('a'), owner));
    const text = secret.reveal();
    const { nowMs, sha256Hex } = control.system;
    const found = recogniseKey(control.snapshot(), text, { nowMs: nowMs(), sha256Hex });
    expect(found).toEqual({ ok: true, value: key });
    expect(JSON.stringify(disk)).not.toContain(text.slice(4, 34));
    expect([String(secret), JSON.stringify(secret)]).toEqual(['[secret]', '"[secret]"']);
    expect(key.hint).toBe(text.slice(-4));
  });

  test('administer only where they say so', async () => {
    const control = await start();
    expect(value(await createKey(control, request('a'), owner)).key.scope.admin).toBe(false);
    const wanted = { name: 'b', scope: { admin: true }, boundTo: [] };
    expect(value(await createKey(control, wanted, owner)).key.scope.admin).toBe(true);
  });

  test('are revoked with the next snapshot, once', async () => {
    const control = await start();
    const { key } = value(await createKey(control, request('a'), owner));
    const by = { key: key.id, withChildren: false, reason: 'lost' };
    expect(value(await revokeKey(control, by, owner))).toMatchObject([
      { id: key.id, revokedReason: 'lost' },
    ]);
    expect(value(await revokeKey(control, by, owner))).toEqual([]);
    expect(control.snapshot().index).toBe(2);
  });
});

describe('revocations and configuration', () => {
  test('a revocation that is there already is returned, and can be lifted', async () => {
    const control = await start();
    const target = { by: 'subject', issuer: 'i', subject: 's' } as const;
    const one = value(await revokeTokens(control, { target }, owner));
    const two = value(await revokeTokens(control, { target }, owner));
    expect(two).toEqual(one);
    expect(listRevocations(control)).toEqual([one]);
    value(await liftRevocation(control, one.id, owner));
    expect(listRevocations(control)).toEqual([]);
  });

  test('a configuration that does not check changes nothing', async () => {
    const control = await start();
    const check = (text: string): { pointer: string; message: string }[] =>
      text === '{}' ? [] : [{ pointer: '/x', message: 'no such key' }];
    expect(await applyConfig(control, check, { text: '{"x":1}' }, owner)).toMatchObject({
      error: { code: 'invalid_request', message: '/x: no such key', param: 'text' },
    });
    expect(control.snapshot().index).toBe(0);
    const one = value(await applyConfig(control, check, { text: '{}', expected: 0 }, owner));
    expect(value(await applyConfig(control, check, { text: '{}' }, owner))).toEqual(one);
    expect(control.snapshot().index).toBe(1);
  });
});

describe('the record', () => {
  test('every command leaves one line, allowed, refused or failed', async () => {
    const lines: ControlLine[] = [];
    let isDown = false;
    const control = await start({
      store: createFaultyStore(value(openMemoryStore(createMemoryDisk())), () =>
        isDown ? 'before' : undefined,
      ),
      record: (line) => lines.push(line),
    });
    value(await createKey(control, request('a'), owner));
    await createKey(control, request('a'), owner);
    isDown = true;
    await createKey(control, request('b'), owner);
    const common = {
      atMs: control.system.nowMs(),
      operation: 'key.create',
      actor: owner.actor,
      requestId: 'req-1',
    };
    expect(lines).toEqual([
      { ...common, outcome: 'allowed', journalIndex: 1 },
      { ...common, outcome: 'refused', code: 'conflict' },
      { ...common, outcome: 'failed', code: 'state_unavailable' },
    ]);
  });
});
