import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { headscaleConfig } from '../../packages/postern/src/commands/network/headscale-config.ts';
import { freePort } from '../tailnet/headscale.ts';
import { programs } from '../tailnet/programs.ts';

const run = promisify(execFile);
const startMsMax = 20_000;

/** A real Headscale on loopback with SQLite, in the configuration that Postern writes. */
export class HeadscaleServer {
  readonly url: string;
  readonly config: string;
  readonly #folder: string;
  readonly #program: string;
  #child: ChildProcess | undefined;

  private constructor(program: string, folder: string, url: string) {
    this.#program = program;
    this.#folder = folder;
    this.url = url;
    this.config = path.join(folder, 'config.yaml');
  }

  static async start(): Promise<HeadscaleServer> {
    const found = await programs('headscale');
    if (!found.found) throw new Error(found.why);
    const folder = await mkdtemp(path.join(tmpdir(), 'postern-hs-'));
    const url = `http://127.0.0.1:${await freePort()}`;
    const made = headscaleConfig({
      url,
      folder,
      relay: 'none',
      metricsPort: await freePort(),
      grpcPort: await freePort(),
    });
    if (!made.ok) throw new Error(made.error);
    const server = new HeadscaleServer(path.join(found.folder, 'headscale'), folder, url);
    await writeFile(server.config, made.value.text);
    for (const [name, text] of Object.entries(made.value.files)) {
      await writeFile(path.join(folder, name), text);
    }
    await server.up();
    return server;
  }

  async up(): Promise<void> {
    const child = spawn(this.#program, ['-c', this.config, 'serve'], { stdio: 'pipe' });
    this.#child = child;
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_096);
    });
    child.stdout.resume();
    const endMs = performance.now() + startMsMax;
    while (performance.now() < endMs && child.exitCode === null) {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      if (answer?.ok === true) return;
      await sleep(50);
    }
    throw new Error(`headscale does not start: ${said}`);
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
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Why there is no Headscale; undefined where there is one. */
export async function missingHeadscale(): Promise<string | undefined> {
  const found = await programs('headscale');
  return found.found ? undefined : found.why;
}
