/**
 * A network of one machine for real programs: a hub where the server runs, and machines behind it, each with network
 * and mount namespaces of its own, joined by veth pairs on a bridge. Needs root and /dev/net/tun.
 *
 * Namespaces live as long as a holder process in them, and holders die with the test process: nothing stays behind.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const machinesMax = 16;
const commandMsMax = 60_000;

/** Why a lab cannot be had here, or undefined. */
export async function missingForLab(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'namespaces need Linux';
  if (process.getuid?.() !== 0) return 'namespaces need root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'no /dev/net/tun';
  }
  for (const program of ['ip', 'unshare', 'nsenter', 'setpriv']) {
    const found = await run('sh', ['-c', `command -v ${program}`]).catch(() => undefined);
    if (found === undefined) return `${program} is not installed`;
  }
  const tried = await run('unshare', ['--net', '--mount', 'true']).catch(() => undefined);
  return tried === undefined ? 'the kernel makes no namespaces here' : undefined;
}

/** What a command said and how it ended. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One network namespace with a mount namespace, in which programs are run. */
export class Place {
  readonly name: string;
  readonly folder: string;
  /** Its address on the bridge. */
  readonly address: string;
  readonly holder: ChildProcess;
  readonly #children = new Set<ChildProcess>();

  constructor(options: { name: string; folder: string; address: string; holder: ChildProcess }) {
    this.name = options.name;
    this.folder = options.folder;
    this.address = options.address;
    this.holder = options.holder;
  }

  get pid(): number {
    return this.holder.pid ?? 0;
  }

  /** Runs a command to its end. */
  async run(command: readonly string[], timeoutMs: number = commandMsMax): Promise<Said> {
    try {
      const args = this.#enter(command);
      const { stdout, stderr } = await run('nsenter', args, {
        timeout: timeoutMs,
        maxBuffer: 16 * 1024 * 1024,
      });
      return { code: 0, out: stdout, err: stderr };
    } catch (error) {
      // Node puts what the command said on the error that it throws.
      const failed = error as { code?: unknown; stdout?: string; stderr?: string };
      const code = typeof failed.code === 'number' ? failed.code : 1;
      return { code, out: failed.stdout ?? '', err: failed.stderr ?? String(error) };
    }
  }

  /** Runs a command that must succeed. */
  async must(command: readonly string[], timeoutMs?: number): Promise<string> {
    const said = await this.run(command, timeoutMs);
    if (said.code !== 0)
      throw new Error(`${this.name}: ${command.join(' ')}: ${said.err}${said.out}`);
    return said.out;
  }

  /** Starts a program that lives until it is stopped, at the latest with this test process. */
  start(
    command: readonly string[],
    options: { readonly env?: Readonly<Record<string, string>>; readonly input?: boolean } = {},
  ): ChildProcess {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nsenter', ...this.#enter(command)], {
      env: { ...process.env, ...options.env },
      stdio: [options.input === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.#children) await killed(child);
    await killed(this.holder);
  }

  #enter(command: readonly string[]): readonly string[] {
    return ['-t', String(this.pid), '-n', '-m', '--', ...command];
  }
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

export class Lab {
  readonly hub: Place;
  readonly folder: string;
  readonly #machines: Place[] = [];
  /** The hub is 1; given out before anything is awaited, since machines are added side by side. */
  #lastNumber = 1;

  private constructor(hub: Place, folder: string) {
    this.hub = hub;
    this.folder = folder;
  }

  static async open(): Promise<Lab> {
    const folder = await mkdtemp(path.join(tmpdir(), 'pn-'));
    const hub = await newPlace('hub', folder, '10.203.0.1');
    await hub.must(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
    await hub.must(['ip', 'addr', 'add', '10.203.0.1/24', 'dev', 'br0']);
    await hub.must(['ip', 'link', 'set', 'br0', 'up']);
    return new Lab(hub, folder);
  }

  async addMachine(name: string): Promise<Place> {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    if (number > machinesMax) throw new Error('too many machines');
    const address = `10.203.0.${number}`;
    const place = await newPlace(name, this.folder, address);
    this.#machines.push(place);
    const link = `v-${name}`;
    const pair = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(place.pid)];
    await this.hub.must(['ip', 'link', 'add', link, ...pair]);
    await this.hub.must(['ip', 'link', 'set', link, 'master', 'br0', 'up']);
    await place.must(['ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0']);
    await place.must(['ip', 'link', 'set', 'eth0', 'up']);
    await place.must(['ip', 'route', 'add', 'default', 'via', '10.203.0.1']);
    return place;
  }

  /** A link between two machines besides the bridge: a network of its own, as behind a router. */
  async addLink(a: Place, b: Place, addresses: readonly [string, string]): Promise<void> {
    const pair = ['type', 'veth', 'peer', 'name', 'lan0', 'netns', String(b.pid)];
    await a.must(['ip', 'link', 'add', 'lan0', ...pair]);
    for (const [place, address] of [
      [a, addresses[0]],
      [b, addresses[1]],
    ] as const) {
      await place.must(['ip', 'addr', 'add', address, 'dev', 'lan0']);
      await place.must(['ip', 'link', 'set', 'lan0', 'up']);
    }
  }

  /** Whether a machine may reach others on the bridge; the hub it always reaches. */
  async isolate(place: Place, isIsolated: boolean): Promise<void> {
    const value = isIsolated ? 'on' : 'off';
    const words = ['type', 'bridge_slave', 'isolated', value];
    await this.hub.must(['ip', 'link', 'set', `v-${place.name}`, ...words]);
  }

  async close(): Promise<void> {
    for (const machine of this.#machines) await machine.close();
    await this.hub.close();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Programs in a place change its own copy of /etc: tailscaled writes resolv.conf there. */
async function newPlace(name: string, base: string, address: string): Promise<Place> {
  const folder = path.join(base, name);
  await mkdir(folder, { recursive: true });
  await cp('/etc', path.join(folder, 'etc'), { recursive: true, dereference: false, force: true });
  const holder = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'unshare',
      '--net',
      '--mount',
      '--propagation',
      'private',
      'sleep',
      '3600',
    ],
    { stdio: 'ignore' },
  );
  const place = new Place({ name, folder, address, holder });
  await untilUnshared(place.pid);
  await place.must(['mount', '--bind', path.join(folder, 'etc'), '/etc']);
  await place.must(['ip', 'link', 'set', 'lo', 'up']);
  return place;
}

async function untilUnshared(pid: number): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    const { stdout } = await run('readlink', [`/proc/${pid}/ns/net`, '/proc/self/ns/net']);
    const [theirs, ours] = stdout.split('\n');
    const command = await run('cat', [`/proc/${pid}/comm`]);
    if (theirs !== ours && command.stdout.trim() === 'sleep') return;
    await sleep(10);
  }
  throw new Error('no namespace');
}
