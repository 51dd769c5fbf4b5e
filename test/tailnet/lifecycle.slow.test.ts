import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const open = { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] };

/** Counters of the control client inside tailscaled. */
async function counters(client: StockClient): Promise<ReadonlyMap<string, number>> {
  const { out } = await client.cli(['debug', 'metrics']);
  return new Map(
    [...out.matchAll(/^(controlclient_\w+) (\d+)$/gm)].map(([, name = '', value]) => [
      name,
      Number(value),
    ]),
  );
}

describeNetwork('three stock clients stay connected', {}, (network) => {
  let clients: readonly StockClient[];

  beforeAll(async () => {
    await network().server.applyPolicy(open);
    clients = await Promise.all([
      network().join('a'),
      network().join('b', { isYearOld: true }),
      network().join('c'),
    ]);
    for (const client of clients) {
      await client.until('it sees two', ({ Peer }) => Object.keys(Peer ?? {}).length === 2);
    }
    await startWebServer(clients[2]?.place ?? network().lab.hub, 80, 'c says');
  }, 120_000);

  test('through a hundred changes, each seen as a delta on one stream', async () => {
    const { server } = network();
    const [a, b] = clients;
    if (a === undefined || b === undefined) return;
    const before = await Promise.all([counters(a), counters(b)]);
    const id = (await clients[2]?.status())?.Self.ID ?? '';
    const rename = (name: string): Promise<unknown> => server.renameNode(id, name);
    for (let i = 1; i <= 100; i += 1) {
      await rename(`c-${i}`);
      // One change each: those that come together may share a response.
      const isSeen = async (): Promise<boolean> => (await b.peer(`c-${i}`)) !== undefined;
      await expect.poll(isSeen, { interval: 20, timeout: 5_000 }).toBe(true);
    }
    await rename('c');
    for (const [i, client] of [a, b].entries()) {
      const after = await counters(client);
      const grown = (name: string): number => (after.get(name) ?? 0) - (before[i]?.get(name) ?? 0);
      expect(grown('controlclient_map_response_map_delta')).toBeGreaterThanOrEqual(100);
      expect(grown('controlclient_map_requests_poll')).toBe(0);
      expect((await client.status()).BackendState).toBe('Running');
    }
  });

  test('through a kill of the server: nobody notices beyond a reconnect', async () => {
    const { server } = network();
    const [a] = clients;
    if (a === undefined) return;
    await expect.poll(() => get(a.place, 'http://c/'), { timeout: 10_000 }).toContain('c says');
    await server.kill();
    expect(await get(a.place, 'http://c/')).toContain('c says');
    await sleep(2_000);
    expect(await get(a.place, 'http://c/')).toContain('c says');
    const before = await Promise.all(clients.map(counters));
    const keys = await Promise.all(clients.map(async (client) => (await client.status()).Self));
    await server.boot();
    const back = (): Promise<number> => server.streams();
    await expect.poll(back, { timeout: 60_000 }).toBe(3);
    for (const [i, client] of clients.entries()) {
      const status = await client.status();
      expect(status.BackendState).toBe('Running');
      expect(status.Self.TailscaleIPs).toEqual(keys[i]?.TailscaleIPs);
      expect(Object.values(status.Peer ?? {})).toHaveLength(2);
      await client.until('all are online', ({ Peer }) =>
        Object.values(Peer ?? {}).every(({ Online }) => Online),
      );
      const after = await counters(client);
      const polls = after.get('controlclient_map_requests_poll') ?? 0;
      expect(polls - (before[i]?.get('controlclient_map_requests_poll') ?? 0)).toBeLessThan(12);
    }
    expect(await get(a.place, 'http://c/')).toContain('c says');
  });

  test('through a policy that is tightened: new connections are dropped', async () => {
    const { server } = network();
    const [a] = clients;
    if (a === undefined) return;
    expect(await get(a.place, 'http://c/')).toContain('c says');
    await server.applyPolicy({ grants: [{ src: ['*'], dst: ['*'], ip: ['tcp:22'] }] });
    await expect.poll(() => get(a.place, 'http://c/', 1), { timeout: 5_000 }).toContain('failed');
    await server.applyPolicy(open);
    await expect.poll(() => get(a.place, 'http://c/', 1), { timeout: 5_000 }).toContain('c says');
  });
});

const lives = { engine: { ephemeralMinutes: 1 } };

