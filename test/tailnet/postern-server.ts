import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { ControlClient } from '../../packages/postern/src/client/index.ts';
import { freePort } from '../fakes/free-port.ts';
import { killed, type Place, type Said } from './lab.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const startMsMax = 30_000;

export interface KeyOptions {
  readonly login?: string;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  readonly preApproved?: boolean;
  readonly lifeMs?: number;
}

export interface ServerOptions {
  /** Where it runs and listens, if not on loopback here. */
  readonly place?: Place;
  /** The `engine` object of the configuration. */
  readonly engine?: JsonObject;
  /** What else the configuration says. */
  readonly config?: JsonObject;
  /** Relay and STUN are off, for servers on loopback by the dozen. */
  readonly withoutRelay?: boolean;
  /** Where the relay listens, on loopback; STUN is off then. */
  readonly derpPort?: number;
  /** A proxy at the place's address speaks TLS for it; it listens on loopback there. */
  readonly isProxied?: boolean;
  /** Where it listens behind a proxy; 8090 without a word. */
  readonly proxiedPort?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A `postern up --url …` of ours as a process: it may be killed and started again on the same state. */
export class PosternServer {
  readonly url: string;
  readonly stateDir: string;
  readonly #options: ServerOptions;
  readonly #env: Readonly<Record<string, string>>;
  readonly #client: ControlClient;
  #child: ChildProcess | undefined;
  #said = '';

  private constructor(state: string, host: string, options: ServerOptions) {
    this.stateDir = state;
    const { place, isProxied = false } = options;
    this.url = isProxied && place !== undefined ? `https://${place.address}` : `http://${host}`;
    this.#options = options;
    this.#client = new ControlClient(state);
    const off = { POSTERN_STUN_ADDR: 'off', POSTERN_DERP_ADDR: 'off' };
    this.#env = {
      POSTERN_STATE: state,
      POSTERN_ADMIN_ADDR: '127.0.0.1:0',
      PORT: '0',
      POSTERN_JOIN: 'off',
      POSTERN_COORDINATION_ADDR: isProxied ? `127.0.0.1:${options.proxiedPort ?? 8_090}` : host,
      ...(isProxied && place !== undefined ? { POSTERN_STUN_ADDR: `${place.address}:3478` } : {}),
      NODE_COMPILE_CACHE: path.join(tmpdir(), 'postern-tailnet-compiled'),
      ...(options.withoutRelay === true ? off : {}),
      ...(options.derpPort === undefined
        ? {}
        : { ...off, POSTERN_DERP_ADDR: `127.0.0.1:${options.derpPort}` }),
      ...options.env,
    };
  }

  static async start(options: ServerOptions = {}): Promise<PosternServer> {
    const state = await mkdtemp(path.join(tmpdir(), 'ps-'));
    const { place } = options;
    const host = place === undefined ? `127.0.0.1:${await freePort()}` : `${place.address}:8090`;
    const server = new PosternServer(state, host, options);
    await server.boot();
    return server;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it has said lately. */
  get errors(): string {
    return this.#said;
  }

  async boot(): Promise<void> {
    const { place, engine = {}, config = {} } = this.#options;
    const file = path.join(this.stateDir, 'postern.hujson');
    await writeFile(file, JSON.stringify({ ...config, engine }), { mode: 0o600 });
    const words = [main, 'up', '--url', this.url, '--log', 'json', '--log-level', 'warn'];
    const env = { ...process.env, ...this.#env };
    const child =
      place?.start([process.execPath, ...words], { env: this.#env }) ??
      spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    const hear = (text: string): void => {
      this.#said = (this.#said + text).slice(-65_536);
    };
    this.#said = '';
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', hear);
    for (let waitedMs = 0; !this.#said.includes('Postern is up.'); waitedMs += 10) {
      if (waitedMs > startMsMax || child.exitCode !== null) {
        throw new Error(`postern up does not start: ${this.#said}`);
      }
      await sleep(10);
    }
  }

  /** As the kernel would end it: nothing is said to anybody. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await killed(this.#child);
  }

  /** Everything that it knows is lost, but its configuration and, if so, the key by which machines know it. */
  async lose({ withKey }: { readonly withKey: boolean }): Promise<void> {
    const kept = path.join(this.stateDir, 'coordination', 'control.key');
    const key = withKey ? await readFile(kept) : undefined;
    for (const name of await readdir(this.stateDir)) {
      await rm(path.join(this.stateDir, name), { recursive: true, force: true, maxRetries: 5 });
    }
    if (key === undefined) return;
    await mkdir(path.dirname(kept), { recursive: true, mode: 0o700 });
    await writeFile(kept, key, { mode: 0o600 });
  }

  /** The command line of this server. */
  cli(...words: string[]): Promise<Said> {
    return new Promise((resolve) => {
      const env = { ...process.env, ...this.#env };
      execFile(process.execPath, [main, ...words], { env }, (cause, out, problem) => {
        resolve({ code: cause === null ? 0 : 1, out, err: problem });
      });
    });
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.stateDir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Machines that follow their map now. */
  async streams(): Promise<number> {
    const { streams } = await this.ask('GET', '/network');
    return typeof streams === 'number' ? streams : 0;
  }

  /** What the command line asks the running process, over its control socket. */
  async ask(method: 'GET' | 'POST' | 'DELETE', at: string, body?: JsonValue): Promise<JsonObject> {
    const call = { method, path: `/api/v1${at}`, ...(body === undefined ? {} : { body }) };
    const done = await this.#client.json(call);
    if (!done.ok) throw new Error(`${method} ${at}: ${done.error.message}`);
    return isJsonObject(done.value) ? done.value : {};
  }

  /** Puts a policy in force as its owner would: a plan, approved for what it risks, and applied without a trial. */
  async applyPolicy(policy: unknown): Promise<void> {
    const { base } = await this.ask('GET', '/policy');
    const text = JSON.stringify(policy);
    const said = await this.ask('POST', '/policy/plans', { text, base: base ?? 'none' });
    const { verdict, plan } = said;
    const id = plan !== null && plan !== undefined && isJsonObject(plan) ? plan['id'] : undefined;
    if (typeof id !== 'string') throw new Error(`the policy is refused: ${JSON.stringify(said)}`);
    if (verdict === 'approval') await this.ask('POST', `/policy/plans/${id}/approve`);
    await this.ask('POST', '/policy/apply', { plan: id, confirm_within_s: 0 });
  }

  async createKey(options: KeyOptions = {}): Promise<string> {
    const { tags = [], login = 'alice@example.com', lifeMs } = options;
    const { secret } = await this.ask('POST', '/network/keys', {
      ...(tags.length > 0 ? { tags: [...tags] } : { user: login }),
      reusable: options.reusable ?? true,
      ephemeral: options.ephemeral ?? false,
      pre_approved: options.preApproved ?? true,
      ...(lifeMs === undefined ? {} : { lifetime_seconds: Math.ceil(lifeMs / 1_000) }),
    });
    if (typeof secret !== 'string') throw new Error('no key');
    return secret;
  }

  renameNode(id: string, name: string): Promise<JsonObject> {
    return this.ask('POST', `/nodes/${id}/rename`, { name });
  }

  routeNode(id: string, approved: readonly string[]): Promise<JsonObject> {
    return this.ask('POST', `/nodes/${id}/routes`, { approved: [...approved] });
  }
}
