import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { Client } from 'pg';
import { freePort } from './free-port.ts';

/** Real servers on loopback, in folders of their own, that end with the tests whatever happens. */

export interface LocalServer {
  readonly url: string;
  readonly port: number;
  /** Its data; PostgreSQL has its socket here, too. */
  readonly folder: string;
  /** Starts it (again), on the same port with the same data. */
  start(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
  /** Stops and goes on, as a machine that hangs. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

const children = new Set<ChildProcess>();
const folders = new Set<string>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function programIn(places: readonly string[], name: string): string | undefined {
  return places.map((place) => join(place, name)).find((file) => existsSync(file));
}

const searched = (process.env['PATH'] ?? '').split(delimiter);
const debianPostgres = '/usr/lib/postgresql';
const postgresPlaces = existsSync(debianPostgres)
  ? readdirSync(debianPostgres).map((version) => join(debianPostgres, version, 'bin'))
  : searched;
const initdb = programIn(postgresPlaces, 'initdb');
const postgres = programIn(postgresPlaces, 'postgres');
const valkey =
  programIn(searched, 'valkey-server') ?? programIn([...searched, '/usr/bin'], 'redis-server');

/** PostgreSQL refuses to run as root: then its own user, which Debian's package makes. */
function postgresUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const id = (flag: string): number =>
      Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return undefined;
  }
}

/** Why there is no such server here; empty where there is one. */
export const noPostgres =
  initdb === undefined || postgres === undefined
    ? 'PostgreSQL is not installed (Debian: postgresql)'
    : process.getuid?.() === 0 && postgresUser() === undefined
      ? 'there is no user postgres to run PostgreSQL as'
      : '';
export const noValkey =
  valkey === undefined ? 'neither valkey-server nor redis-server is installed' : '';

/** In memory where there is room: the tests end processes, not the power. */
function base(): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > 512 * 1_048_576 ? memory : tmpdir();
}

function newFolder(name: string): string {
  const folder = mkdtempSync(join(base(), name));
  folders.add(folder);
  return folder;
}

interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly user?: { uid: number; gid: number } | undefined;
  readonly folder: string;
  readonly stopSignal: NodeJS.Signals;
  readonly killSignal: NodeJS.Signals;
  readonly answers: () => Promise<void>;
}

function serverOf(program: Program, url: string, port: number): LocalServer {
  let child: ChildProcess | undefined;
  let said = '';
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once('close', resolve));
    signalAll(ending, 'SIGCONT');
    ending.kill(signal);
    await ended;
    children.delete(ending);
  };
  const start = async (): Promise<void> => {
    const started = spawn(program.file, program.args, {
      cwd: program.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...program.user,
    });
    child = started;
    children.add(started);
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-4_000)));
    for (let i = 0; ; i += 1) {
      if (started.exitCode !== null || i === 600) throw new Error(`no server: ${said}`);
      try {
        // oxlint-disable-next-line no-await-in-loop -- asked until it answers
        await program.answers();
        return;
      } catch {
        // oxlint-disable-next-line no-await-in-loop -- asked until it answers
        await wait(50);
      }
    }
  };
  return {
    url,
    port,
    folder: program.folder,
    start,
    stop: () => end(program.stopSignal),
    kill: () => end(program.killSignal),
    freeze: () => signalAll(child, 'SIGSTOP'),
    thaw: () => signalAll(child, 'SIGCONT'),
    remove: async () => {
      await end(program.killSignal);
      rmSync(program.folder, { recursive: true, force: true });
      folders.delete(program.folder);
    },
  };
}

/** PostgreSQL has a process for each connection. */
function signalAll(child: ChildProcess | undefined, signal: NodeJS.Signals): void {
  if (child?.pid === undefined) return;
  const file = `/proc/${child.pid}/task/${child.pid}/children`;
  const pids = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : [];
  for (const pid of [String(child.pid), ...pids].filter((text) => text !== '')) {
    try {
      process.kill(Number(pid), signal);
    } catch {
      // It ended in between.
    }
  }
}

async function postgresAnswers(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A PostgreSQL with nothing in it. Durable as PostgreSQL is by default. */
export async function startPostgres(): Promise<LocalServer> {
  if (initdb === undefined || postgres === undefined) throw new Error(noPostgres);
  const user = postgresUser();
  const folder = newFolder('postern-postgres-');
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const words = ['-D', data, '-U', 'postern', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  execFileSync(initdb, [...words, '--locale=C'], { cwd: folder, stdio: 'ignore', ...user });
  const port = await freePort();
  const url = `postgresql://postern@127.0.0.1:${port}/postgres`;
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    shared_buffers: '16MB',
    max_connections: '100',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = serverOf(
    {
      file: postgres,
      args: ['-D', data, ...args],
      user,
      folder,
      stopSignal: 'SIGINT',
      killSignal: 'SIGQUIT',
      answers: () => postgresAnswers(url),
    },
    url,
    port,
  );
  await server.start();
  return server;
}

let databases = 0;

/** A fresh database of a server: as good as a fresh server. */
export async function newDatabase(server: LocalServer): Promise<string> {
  databases += 1;
  const name = `t${process.pid}_${databases}`;
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
  return server.url.replace(/\/postgres$/, `/${name}`);
}

async function valkeyAnswers(url: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false, connectTimeout: 2_000 } });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.ping();
  } finally {
    client.destroy();
  }
}

/** A Valkey, or a Redis where that is what the machine has, that keeps nothing on disk. */
export async function startValkey(): Promise<LocalServer> {
  if (valkey === undefined) throw new Error(noValkey);
  const folder = newFolder('postern-valkey-');
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = serverOf(
    {
      file: valkey,
      args: [...words, '--dir', folder, '--daemonize', 'no'],
      folder,
      stopSignal: 'SIGTERM',
      killSignal: 'SIGKILL',
      answers: () => valkeyAnswers(url),
    },
    url,
    port,
  );
  await server.start();
  return server;
}
