import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import { noNginx, recipe, startNginx } from './nginx.ts';
import { PosternServer } from './postern-server.ts';
import type { StockClient } from './stock-client.ts';
import { describeLab } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const open = { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] };
const missing = [noPostgres, noNginx].filter((why) => why !== '').join('; ');
const upstream = `upstream postern {
  server 127.0.0.1:8091 max_fails=0;
  server 127.0.0.1:8092 max_fails=0;
}`;

describe.skipIf(missing !== '')(`two gateways of one network ${missing}`, () => {
  describeLab('take turns over PostgreSQL', (lab) => {
    const controlKey = randomBytes(32).toString('hex');
    let postgres: LocalServer;
    let database = '';
    let first: PosternServer;
    let second: PosternServer;
    let a: StockClient;
    let b: StockClient;

    const gateway = (name: string, port: number, key = controlKey): Promise<PosternServer> =>
      PosternServer.start({
        place: lab().lab.hub,
        isProxied: true,
        proxiedPort: port,
        engine: { tls: 'proxy', controlKey: { env: 'TEST_CONTROL_KEY' } },
        config: {
          trustedProxies: ['127.0.0.1'],
          store: { name, postgres: { url: { env: 'TEST_DATABASE' }, leaseSeconds: 3 } },
        },
        env: {
          TEST_CONTROL_KEY: key,
          TEST_DATABASE: database,
          ...(port === 8_091 ? {} : { POSTERN_STUN_ADDR: 'off' }),
        },
      });

    beforeAll(async () => {
      postgres = await startPostgres();
      // The lab has its own network, and the same files.
      const { pathname } = new URL(await newDatabase(postgres));
      const where = new URLSearchParams({ host: postgres.folder, port: String(postgres.port) });
      database = `postgresql://postern@localhost${pathname}?${where.toString()}`;
      first = await gateway('gw-1', 8_091);
      second = await gateway('gw-2', 8_092);
      await first.applyPolicy(open);
      const server = await recipe('howto/replicas.md');
      const certificate = await startNginx(lab().lab.hub, { http: upstream, server });
      const env = { SSL_CERT_FILE: certificate };
      [a, b] = await Promise.all([
        lab().addClient('a', { env }),
        lab().addClient('b', { env, isYearOld: true }),
      ]);
      for (const client of [a, b]) {
        await client.up(first.url, [`--auth-key=${await first.createKey()}`]);
      }
      await startWebServer(b.place, 80, 'b says');
    }, 240_000);
    afterAll(async () => {
      await Promise.all([first.stop(), second.stop()]);
      await postgres.remove();
    }, 60_000);

    const health = async (port: number): Promise<string> => {
      const url = `http://127.0.0.1:${port}/health`;
      const said = await lab().lab.hub.run(['curl', '-s', '-m', '2', '-w', ' %{http_code}', url]);
      return said.out;
    };

    test('stock clients join through the balancer; the one that follows says who serves', async () => {
      await expect.poll(() => get(a.place, 'http://b/'), { timeout: 15_000 }).toContain('b says');
      expect(await health(8_091)).toContain('200');
      expect(await health(8_092)).toContain(
        'the gateway \\"gw-1\\" coordinates the network"}\n 503',
      );
      expect(await second.ask('GET', '/network')).toMatchObject({ serves: false, nodes: 2 });
      const refused = second.ask('POST', `/nodes/${'0'.repeat(32)}/approve`, { user: 'a@x.org' });
      await expect(refused).rejects.toThrow('"gw-1" leads');
    });

    test('the leader is killed: the other one serves, nobody signs in again', async () => {
      const before = await Promise.all([a.status(), b.status()]);
      // Reports are with the other one a second later.
      await sleep(2_000);
      await first.kill();
      const killedMs = performance.now();
      expect(await get(a.place, 'http://b/')).toContain('b says');
      await expect.poll(() => second.streams(), { timeout: 60_000 }).toBe(2);
      process.stdout.write(
        `both clients are served again ${Math.round(performance.now() - killedMs)} ms after the kill\n`,
      );
      for (const [i, client] of [a, b].entries()) {
        const status = await client.status();
        expect(status.BackendState).toBe('Running');
        expect(status.AuthURL).toBe('');
        expect(status.Self.TailscaleIPs).toEqual(before[i]?.Self.TailscaleIPs);
        await client.until('the other is online', ({ Peer }) =>
          Object.values(Peer ?? {}).every(({ Online }) => Online),
        );
      }
      expect(await get(a.place, 'http://b/')).toContain('b says');
      expect(await second.ask('GET', '/network')).toMatchObject({ serves: true, online: 2 });
    });

    test('changes are made by the one that leads now, and reach the clients', async () => {
      const id = (await b.status()).Self.ID;
      await second.renameNode(id, 'renamed');
      const isSeen = async (): Promise<boolean> => (await a.peer('renamed')) !== undefined;
      await expect.poll(isSeen, { timeout: 5_000, interval: 50 }).toBe(true);
    });

    test('the first one comes back, follows, and leads when the second ends in order', async () => {
      await first.boot();
      expect(await health(8_091)).toContain('503');
      await second.kill();
      await expect.poll(() => first.streams(), { timeout: 60_000 }).toBe(2);
      const status = await a.status();
      expect(status.BackendState).toBe('Running');
      await a.until('it has the name', ({ Peer }) =>
        Object.values(Peer ?? {}).some(({ DNSName }) => DNSName.startsWith('renamed.')),
      );
      await expect
        .poll(() => get(a.place, 'http://renamed/'), { timeout: 15_000 })
        .toContain('b says');
    });

    test('a gateway that is frozen beyond its lease lets go of its clients when it wakes', async () => {
      await second.boot();
      process.kill(first.pid, 'SIGSTOP');
      await sleep(5_000);
      await expect.poll(() => health(8_092), { timeout: 15_000, interval: 200 }).toContain('200');
      process.kill(first.pid, 'SIGCONT');
      // Exactly one serves, and both clients are with it: who it is may change again on a busy machine.
      const served = async (): Promise<readonly string[]> => {
        const said = await Promise.all([first, second].map((each) => each.ask('GET', '/network')));
        return said
          .map(({ serves = null, streams = null }) => JSON.stringify({ serves, streams }))
          .toSorted((one, other) => one.localeCompare(other));
      };
      await expect
        .poll(served, { timeout: 90_000, interval: 500 })
        .toEqual(['{"serves":false,"streams":0}', '{"serves":true,"streams":2}']);
    }, 180_000);

    test('a backup has the control key, and what is restored from it is the same server to clients', async () => {
      const file = path.join(second.stateDir, 'whole.backup');
      const made = await second.cli('backup', file);
      expect(made, made.err).toMatchObject({ code: 0 });
      const kept = `${file}.control-key`;
      expect((await stat(kept)).mode & 0o777).toBe(0o600);
      expect(await readFile(kept, 'utf8')).toBe(`privkey:${controlKey}\n`);
      const folder = await mkdtemp(path.join(tmpdir(), 'ps-'));
      const restored = await second.cli('restore', file, '--state', folder);
      expect(restored, restored.err).toMatchObject({ code: 0 });
      const again = path.join(folder, 'coordination', 'control.key');
      expect((await stat(again)).mode & 0o777).toBe(0o600);
      expect(await readFile(again, 'utf8')).toBe(`privkey:${controlKey}\n`);
      await rm(folder, { recursive: true, force: true });
    });

    test('a gateway with another control key does not start', async () => {
      await expect(gateway('gw-3', 8_093, 'ab'.repeat(32))).rejects.toThrow(
        'Give every gateway the same engine.controlKey',
      );
    });
  });
});
