import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '@postern/core/base';
import { Secret } from '@postern/core/base';
import { emptySnapshot, headOf } from '@postern/core/state';
import type { PostgresStore } from '@postern/server/adapters/store-postgres';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import { createControl, createKey, listKeys } from '@postern/server/control';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import { createFakeSystem } from '../fakes/system.ts';
import { keyRequest, owner, rowsAfter } from './store-suite.ts';

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`unexpected failure: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** What only a store with several processes can get wrong. */
describe.skipIf(noPostgres !== '')(`with PostgreSQL ${noPostgres}`, () => {
  let server: LocalServer;
  let url = '';
  const stores: PostgresStore[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove(), 60_000);
  beforeEach(async () => {
    url = await newDatabase(server);
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });

  const open = async (name: string, leaseMs = 60_000): Promise<PostgresStore> => {
    const options = { url: new Secret(url), process: `${name}-1`, name, leaseMs };
    const store = value(await openPostgresStore(options));
    stores.push(store);
    return store;
  };
  const sql = async (text: string): Promise<void> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  };
  const rows = rowsAfter(headOf(emptySnapshot()), 6);

  test('leases of the registry are there for the next gateway, the latest of each, without those that are gone', async () => {
    const [one, two] = [await open('one'), await open('two')];
    const beat = (uuid: string, renewedAtMs: number) => ({ uuid, renewedAtMs });
    value(await one.leases.writeLeases({ renewed: [beat('a', 5), beat('b', 6)], gone: [] }));
    value(
      await two.leases.writeLeases({ renewed: [beat('a', 4), beat('c', 7)], gone: ['b', 'z'] }),
    );
    const leases = value(await one.leases.loadLeases()).toSorted(
      (x, y) => x.renewedAtMs - y.renewedAtMs,
    );
    expect(leases).toEqual([beat('a', 5), beat('c', 7)]);
    value(await one.leases.writeLeases({ renewed: [], gone: [] }));
  });

  test('a path that went silent is given up with the first answer that does not come', async () => {
    const port = Number(new URL(url).port);
    const relayed: [Socket, Socket][] = [];
    const relay = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      near.pipe(far).pipe(near);
      relayed.push([near, far]);
    });
    await once(relay.listen(0, '127.0.0.1'), 'listening');
    const address = relay.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const path = new URL(url);
    path.port = String(address.port);
    const options = { url: new Secret(path.href), process: 'p', name: 'p', connections: 1 };
    const store = value(await openPostgresStore(options));
    stores.push(store);
    const batch = { process: 'p', seq: 1, changes: [], usage: [] };
    // As after a failover: what is open hears nothing more, not even an end.
    const silent = relayed.splice(0);
    for (const [near, far] of silent) {
      near.unpipe(far);
      far.unpipe(near);
      near.resume();
      far.resume();
    }
    expect((await store.bank.change(batch)).ok).toBe(false);
    expect((await store.bank.change(batch)).ok).toBe(true);
    for (const [near, far] of silent) {
      near.destroy();
      far.destroy();
    }
    relay.close();
  }, 30_000);

  test('a leader that was followed while it was silent writes nothing more, whatever it believes', async () => {
    const [old, next] = [await open('old'), await open('next')];
    expect([old.role(), next.role()]).toEqual([
      { kind: 'leader' },
      { kind: 'follower', leader: 'old' },
    ]);
    value(await old.append(rows.slice(0, 2)));
    // Its lease ends without a word to it, as when its machine stood still.
    await sql('UPDATE postern.control_lease SET until_ms = 0');
    expect(value(await next.seek())).toEqual({ kind: 'leader' });
    expect(old.role()).toEqual({ kind: 'leader' });
    const late = await old.append(rows.slice(2, 3));
    expect(late).toEqual({
      ok: false,
      error: { kind: 'in_use', message: 'This gateway does not lead any more; next does.' },
    });
    value(await next.append(rows.slice(2, 4)));
    await expect.poll(() => old.role()).toEqual({ kind: 'follower', leader: 'next' });
    expect(value(await old.readAfter(0))).toEqual(rows.slice(0, 4));
    expect(value(await next.verify())).toMatchObject({ intact: true, records: 4 });
  });

  test('of gateways that start together one leads, and the schema is made once', async () => {
    const opened = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => open(name)));
    const roles = opened.map((store) => store.role().kind);
    expect(roles.filter((role) => role === 'leader')).toHaveLength(1);
  });

  test('a leader that stops in order is followed at once', async () => {
    const [first, second] = [await open('first'), await open('second')];
    const startedMs = performance.now();
    await first.close();
    await expect.poll(() => second.role().kind, { interval: 5 }).toBe('leader');
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  test('a leader renews its lease, and nobody leads beside it', async () => {
    const [first, second] = [await open('first', 2_000), await open('second', 2_000)];
    await sleep(3_000);
    expect([first.role().kind, second.role().kind]).toEqual(['leader', 'follower']);
  });

  test('a follower hears of a change, and again after the connection that listens was cut', async () => {
    const system = createFakeSystem();
    const [leading, following] = [await open('a'), await open('b')];
    const leader = value(
      await createControl({ store: leading, system, role: () => leading.role() }),
    );
    const follower = value(
      await createControl({ store: following, system, role: () => following.role() }),
    );
    following.onWritten(() => void follower.catchUp());
    value(await createKey(leader, keyRequest('one'), owner));
    await expect.poll(() => listKeys(follower).map(({ name }) => name)).toEqual(['one']);
    const refused = await createKey(follower, keyRequest('two'), owner);
    expect(refused.ok ? '' : refused.error.message).toBe(
      'Nothing was changed: this gateway follows. "a" leads: ask there.',
    );
    await sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postern'",
    );
    await expect
      .poll(async () => (await createKey(leader, keyRequest('three'), owner)).ok, {
        timeout: 5_000,
      })
      .toBe(true);
    await expect
      .poll(() => listKeys(follower).map(({ name }) => name), { timeout: 5_000 })
      .toEqual(['one', 'three']);
    // A new leader goes on where the old one ended.
    await leader.close();
    await expect.poll(() => following.role().kind).toBe('leader');
    await follower.catchUp();
    value(await createKey(follower, keyRequest('four'), owner));
    expect(value(await follower.verify())).toMatchObject({ intact: true, records: 3 });
    await follower.close();
  });

  test('the database itself refuses gaps, changes and deletes, and a change behind its back is found', async () => {
    const store = await open('a');
    value(await store.append(rows.slice(0, 3)));
    const gap = `INSERT INTO postern.journal VALUES (5, 1, repeat('0', 64), repeat('1', 64), '{}')`;
    await expect(sql(gap)).rejects.toThrow('does not continue the journal');
    for (const text of [
      "UPDATE postern.journal SET body = '{}' WHERE idx = 2",
      'DELETE FROM postern.journal WHERE idx = 3',
      'TRUNCATE postern.journal',
    ])
      await expect(sql(text)).rejects.toThrow('the journal is append-only');
    await sql(`ALTER TABLE postern.journal DISABLE TRIGGER USER;
      UPDATE postern.journal SET body = replace(body, 'restored', 'restorex') WHERE idx = 2`);
    const report = value(await store.verify());
    expect(report.intact).toBe(false);
    expect(report.findings.join('\n')).toMatch(/The journal is broken at record 2/);
    expect(report.findings.join('\n')).toMatch(
      /The trigger journal_stays of the journal is missing/,
    );
  });

  test('use from before searches and sound were counted apart has none, and gateways of that release go on writing', async () => {
    await (await open('a')).close();
    const said = `'key:a', 'a', 'm', 'p/m', ''`;
    const columns =
      'digest, hour_ms, principal, display, model, target, accounts, requests, estimated';
    const write = (digest: string): Promise<void> =>
      sql(`INSERT INTO postern.money_usage (${columns}, input, cache_read, cache_write, output, reasoning, cost)
        VALUES ('${digest}', 0, ${said}, 1, 0, 10, 0, 0, 5, 0, 7)`);
    await sql(`ALTER TABLE postern.money_usage DROP COLUMN web_searches, DROP COLUMN storage_searches,
      DROP COLUMN input_audio, DROP COLUMN output_audio`);
    await sql('DELETE FROM postern.schema_migration WHERE version >= 5');
    await write('before');
    const store = await open('b');
    await write('beside');
    expect(value(await store.bank.usage({ sinceMs: 0, by: 'model' }))).toMatchObject([
      {
        requests: 2,
        cost: 14,
        webSearches: 0,
        storageSearches: 0,
        inputAudio: 0,
        outputAudio: 0,
      },
    ]);
  });

  test('a newer schema, gaps in it and a database that is not UTF-8 are refused with a sentence', async () => {
    await (await open('a')).close();
    const attempt = async (at: string): Promise<string> => {
      const opened = await openPostgresStore({ url: new Secret(at), process: 'p', name: 'p' });
      if (opened.ok) await opened.value.close();
      return opened.ok ? 'opened' : `${opened.error.kind}: ${opened.error.message}`;
    };
    await sql("INSERT INTO postern.schema_migration VALUES (99, 'later', 0)");
    expect(await attempt(url)).toMatch(
      /^unsupported: .* was written by a newer release \(schema 99;/,
    );
    await sql('DELETE FROM postern.schema_migration WHERE version <> 2');
    expect(await attempt(url)).toMatch(/^unsupported: .* has gaps/);
    await sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    expect(await attempt(url.replace(/[^/]+$/, 'latin'))).toMatch(
      /^unsupported: .* encoding LATIN1/,
    );
    expect(await attempt(url.replace(/[^/]+$/, 'nowhere'))).toMatch(
      /^unavailable: PostgreSQL does not answer: database "nowhere" does not exist/,
    );
    expect(await attempt('postgresql://u:hunter2@127.0.0.1:9/x')).toMatch(
      /^unavailable: (?!.*hunter2)/,
    );
  });

  test('a server that dies in the middle of transactions takes nobody with it', async () => {
    const store = await open('a');
    const ending = new AbortController();
    const working = Array.from({ length: 8 }, async (_, k) => {
      for (let seq = 1; !ending.signal.aborted; seq += 1) {
        const usage: [] = [];
        const batch = { process: `p${k}`, seq, changes: [], usage };
        // oxlint-disable-next-line no-await-in-loop -- one process asks one thing at a time
        const done = await store.bank.change(batch);
        if (!done.ok) expect(done.error.kind).toBe('unavailable');
      }
    });
    await sleep(200);
    await server.kill();
    await sleep(200);
    ending.abort();
    await Promise.all(working);
    await server.start();
    await expect.poll(async () => (await store.readAfter(0)).ok, { timeout: 10_000 }).toBe(true);
  });

  test('a server that hangs is given up, and used again once it goes on', async () => {
    const store = await open('a');
    value(await store.append(rows.slice(0, 1)));
    server.freeze();
    const startedMs = performance.now();
    const hung = await store.append(rows.slice(1, 2));
    expect(hung.ok ? 'ok' : hung.error.kind).toBe('unavailable');
    expect(performance.now() - startedMs).toBeLessThan(14_000);
    server.thaw();
    // It may have been written although nobody was told: what is there says so.
    await expect.poll(async () => (await store.readAfter(0)).ok, { timeout: 10_000 }).toBe(true);
    const kept = value(await store.readAfter(0)).length;
    value(await store.append(rows.slice(kept, kept + 1)));
    expect(value(await store.verify()).intact).toBe(true);
  });
});
