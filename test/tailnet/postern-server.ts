import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from '@postern/core/state';
import { freePort } from './headscale.ts';
import { killed, type Place } from './lab.ts';

const main = path.resolve(import.meta.dirname, 'server-main.ts');
const startMsMax = 20_000;
const hour = 3_600_000;

export interface KeyOptions {
  readonly login?: string;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  readonly preApproved?: boolean;
  readonly lifeMs?: number;
}

export interface Figures {
  readonly streams: number;
  readonly channels: number;
  readonly cpu: { readonly user: number; readonly system: number };
  readonly memory: { readonly rss: number; readonly heapUsed: number };
}

export interface ServerOptions {
  /** Where it runs and listens, if not on loopback here. */
  readonly place?: Place;
  /** The `engine` object of the configuration. */
  readonly engine?: Readonly<Record<string, unknown>>;
  /** Relay and STUN are off, for servers on loopback by the dozen. */
  readonly withoutRelay?: boolean;
  /** Where the relay listens, on loopback; STUN is off then. */
  readonly derpPort?: number;
}

/** A server of ours as a process: it may be killed and started again on the same state. */
export class PosternServer {
  readonly url: string;
  readonly #state: string;
  readonly #options: ServerOptions;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #errors = '';

  private constructor(state: string, url: string, options: ServerOptions) {
    this.#state = state;
    this.url = url;
    this.#options = options;
    const off = { POSTERN_STUN_ADDR: 'off', POSTERN_DERP_ADDR: 'off' };
    this.#env = {
      POSTERN_COORDINATION_ADDR: new URL(url).host,
      POSTERN_TEST_ENGINE: JSON.stringify(options.engine ?? {}),
      ...(options.withoutRelay === true ? off : {}),
      ...(options.derpPort === undefined
        ? {}
        : { ...off, POSTERN_DERP_ADDR: `127.0.0.1:${options.derpPort}` }),
    };
  }

  static async start(options: ServerOptions = {}): Promise<PosternServer> {
    const state = await mkdtemp(path.join(tmpdir(), 'ps-'));
    const { place } = options;
    const host = place === undefined ? `127.0.0.1:${await freePort()}` : `${place.address}:8090`;
    const server = new PosternServer(state, `http://${host}`, options);
    await server.boot();
    return server;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it has said on its error output. */
  get errors(): string {
    return this.#errors;
  }

  async boot(): Promise<void> {
    const words = [process.execPath, main, this.#state, this.url];
    const { place } = this.#options;
    await rm(path.join(this.#state, 'c'), { force: true });
    const env = { ...process.env, ...this.#env };
    const child =
      place?.start(words, { env: this.#env }) ??
      spawn(process.execPath, words.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-65_536);
    });
    for (let waitedMs = 0; !said.includes('ready'); waitedMs += 10) {
      if (waitedMs > startMsMax || child.exitCode !== null) {
        throw new Error(`the server does not start: ${this.#errors}`);
      }
      await sleep(10);
    }
  }

  /** As the kernel would end it: nothing is said to anybody. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await killed(this.#child);
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#state, { recursive: true, force: true });
  }

  figures(): Promise<Figures> {
    return this.#ask({ figures: true }) as Promise<Figures>;
  }

  /** Runs a command of the state that must succeed; what it changed. */
  async execute(command: Command): Promise<readonly unknown[]> {
    const done = (await this.#ask({ command })) as { ok: boolean; value: { events: unknown[] } };
    if (!done.ok) throw new Error(JSON.stringify(done));
    return done.value.events;
  }

  async applyPolicy(policy: unknown): Promise<void> {
    const done = (await this.#ask({ policy: JSON.stringify(policy) })) as { ok: boolean };
    if (!done.ok) throw new Error(JSON.stringify(done));
  }

  async createKey(options: KeyOptions = {}): Promise<string> {
    const secret = `tskey-auth-k${randomBytes(6).toString('hex')}CNTRL-${randomBytes(24).toString('hex')}`;
    const { tags = [], login } = options;
    await this.execute({
      kind: 'preauthkey.create',
      digest: createHash('sha256').update(secret).digest('hex'),
      hint: secret.slice(0, 16),
      ...(tags.length > 0 ? {} : { login: login ?? 'alice@example.com' }),
      tags,
      reusable: options.reusable ?? true,
      ephemeral: options.ephemeral ?? false,
      preApproved: options.preApproved ?? true,
      lifeMs: options.lifeMs ?? hour,
    });
    return secret;
  }

  #ask(body: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const asked = request(
        { socketPath: path.join(this.#state, 'c'), method: 'POST', agent: false },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => {
            if (response.statusCode === 200) resolve(JSON.parse(text));
            else reject(new Error(text));
          });
        },
      );
      asked.on('error', reject);
      asked.end(JSON.stringify(body));
    });
  }
}
