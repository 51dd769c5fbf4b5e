import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Secret } from '@postern/core/base';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { everyKey, keysAsTags } from '../conformance/gateway.ts';
import type { LocalServer } from '../fakes/local-server.ts';
import {
  newDatabase,
  noPostgres,
  noValkey,
  startPostgres,
  startValkey,
} from '../fakes/local-server.ts';
import type { CountingUpstream } from '../fakes/replicas.ts';
import { ask, replica, startCountingUpstream, tally } from '../fakes/replicas.ts';
import type { Up } from './process.ts';
import { cli, newFolder, until, up } from './process.ts';

const missing = [noPostgres, noValkey].filter((why) => why !== '').join('; ');

/** A dollar that is spent once: room for ten answers of a tenth each. */
const dollar = { budgets: { races: { usd: '1.00', every: 'never', match: ['*'] } } };
const requests = 500;

describe.skipIf(missing !== '')(`three gateways ${missing}`, () => {
  let postgres: LocalServer;
  let valkey: LocalServer;
  let upstream: CountingUpstream;
  let database = '';
  beforeAll(async () => {
    [postgres, valkey] = await Promise.all([startPostgres(), startValkey()]);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([postgres.remove(), valkey.remove()]);
  }, 120_000);
  beforeEach(async () => {
    database = await newDatabase(postgres);
    upstream = await startCountingUpstream();
  });
  afterEach(() => upstream.close());

  const three = async (more: Record<string, unknown> = {}): Promise<readonly [Up, Up, Up]> => {
    const options = { postgres: database, valkey: valkey.url, upstream: upstream.url, more };
    // The first one leads.
    const first = await replica('gw-1', options);
    const [second, third] = await Promise.all([replica('gw-2', options), replica('gw-3', options)]);
    return [first, second, third];
  };
  const newKey = async (leader: Up, name = 'k'): Promise<string> =>
    (await leader.cli('key', 'create', name)).out.trim();
  const works = (key: string, gates: readonly Up[], status = 200): Promise<void> =>
    until(async () => {
      const answers = await Promise.all(
        // A connection that was kept is cut with the key that came over it: asked again over another one.
        gates.map((gate) =>
          gate.get('/v1/models', { authorization: `Bearer ${key}` }).catch(() => undefined),
        ),
      );
      return answers.every((answer) => answer?.status === status);
    }, 12_000);
  /** A reader beside the gateways: it never leads, its lease is asked for once and refused. */
  const verify = async (): Promise<{
    intact: boolean;
    records: number;
    findings: readonly string[];
  }> => {
    const store = await openPostgresStore({
      url: new Secret(database),
      process: `reader-${performance.now()}`,
      name: 'reader',
    });
    if (!store.ok) throw new Error(store.error.message);
    const report = await store.value.verify();
    await store.value.close();
    if (!report.ok) throw new Error(report.error.message);
    return report.value;
  };
  const books = async (): Promise<{
    spent: number;
    lost: number;
    balance: number;
    slices: number;
  }> => {
    const store = await openPostgresStore({
      url: new Secret(database),
      process: `books-${performance.now()}`,
      name: 'books',
    });
    if (!store.ok) throw new Error(store.error.message);
    const rows = await store.value.bank.accounts({ name: 'races', limit: 1 });
    await store.value.close();
    const state = rows.ok ? rows.value[0]?.state : undefined;
    if (state === undefined) return { spent: 0, lost: 0, balance: 0, slices: 0 };
    return {
      spent: state.spent,
      lost: state.lost,
      balance: state.balance,
      slices: state.slices.length,
    };
  };

  test('one leads, the others follow and say who leads', async () => {
    const gates = await three();
    const [leader, second] = gates;
    const pages = await Promise.all(gates.map((gate) => gate.cli('status')));
    expect(pages.map(({ out }) => /^gateway +(.*)$/m.exec(out)?.[1])).toEqual([
      'gw-1 leads: changes are made here',
      'gw-2 follows; gw-1 leads: changes are made there',
      'gw-3 follows; gw-1 leads: changes are made there',
    ]);
    const refused = await second.cli('key', 'create', 'nope');
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain(
      'Nothing was changed: this gateway follows. "gw-1" leads: ask there.',
    );
    const key = await newKey(leader);
    const madeMs = performance.now();
    await works(key, gates);
    const knownMs = performance.now() - madeMs;
    expect((await leader.cli('key', 'revoke', 'k')).code).toBe(0);
    const revokedMs = performance.now();
    await works(key, gates, 401);
    const refusedMs = performance.now() - revokedMs;
    process.stdout.write(
      `key known after ${Math.round(knownMs)} ms, refused everywhere after ${Math.round(refusedMs)} ms\n`,
    );
    expect(refusedMs).toBeLessThan(10_000);
  });

  test(`${requests} at once against money for ten: exactly ten are asked upstream`, async () => {
    const gates = await three(dollar);
    const key = await newKey(gates[0]);
    await works(key, gates);
    const answers = await Promise.all(
      Array.from({ length: requests }, (_, i) => ask(gates[i % 3] ?? gates[0], key)),
    );
    expect(tally(answers)).toEqual({ 200: 10, 429: requests - 10 });
    expect(upstream.asked).toBe(10);
    await until(async () => (await books()).spent === 1_000_000_000, 10_000);
    expect(await books()).toMatchObject({ spent: 1_000_000_000, lost: 0, balance: 0 });
  });

  test(`${requests} at once against ten at a time: exactly ten are asked upstream`, async () => {
    const gates = await three({ limits: { named: { ten: { concurrent: 10, match: ['*'] } } } });
    const key = await newKey(gates[0]);
    await works(key, gates);
    upstream.hold();
    const asked = Array.from({ length: requests }, (_, i) => ask(gates[i % 3] ?? gates[0], key));
    let refused = 0;
    for (const answer of asked)
      void answer.then(({ status }) => (refused += status === 429 ? 1 : 0));
    await until(() => refused === requests - 10, 60_000);
    upstream.go();
    expect(tally(await Promise.all(asked))).toEqual({ 200: 10, 429: requests - 10 });
    expect(upstream.asked).toBe(10);
    expect(tally([await ask(gates[1], key)])).toEqual({ 200: 1 });
  });

  test('with one gateway killed in the middle nothing is spent twice', {
    timeout: 180_000,
  }, async () => {
    const gates = await three(dollar);
    const [first, second, third] = gates;
    const key = await newKey(first);
    await works(key, gates);
    upstream.hold();
    // What dies has two of the ten open, so that there is something to count as spent.
    const doomed = [ask(third, key), ask(third, key)];
    await until(() => upstream.asked === 2, 20_000);
    const racing = Array.from({ length: requests }, (_, i) => ask(gates[i % 3] ?? first, key));
    await until(() => upstream.asked >= 5, 20_000);
    third.child.kill('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    upstream.go();
    const counts = tally(await Promise.all([...doomed, ...racing]));
    // Whoever was admitted asked upstream before anybody was told no more; the killed one may have leased what it never used.
    expect(upstream.asked).toBeLessThanOrEqual(10);
    expect(counts['401']).toBeUndefined();
    expect(counts['200'] ?? 0).toBeLessThanOrEqual(10);
    // Its slice ends once it has been silent for long enough: what it did not report is lost.
    await until(async () => {
      const { spent, lost } = await books();
      return spent + lost >= upstream.asked * 100_000_000;
    }, 90_000);
    const late = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ask(i % 2 === 0 ? first : second, key)),
    );
    expect(upstream.asked).toBeLessThanOrEqual(10);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const { spent, lost } = await books();
    process.stdout.write(
      `race with a kill: ${JSON.stringify({ counts, late: tally(late), asked: upstream.asked, spent, lost })}\n`,
    );
    expect(spent + lost).toBeGreaterThanOrEqual(upstream.asked * 100_000_000);
    expect(spent + lost).toBeLessThanOrEqual(1_000_000_000);
  });

  test('kill -9 of the leader: another one leads within the lease, nothing acknowledged is lost', {
    timeout: 300_000,
  }, async () => {
    const options = { postgres: database, upstream: upstream.url, leaseSeconds: 2 };
    let gates = await Promise.all(['a', 'b', 'c'].map((name) => replica(name, options)));
    const acknowledged: string[] = [];
    const takeovers: number[] = [];
    for (let cycle = 0; cycle < 5; cycle += 1) {
      const pages = await Promise.all(gates.map((gate) => gate.cli('status')));
      const leader =
        gates[pages.findIndex(({ out }) => /^gateway .* leads: changes are made here$/m.test(out))];
      if (leader === undefined) throw new Error(pages.map(({ out }) => out).join('\n'));
      const others = gates.filter((gate) => gate !== leader);
      const writing = Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const name = `c${cycle}-${i}`;
          await new Promise((resolve) => setTimeout(resolve, i * 20));
          const made = await leader.cli('key', 'create', name);
          if (made.code === 0) acknowledged.push(name);
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 150 + cycle * 60));
      leader.child.kill('SIGKILL');
      const killedMs = performance.now();
      await writing;
      await until(async () => {
        for (const [i, gate] of others.entries()) {
          const name = `t${cycle}-${i}`;
          if ((await gate.cli('key', 'create', name)).code !== 0) continue;
          acknowledged.push(name);
          return true;
        }
        return false;
      }, 10_000);
      takeovers.push(Math.round(performance.now() - killedMs));
      gates = [...others, await replica(`n${cycle}`, options)];
    }
    const listed = await (gates[0] as Up).cli('key', 'list', '--json');
    const lost = acknowledged.filter((name) => !listed.out.includes(`"${name}"`));
    expect(lost).toEqual([]);
    process.stdout.write(
      `acknowledged ${acknowledged.length}, another leader wrote after ${takeovers.join(', ')} ms\n`,
    );
    // A third of the lease may pass until somebody asks for it.
    expect(Math.max(...takeovers)).toBeLessThan(2_000 + 2_000);
    expect(await verify()).toMatchObject({ intact: true, findings: [] });
  });

  test('a gateway of one machine becomes the first of several, and a backup leads back to one', {
    timeout: 120_000,
  }, async () => {
    const stateDir = await newFolder();
    const alone = { providers: {}, identities: keysAsTags() };
    const file = path.join(stateDir, 'postern.hujson');
    await writeFile(file, JSON.stringify(alone));
    await writeFile(path.join(stateDir, 'policy.hujson'), everyKey);
    const single = await up({ stateDir });
    const key = await newKey(single, 'old');
    single.child.kill('SIGTERM');
    await single.ended;
    const store = { name: 'gw-1', postgres: { url: { env: 'TEST_DATABASE' } } };
    await writeFile(file, JSON.stringify({ ...alone, store }));
    const first = await up({ stateDir, env: { TEST_DATABASE: database } });
    const second = await replica('gw-2', { postgres: database, upstream: upstream.url });
    await works(key, [first, second]);
    await newKey(first, 'new');
    const backup = path.join(await newFolder(), 'shared.backup');
    expect(await first.cli('backup', backup)).toMatchObject({ code: 0 });
    const restored = path.join(await newFolder(), 'restored');
    expect(await cli(['restore', backup, '--state', restored])).toMatchObject({ code: 0 });
    const again = await up({ stateDir: restored });
    const listed = await again.cli('key', 'list');
    expect(listed.out).toMatch(/old/);
    expect(listed.out).toMatch(/new/);
    expect(await verify()).toMatchObject({ intact: true });
  });

  describe('while a store is away', () => {
    const statusOf = async (gate: Up, route: string): Promise<number> =>
      (await gate.get(route)).status;
    const stream = { stream: true };
    const both = (whenStoreDown: string): Record<string, unknown> => ({
      budgets: { plenty: { usd: '9000.00', every: 'never', match: ['*'] } },
      limits: { whenStoreDown, named: { many: { concurrent: 1_000, match: ['*'] } } },
    });
    const server = (name: string): LocalServer => (name === 'PostgreSQL' ? postgres : valkey);

    test.each(['PostgreSQL', 'Valkey'])(
      '%s: requests are refused with 503, open ones end well, readiness says so, and all recovers by itself',
      { timeout: 120_000 },
      async (name) => {
        const options = {
          postgres: database,
          valkey: valkey.url,
          upstream: upstream.url,
          more: both('refuse'),
        };
        const gate = await replica('gw-1', options);
        const key = await newKey(gate);
        expect((await ask(gate, key)).status).toBe(200);
        expect(await statusOf(gate, '/readyz')).toBe(200);
        upstream.hold();
        const before = upstream.asked;
        const open = [ask(gate, key), ask(gate, key, stream)];
        await until(() => upstream.asked === before + 2);
        await server(name).stop();
        const stoppedMs = performance.now();
        await until(async () => (await statusOf(gate, '/readyz')) === 503, 15_000);
        const noticedMs = performance.now() - stoppedMs;
        const refused = await Promise.all(Array.from({ length: 50 }, () => ask(gate, key)));
        expect(tally(refused)).toEqual({ 503: 50 });
        for (const { headers, body } of refused) {
          expect(headers['retry-after']).toBeDefined();
          expect(body).toContain('state_unavailable');
        }
        upstream.go();
        expect(tally(await Promise.all(open))).toEqual({ 200: 2 });
        // A key that does not exist is no store that is away, and the other way round.
        const unknown = await ask(gate, `${key.slice(0, -4)}AAAA`);
        expect([401, 503]).toContain(unknown.status);
        expect(await statusOf(gate, '/livez')).toBe(200);
        await server(name).start();
        const startedMs = performance.now();
        await until(async () => (await ask(gate, key)).status === 200, 20_000);
        await until(async () => (await statusOf(gate, '/readyz')) === 200, 20_000);
        process.stdout.write(
          `${name}: away noticed after ${Math.round(noticedMs)} ms, back in use after ${Math.round(performance.now() - startedMs)} ms\n`,
        );
        expect((await gate.cli('key', 'create', 'later')).code).toBe(0);
      },
    );

    test('what costs nothing is served for ten seconds more: then nobody can know who was revoked', {
      timeout: 120_000,
    }, async () => {
      const gate = await replica('gw-1', {
        postgres: database,
        upstream: upstream.url,
        more: { prices: {} },
      });
      const key = await newKey(gate);
      expect((await ask(gate, key)).status).toBe(200);
      await postgres.stop();
      const stoppedMs = performance.now();
      expect((await ask(gate, key)).status).toBe(200);
      await until(async () => {
        const { status } = await ask(gate, key);
        expect([200, 503]).toContain(status);
        return status === 503;
      }, 20_000);
      const refusedMs = performance.now() - stoppedMs;
      await postgres.start();
      await until(async () => (await ask(gate, key)).status === 200, 20_000);
      expect(refusedMs).toBeGreaterThan(7_000);
      expect(refusedMs).toBeLessThan(11_000);
    });

    test('with "serve" requests go on, and what they cost is charged afterwards', {
      timeout: 120_000,
    }, async () => {
      const options = {
        postgres: database,
        valkey: valkey.url,
        upstream: upstream.url,
        more: both('serve'),
      };
      const gate = await replica('gw-1', options);
      const key = await newKey(gate);
      expect((await ask(gate, key)).status).toBe(200);
      await Promise.all([postgres.stop(), valkey.stop()]);
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(gate, key)));
      await Promise.all([postgres.start(), valkey.start()]);
      const served = 1 + (tally(answers)['200'] ?? 0);
      expect(tally(answers)['401']).toBeUndefined();
      expect(served).toBeGreaterThan(1);
      expect(upstream.asked).toBe(served);
      await until(async () => (await statusOf(gate, '/readyz')) === 200, 20_000);
      await until(async () => {
        const shown = await gate.cli('budget', 'show', '--json');
        return (
          shown.out.includes(String(served * 100_000_000)) ||
          shown.out.includes((served / 10).toFixed(1))
        );
      }, 20_000);
    });
  });
});
