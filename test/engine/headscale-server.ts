import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { headscaleConfig } from '../../packages/postern/src/commands/network/headscale-config.ts';
import { freePort } from '../fakes/free-port.ts';
import type { Place } from '../tailnet/lab.ts';
import { programs } from '../tailnet/programs.ts';
import { startRelay } from '../tailnet/relay-process.ts';

const run = promisify(execFile);
const startMsMax = 20_000;

/** A real Headscale on loopback with SQLite, in the configuration that Postern writes. */
export class HeadscaleServer {
  readonly url: string;
  readonly config: string;
  readonly #folder: string;
  readonly #program: string;
  readonly #place: Place | undefined;
  #child: ChildProcess | undefined;

  private constructor(program: string, folder: string, url: string, place: Place | undefined) {
    this.#place = place;
    this.#program = program;
    this.#folder = folder;
    this.url = url;
    this.config = path.join(folder, 'config.yaml');
  }

  /** `place`: where it runs and listens, if not on loopback here. */
  static async start(place?: Place): Promise<HeadscaleServer> {
    const found = await programs('headscale');
    if (!found.found) throw new Error(found.why);
    const folder = await mkdtemp(path.join(tmpdir(), 'postern-hs-'));
    const url = `http://${place?.address ?? '127.0.0.1'}:${await freePort()}`;
    const made = headscaleConfig({
      url,
      folder,
      relay: 'file',
      metricsPort: await freePort(),
      grpcPort: await freePort(),
    });
    if (!made.ok) throw new Error(made.error);
    const server = new HeadscaleServer(path.join(found.folder, 'headscale'), folder, url, place);
    await writeFile(server.config, made.value.text);
    const relay = place === undefined ? noRelay : await relayIn(place);
    await writeFile(path.join(folder, 'derp.yaml'), regionOf(relay));
    await server.up();
    return server;
  }

  async up(): Promise<void> {
    const words = ['-c', this.config, 'serve'];
    const child =
      this.#place?.start([this.#program, ...words]) ??
      spawn(this.#program, words, { stdio: 'pipe' });
    this.#child = child;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_096);
    });
    child.stdout?.resume();
    const endMs = performance.now() + startMsMax;
    while (performance.now() < endMs && child.exitCode === null) {
      if (await this.#isHealthy()) return;
      await sleep(50);
    }
    throw new Error(`headscale does not start: ${said}`);
  }

  async #isHealthy(): Promise<boolean> {
    const url = `${this.url}/health`;
    if (this.#place !== undefined) {
      return (await this.#place.run(['curl', '-sf', url])).code === 0;
    }
    return fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  /** A key by which machines of a person join; the person is made with the first. */
  async joinKey(user: string, ...flags: string[]): Promise<string> {
    await this.command('users', 'create', user, '-e', `${user}@example.com`).catch(() => '');
    // Each is a list of one shape, as it prints itself.
    const users = JSON.parse(await this.command('users', 'list', '-o', 'json')) as {
      id: number;
      name: string;
    }[];
    const { id } = users.find(({ name }) => name === user) ?? { id: 0 };
    const words = ['preauthkeys', 'create', '-u', String(id), '-e', '1h', '-o', 'json', ...flags];
    return (JSON.parse(await this.command(...words)) as { key: string }).key;
  }

  async down(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** What the command line of Headscale itself prints. */
  async command(...args: string[]): Promise<string> {
    const { stdout } = await run(this.#program, ['-c', this.config, ...args]);
    return stdout.trim();
  }

  async apiKey(life = '1h'): Promise<string> {
    const said = await this.command('apikeys', 'create', '-e', life);
    return said.split('\n').at(-1) ?? '';
  }

  async stop(): Promise<void> {
    await this.down();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Enough where no machine sends to another. */
const noRelay = 'hostname: 127.0.0.1, ipv4: 127.0.0.1, stunport: -1, derpport: 1';

/** A relay of ours, in the notation of Headscale. Stock clients want one even where they reach each other directly. */
async function relayIn(place: Place): Promise<string> {
  const { certName, ports } = await startRelay(place);
  const names = `hostname: ${place.address}, ipv4: ${place.address}, certname: "${certName}"`;
  return `${names}, stunport: ${ports.stun}, derpport: ${ports.derp}`;
}

function regionOf(node: string): string {
  return `regions:
  900:
    regionid: 900
    regioncode: t
    regionname: T
    nodes: [{name: 900a, regionid: 900, ${node}}]
`;
}

/** Why there is no Headscale; undefined where there is one. */
export async function missingHeadscale(): Promise<string | undefined> {
  const found = await programs('headscale');
  return found.found ? undefined : found.why;
}
