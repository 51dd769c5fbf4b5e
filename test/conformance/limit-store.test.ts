import { Secret } from '@postern/core/base';
import { createMemoryLimits } from '@postern/server/adapters/limits-memory';
import { openValkeyLimits } from '@postern/server/adapters/limits-valkey';
import { createClient } from '@redis/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../fakes/local-server.ts';
import { noValkey, startValkey } from '../fakes/local-server.ts';
import type { LimitPlace } from './limit-store-suite.ts';
import { describeLimitStore } from './limit-store-suite.ts';

describeLimitStore('memory', (): Promise<LimitPlace> => {
  let nowMs = 1_000_000;
  const store = createMemoryLimits({ nowMs: () => nowMs });
  return Promise.resolve({
    // One process has one of them.
    open: () => Promise.resolve(store),
    wait: async (ms) => {
      nowMs += ms;
    },
    remove: () => Promise.resolve(),
  });
});

describe.skipIf(noValkey !== '')(`with Valkey ${noValkey}`, () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startValkey();
  }, 60_000);
  afterAll(() => server.remove(), 60_000);

  const empty = async (): Promise<void> => {
    const client = createClient({ url: server.url });
    await client.connect();
    await client.flushAll();
    client.destroy();
  };
  describeLimitStore('valkey', async (): Promise<LimitPlace> => {
    await empty();
    return {
      open: () => openValkeyLimits({ url: new Secret(server.url) }),
      wait: (ms) => sleep(ms),
      remove: () => Promise.resolve(),
    };
  });

  const slots = [{ key: 'slots/a', max: 2 }];
  const inUse = async (store: Awaited<ReturnType<typeof openValkeyLimits>>): Promise<number> => {
    const looked = await store.look([], slots);
    return looked.ok ? (looked.value.inUse[0] ?? -1) : -1;
  };

  test('slots of a process that died lapse, those of a live one are renewed', async () => {
    await empty();
    const leaseMs = 1_000;
    const dead = await openValkeyLimits({ url: new Secret(server.url), leaseMs });
    const alive = await openValkeyLimits({ url: new Secret(server.url), leaseMs });
    await dead.take({ holder: 'dead', rates: [], slots });
    await alive.take({ holder: 'alive', rates: [], slots });
    expect(await inUse(alive)).toBe(2);
    // Closing says nothing about open requests: like a kill, as far as the server is told.
    await dead.close();
    await expect.poll(() => inUse(alive), { timeout: 5_000 }).toBe(1);
    await sleep(leaseMs);
    expect(await inUse(alive)).toBe(1);
    alive.settle('alive', []);
    expect(await inUse(alive)).toBe(0);
    await alive.close();
  });

  test('while the server is away it says so at once, and goes on by itself; open requests keep their slots', async () => {
    await empty();
    const store = await openValkeyLimits({ url: new Secret(server.url), leaseMs: 1_000 });
    await store.take({ holder: 'open', rates: [], slots });
    await store.take({ holder: 'ended', rates: [], slots });
    await server.stop();
    store.settle('ended', []);
    const startedMs = performance.now();
    for (let i = 0; i < 100; i += 1)
      expect(await store.take({ holder: `h${i}`, rates: [], slots })).toMatchObject({
        ok: false,
        error: { kind: 'unavailable' },
      });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(store.failure?.message).toMatch(/^Valkey does not answer: /);
    await server.start();
    await expect.poll(() => store.failure, { timeout: 5_000 }).toBe(undefined);
    await expect.poll(() => inUse(store), { timeout: 5_000 }).toBe(1);
    await store.close();
  });

  test('a server that refuses to write is noticed, also by nobody asking, and so is that it writes again', async () => {
    await empty();
    const store = await openValkeyLimits({ url: new Secret(server.url) });
    await store.take({ holder: 'open', rates: [], slots });
    const admin = createClient({ url: server.url });
    await admin.connect();
    // As after a failover: nobody is at this address, so it stays as it is.
    await admin.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
    const refused = await store.take({ holder: 'refused', rates: [], slots });
    expect(refused).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
    expect(store.failure?.message).toMatch(/READONLY/);
    store.settle('open', []);
    await sleep(1_500);
    expect(store.failure).toBeDefined();
    await admin.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    await expect.poll(() => store.failure, { timeout: 5_000 }).toBe(undefined);
    await expect.poll(() => inUse(store), { timeout: 5_000 }).toBe(0);
    admin.destroy();
    await store.close();
  });

  test('a server without memory is not taken for well because it answers some of what it is asked', async () => {
    await empty();
    const store = await openValkeyLimits({ url: new Secret(server.url) });
    const admin = createClient({ url: server.url });
    await admin.connect();
    const rates = [
      { key: 'requests/a', limit: { units: 10, periodMs: 60_000, burst: 10 }, cost: 1 },
    ];
    await admin.sendCommand(['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']);
    await admin.sendCommand(['CONFIG', 'SET', 'maxmemory', '1']);
    try {
      expect(await store.take({ holder: 'a', rates, slots: [] })).toMatchObject({ ok: false });
      const untilMs = performance.now() + 1_500;
      for (let asked = 0; performance.now() < untilMs; asked += 1) {
        // What only looks is answered, and so is what frees before it writes.
        await expect.poll(() => inUse(store)).toBe(0);
        const holder = `h${asked}`;
        expect(await store.take({ holder, rates: [], slots })).toMatchObject({ ok: true });
        store.settle(holder, []);
        expect(store.failure?.message).toMatch(/OOM/);
        await sleep(20);
      }
    } finally {
      await admin.sendCommand(['CONFIG', 'SET', 'maxmemory', '0']);
    }
    await expect.poll(() => store.failure, { timeout: 5_000 }).toBe(undefined);
    expect(await store.take({ holder: 'b', rates, slots: [] })).toMatchObject({ ok: true });
    admin.destroy();
    await store.close();
  });

  test('a server that hangs costs a request one second and no more, and is noticed', async () => {
    await empty();
    const store = await openValkeyLimits({ url: new Secret(server.url) });
    server.freeze();
    const startedMs = performance.now();
    const asked = await store.take({ holder: 'h', rates: [], slots });
    expect(performance.now() - startedMs).toBeLessThan(1_800);
    expect(asked).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
    server.thaw();
    let asks = 0;
    await expect
      .poll(
        async () => {
          asks += 1;
          const next = await store.take({ holder: `next${asks}`, rates: [], slots });
          return next.ok && next.value.isAllowed;
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    // What was counted late for the one that gave up is given back.
    await expect.poll(() => inUse(store), { timeout: 5_000 }).toBe(1);
    await store.close();
  });
});
