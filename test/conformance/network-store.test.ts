import { Secret } from '@postern/core/base';
import type { PostgresStore } from '@postern/server/adapters/store-postgres';
import { openPostgresStore } from '@postern/server/adapters/store-postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sharedNetworkOf } from '../../packages/server/src/app/network/shared-network.ts';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';

/** What coordination servers of one network keep together in a real PostgreSQL. */

describe.skipIf(noPostgres !== '')(`two servers of one network ${noPostgres}`, () => {
  let postgres: LocalServer;
  let leader: PostgresStore;
  let follower: PostgresStore;

  const openStore = async (url: string, name: string): Promise<PostgresStore> => {
    const opened = await openPostgresStore({
      url: new Secret(url),
      process: `${name}-${performance.now()}`,
      name,
      leaseMs: 2_000,
    });
    if (!opened.ok) throw new Error(opened.error.message);
    return opened.value;
  };

  beforeAll(async () => {
    postgres = await startPostgres();
    const url = await newDatabase(postgres);
    leader = await openStore(url, 'one');
    follower = await openStore(url, 'two');
  }, 60_000);
  afterAll(async () => {
    await follower.close();
    await leader.close();
    await postgres.remove();
  });

  test('the first public key that anybody claims is everybody’s, however many claim at once', async () => {
    const [one, two] = [sharedNetworkOf(leader), sharedNetworkOf(follower)];
    expect(await two.claimKey()).toEqual({ ok: true, value: undefined });
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).claimKey(`mkey:${i}`)),
    );
    const held = new Set(claims.map((each) => (each.ok ? each.value : 'none')));
    expect(held.size).toBe(1);
    expect(await one.claimKey('mkey:later')).toEqual({ ok: true, value: [...held][0] });
  });

  test('reports of the leader reach a follower, changes alone from then on', async () => {
    const [writer, reader] = [sharedNetworkOf(leader), sharedNetworkOf(follower)];
    const saved = new Map([
      ['n1', { derp: 900 }],
      ['n2', { derp: 901 }],
    ]);
    expect(await writer.reports.save(saved, saved)).toEqual({ ok: true, value: undefined });
    expect(await reader.reports.load()).toEqual({ ok: true, value: saved });
    await writer.reports.save(new Map([['n2', undefined]]), new Map());
    const fresh = sharedNetworkOf(follower);
    expect(await fresh.reports.load()).toEqual({
      ok: true,
      value: new Map([['n1', { derp: 900 }]]),
    });
  });

  test('a server that follows writes nothing, whatever it believes', async () => {
    const refused = await follower.network.saveReports(new Map([['n9', '{}']]));
    expect(refused).toMatchObject({ ok: false, error: { kind: 'in_use' } });
    const read = await leader.network.reportsSince(0);
    expect(read.ok && read.value.reports.some(({ node }) => node === 'n9')).toBe(false);
  });

  test('a report that is no JSON says nothing, and hurts nobody', async () => {
    await leader.network.saveReports(new Map([['n3', 'no JSON']]));
    const read = await sharedNetworkOf(follower).reports.load();
    expect(read.ok && read.value.get('n3')).toBe(undefined);
  });
});