describeNetwork('machines come and go', lives, (network) => {
  let a: StockClient;

  beforeAll(async () => {
    await network().server.applyPolicy(open);
    a = await network().join('a');
  }, 120_000);

  const sees = (name: string) => async (): Promise<boolean> => (await a.peer(name)) !== undefined;

  test('an ephemeral machine that leaves is forgotten', async () => {
    const e = await network().join('e', { key: { ephemeral: true } });
    await expect.poll(sees('e'), { timeout: 15_000 }).toBe(true);
    await e.stopDaemon();
    await expect.poll(sees('e'), { timeout: 120_000 }).toBe(false);
  });

  test('an ephemeral machine that logs out is gone at once', async () => {
    const f = await network().join('f', { key: { ephemeral: true } });
    await expect.poll(sees('f'), { timeout: 15_000 }).toBe(true);
    expect((await f.cli(['logout'])).code).toBe(0);
    await expect.poll(sees('f'), { timeout: 5_000 }).toBe(false);
    expect((await f.status()).BackendState).toBe('NeedsLogin');
  });

  test('a machine that logs out is refused until it joins again, as the same machine', async () => {
    const g = await network().join('g');
    const address = await g.address();
    expect((await g.cli(['logout'])).code).toBe(0);
    await g.until('it needs a login', ({ BackendState }) => BackendState === 'NeedsLogin');
    await g.up(network().server.url, [`--auth-key=${await network().server.createKey()}`]);
    await g.until('it runs', ({ BackendState }) => BackendState === 'Running');
    expect(await g.address()).toBe(address);
  });

  test('a key that has expired stops a machine until it signs in again', async () => {
    const h = await network().join('h');
    await expect.poll(sees('h'), { timeout: 15_000 }).toBe(true);
    const id = (await h.status()).Self.ID;
    await network().server.ask('POST', `/nodes/${id}/expire`);
    await h.until('it needs a login', ({ BackendState }) => BackendState === 'NeedsLogin');
    await h.up(network().server.url, [
      `--auth-key=${await network().server.createKey()}`,
      '--force-reauth',
    ]);
    await h.until('it runs again', ({ BackendState }) => BackendState === 'Running');
  });

  test('a machine without a network device of its own is reached like any other', async () => {
    const u = await network().join('u', { isUserspace: true });
    await startWebServer(u.place, 80, 'u says');
    await expect.poll(() => get(a.place, 'http://u/'), { timeout: 15_000 }).toContain('u says');
    const whois = await u.cli(['whois', '--json', await a.address()]);
    expect(JSON.parse(whois.out)).toMatchObject({ Node: { Name: 'a.mesh.internal.' } });
  });

  test('a key for one machine admits one machine', async () => {
    const key = await network().server.createKey({ reusable: false });
    const clients = await Promise.all([network().addClient('i'), network().addClient('j')]);
    const joined = await Promise.allSettled(
      clients.map((client) => client.up(network().server.url, [`--auth-key=${key}`], 8)),
    );
    const reasons = joined.flatMap((each) =>
      each.status === 'rejected' ? [String(each.reason)] : [],
    );
    expect(joined.map(({ status }) => status).toSorted(), reasons.join('\n\n')).toEqual([
      'fulfilled',
      'rejected',
    ]);
  });

  test('a machine that awaits approval says so, and runs when it is approved', async () => {
    const key = await network().server.createKey({ preApproved: false });
    const k = await network().addClient('k');
    await k.up(network().server.url, [`--auth-key=${key}`]);
    // Without device approval in the configuration every machine is approved.
    await k.until('it runs', ({ BackendState }) => BackendState === 'Running');
  });

  test('a deleted machine is told and can do nothing', async () => {
    const l = await network().join('l');
    await expect.poll(sees('l'), { timeout: 15_000 }).toBe(true);
    const id = (await l.status()).Self.ID;
    await network().server.ask('DELETE', `/nodes/${id}`);
    await expect.poll(sees('l'), { timeout: 5_000 }).toBe(false);
    await l.until('it needs a login', ({ BackendState }) => BackendState === 'NeedsLogin', 30_000);
  });
});

const approval = { engine: { deviceApproval: true } };

describeNetwork('device approval', approval, (network) => {
  test('a machine waits until it is approved, then runs without another login', async () => {
    await network().server.applyPolicy(open);
    const a = await network().addClient('a');
    const key = await network().server.createKey({ preApproved: false });
    const joining = a.up(network().server.url, [`--auth-key=${key}`]).catch(() => undefined);
    await a.until('it waits', ({ BackendState }) => BackendState === 'NeedsMachineAuth');
    await network().server.ask('POST', '/nodes/n1/approve', {});
    await a.until('it runs', ({ BackendState }) => BackendState === 'Running');
    await joining;
  });
});
