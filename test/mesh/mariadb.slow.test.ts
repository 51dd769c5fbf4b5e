import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { meshAddress } from '../../packages/server/src/mesh/index.ts';
import { at, callee, caller, type MeshNode, startNode } from './world.ts';

const daemon = ['/usr/sbin/mariadbd', '/usr/sbin/mysqld'].find((file) => existsSync(file));
const install = ['/usr/bin/mariadb-install-db'].find((file) => existsSync(file));

/** A protocol in which the server speaks first, by a real server and its own client. */
describe.skipIf(daemon === undefined || install === undefined)(
  'MariaDB through both proxies',
  () => {
    const folder = mkdtempSync('/tmp/pm-');
    const socket = path.join(folder, 's');
    let child: ReturnType<typeof spawn> | undefined;
    let server: MeshNode;
    let client: MeshNode;
    let port = 0;

    const sql = (statement: string, place: readonly string[]) =>
      spawnAsync('mariadb', ['--no-defaults', '--skip-ssl', ...place, '-N', '-e', statement]);

    beforeAll(async () => {
      const data = path.join(folder, 'data');
      const user = process.getuid?.() === 0 ? ['--user=root'] : [];
      const made = spawnSync(install ?? '', [
        '--no-defaults',
        `--datadir=${data}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        ...user,
      ]);
      if (made.status !== 0) throw new Error(String(made.stderr));
      child = spawn(
        daemon ?? '',
        [
          '--no-defaults',
          `--datadir=${data}`,
          `--socket=${socket}`,
          '--skip-networking',
          `--pid-file=${folder}/pid`,
          ...user,
        ],
        { stdio: 'ignore' },
      );
      await vi.waitFor(
        async () => {
          if ((await sql('SELECT 1', ['-S', socket])).status !== 0) throw new Error('not yet');
        },
        { timeout: 60_000, interval: 500 },
      );
      await sql(
        "CREATE USER 'mesh'@'%' IDENTIFIED BY 'x'; GRANT ALL ON *.* TO 'mesh'@'%'; CREATE USER 'mesh'@'localhost' IDENTIFIED BY 'x'; GRANT ALL ON *.* TO 'mesh'@'localhost'",
        ['-S', socket],
      );
      server = await startNode({
        simulator: callee,
        services: [{ port: 3306, protocol: 'tcp', backend: { kind: 'unix', path: socket } }],
      });
      client = await startNode({
        simulator: caller,
        fixed: { [`${callee.app.appId}:3306`]: [at(server.portOf('mesh-inbound'))] },
      });
      const address = meshAddress(callee.app.appId, '3306', undefined);
      if (!address.ok) throw new Error(address.error);
      const opened = await client.plane.forward({ host: '127.0.0.1', port: 0 }, address.value);
      if (!opened.ok) throw new Error(opened.error);
      port = opened.value.port;
    });
    afterAll(async () => {
      await client?.plane.close(0);
      await server?.plane.close(0);
      child?.kill();
      if (child !== undefined) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    });

    test('its own client makes a table, fills it and reads it', async () => {
      const place = ['-h', '127.0.0.1', '-P', String(port), '-u', 'mesh', '-px'];
      const table = 'CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)';
      expect((await sql(table, place)).status).toBe(0);
      const values = Array.from({ length: 500 }, (_, i) => `(${i}, REPEAT('x', 10000))`).join(',');
      expect((await sql(`INSERT INTO d.t VALUES ${values}`, place)).status).toBe(0);
      const read = await sql('SELECT v FROM d.t', place);
      expect(read.stdout.length).toBe(500 * 10_001);
      expect((await sql('SELECT COUNT(*) FROM d.t', place)).stdout.trim()).toBe('500');
    });
  },
);

async function spawnAsync(
  file: string,
  args: readonly string[],
): Promise<{ status: number | null; stdout: string }> {
  const run = spawn(file, [...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  let stdout = '';
  run.stdout.on('data', (piece) => {
    stdout += String(piece);
  });
  const [status] = (await once(run, 'close')) as [number | null];
  return { status, stdout };
}
