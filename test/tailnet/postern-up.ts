import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ended } from '../e2e/process.ts';
import { cli } from '../e2e/process.ts';
import { killed, type Place } from './lab.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const startMsMax = 30_000;

export interface PosternUpOptions {
  /** The configuration file; `engine` gets its URL here. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly policy: unknown;
  /** The address of the network's server where somebody else runs it; the configuration says the rest. */
  readonly outside?: string;
  readonly words?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A whole `postern up --url …` in a place of the lab, with what the command line says about it. */
export class PosternUp {
  readonly url: string;
  readonly stateDir: string;
  readonly #place: Place;
  readonly #options: PosternUpOptions;
  #child: ChildProcess | undefined;
  #said = '';

  private constructor(place: Place, stateDir: string, options: PosternUpOptions) {
    this.#place = place;
    this.stateDir = stateDir;
    this.url = options.outside ?? `http://${place.address}:8090`;
    this.#options = options;
  }

  static async start(place: Place, options: PosternUpOptions): Promise<PosternUp> {
    const stateDir = await mkdtemp(path.join('/tmp', 'pu-'));
    await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(options.config ?? {}), {
      mode: 0o600,
    });
    const policy = path.join(stateDir, 'policy.hujson');
    await writeFile(policy, JSON.stringify(options.policy), { mode: 0o600 });
    const up = new PosternUp(place, stateDir, options);
    await up.boot();
    return up;
  }

  /** All that it has said. */
  get said(): string {
    return this.#said;
  }

  async boot(): Promise<void> {
    const { words = [], env = {}, outside } = this.#options;
    const url = outside === undefined ? ['--url', this.url] : [];
    const before = this.#said.length;
    const child = this.#place.start(
      [process.execPath, main, 'up', ...url, '--log', 'json', ...words],
      { env: { POSTERN_STATE: this.stateDir, POSTERN_ADMIN_ADDR: '127.0.0.1:0', ...env } },
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    }
    for (let waitedMs = 0; !this.#said.includes('Postern is up.', before); waitedMs += 20) {
      if (waitedMs > startMsMax || child.exitCode !== null) {
        throw new Error(`postern up does not start: ${this.#said}`);
      }
      await sleep(20);
    }
  }

  cli(...words: string[]): Promise<Ended> {
    return cli(words, { stateDir: this.stateDir });
  }

  async json(...words: string[]): Promise<Record<string, unknown>> {
    const { code, out, err } = await this.cli(...words, '--json');
    if (code !== 0) throw new Error(`${words.join(' ')}: ${err}`);
    // Under --json the output is one JSON value; these commands answer objects.
    return JSON.parse(out) as Record<string, unknown>;
  }

  async key(...words: string[]): Promise<string> {
    const made = await this.cli('network', 'key', 'create', ...words);
    if (made.code !== 0) throw new Error(made.err);
    return made.out.trim();
  }

  /** Waits until the gateway is on the network; how it is there. */
  async onNetwork(withinMs = 30_000): Promise<Record<string, unknown>> {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const { gateway } = await this.json('network', 'status');
      const facts = typeof gateway === 'object' && gateway !== null ? { ...gateway } : {};
      if ('state' in facts && facts.state === 'up') return facts;
      if (performance.now() > endMs) {
        throw new Error(`not on the network: ${JSON.stringify(facts)}\n${this.#said}`);
      }
      await sleep(100);
    }
  }

  /** Ends as a service manager ends it. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const exit = new Promise((resolve) => {
      child.once('exit', resolve);
    });
    // The child is nsenter, which became the program itself.
    child.kill('SIGTERM');
    await Promise.race([exit, sleep(15_000)]);
    await killed(child);
  }

  async kill(): Promise<void> {
    if (this.#child !== undefined) await killed(this.#child);
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.stateDir, { recursive: true, force: true, maxRetries: 5 });
  }
}
