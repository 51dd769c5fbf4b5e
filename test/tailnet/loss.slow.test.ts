import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const open = { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] };

describeNetwork('a server that is lost', {}, (network) => {
  let clients: readonly StockClient[];
  let addresses: readonly string[];
  /** What an operator keeps: the output of `postern node list --json`. */
  let file: string;

  beforeAll(async () => {
    const { server } = network();
    await server.applyPolicy(open);
    clients = await Promise.all([
      network().join('a'),
      network().join('b', { isYearOld: true }),
      network().join('c', { key: { tags: ['tag:box'] } }),
    ]);
    addresses = await Promise.all(clients.map((client) => client.address()));
    await startWebServer(clients[2]?.place ?? network().lab.hub, 80, 'c says');
    file = path.join(network().lab.hub.folder, 'nodes.json');
    const listed = await server.cli('node', 'list', '--json');
    expect(listed.code, listed.err).toBe(0);
    await writeFile(file, listed.out, { mode: 0o600 });
  }, 120_000);

  async function allAreBack(): Promise<void> {
    const { server } = network();
    await expect.poll(() => server.streams(), { timeout: 90_000, interval: 500 }).toBe(3);
    for (const [i, client] of clients.entries()) {
      const status = await client.until(
        'it runs and sees two',
        ({ BackendState, Peer }) =>
          BackendState === 'Running' && Object.keys(Peer ?? {}).length === 2,
        30_000,
      );
      expect(status.Self.TailscaleIPs?.[0]).toBe(addresses[i]);
    }
    const [a] = clients;
    if (a === undefined) return;
    await expect.poll(() => get(a.place, 'http://c/'), { timeout: 20_000 }).toContain('c says');
  }

  test('but whose control key is kept: adopted machines go on, without a sign-in or a restart', async () => {
    const { server } = network();
    await server.kill();
    await server.lose({ withKey: true });
    await server.boot();
    await server.applyPolicy(open);
    const adopted = await server.cli('network', 'adopt', file);
    expect(adopted.err).toBe('');
    expect(adopted.out).toContain('Adopted: 3 of 3');
    await allAreBack();
    expect((await server.cli('network', 'adopt', file)).out).toContain('3 were here already');
  }, 180_000);

  test('with its control key: adopted machines are recognised after their client restarted', async () => {
    const { server } = network();
    await server.kill();
    await server.lose({ withKey: false });
    await server.boot();
    await server.applyPolicy(open);
    const adopted = await server.cli('network', 'adopt', file);
    expect(adopted.out).toContain('Adopted: 3 of 3');
    for (const client of clients) {
      await client.stopDaemon();
      await client.startDaemon();
    }
    await allAreBack();
  }, 180_000);

  test('without an inventory: one approval lets in all that ask', async () => {
    const { server } = network();
    await server.kill();
    await server.lose({ withKey: false });
    await server.boot();
    await server.applyPolicy(open);
    for (const client of clients) {
      await client.stopDaemon();
      await client.startDaemon();
    }
    const waiting = async (): Promise<number> => {
      const { waiting_for_sign_in: all } = await server.ask('GET', '/network');
      return Array.isArray(all) ? all.length : 0;
    };
    await expect.poll(waiting, { timeout: 60_000, interval: 500 }).toBe(3);
    const looked = await server.cli(
      'node',
      'approve',
      '--all-pending',
      '--user',
      'alice@example.com',
    );
    expect(looked.out).toContain('Nothing was changed');
    expect(await waiting()).toBe(3);
    const all = ['node', 'approve', '--all-pending', '--user', 'alice@example.com', '--yes'];
    const approved = await server.cli(...all);
    expect(approved.code, approved.err).toBe(0);
    for (const client of clients) {
      await client.until('it runs', ({ BackendState }) => BackendState === 'Running', 60_000);
    }
  }, 180_000);
});
