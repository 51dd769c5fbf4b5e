import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { killed, type Place, type Said } from './lab.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const model = path.join(import.meta.dirname, 'model-main.ts');

export interface JoinedOptions {
  readonly server: string;
  readonly token: string;
  readonly type?: string;
  readonly words?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

interface JoinedEvent {
  readonly event: string;
  readonly message: string;
  readonly [name: string]: unknown;
}

/** A box with a model on loopback and a `postern join` beside it. */
export class JoinedNode {
  readonly place: Place;
  readonly stateDir: string;
  readonly #options: JoinedOptions;
  #join: ChildProcess | undefined;
  #model: ChildProcess | undefined;
  #out = '';
  #err = '';

  private constructor(place: Place, stateDir: string, options: JoinedOptions) {
    this.place = place;
    this.stateDir = stateDir;
    this.#options = options;
  }

  static async prepare(place: Place, options: JoinedOptions): Promise<JoinedNode> {
    const stateDir = await mkdtemp('/tmp/pj-');
    await writeFile(path.join(stateDir, 'key'), options.token, { mode: 0o600 });
    return new JoinedNode(place, stateDir, options);
  }

  get said(): string {
    return this.#out + this.#err;
  }

  get events(): readonly JoinedEvent[] {
    return this.#out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as JoinedEvent);
  }

  get folder(): string {
    return path.join(this.stateDir, 'shared');
  }

  async startModel(): Promise<void> {
    const child = this.place.start([process.execPath, model, this.place.name]);
    this.#model = child;
    await new Promise<void>((done) => child.stdout?.once('data', () => done()));
  }

  async stopModel(): Promise<void> {
    if (this.#model !== undefined) await killed(this.#model);
  }

  start(): void {
    const { server, type = 'instant', words = [], env = {} } = this.#options;
    const flags = ['--server', server, '--name', this.place.name, '--type', type];
    const more = ['--backend', '127.0.0.1:8000', '--token-file', path.join(this.stateDir, 'key')];
    const child = this.place.start(
      [
        process.execPath,
        main,
        '--json',
        'join',
        ...flags,
        ...more,
        '--status-folder',
        this.folder,
        ...words,
      ],
      { env: { POSTERN_STATE: this.stateDir, TS_PANIC_IF_HIT_MAIN_CONTROL: '1', ...env } },
    );
    this.#join = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#out += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#err += text));
  }

  /** Waits until it says that it has joined, after what it has said already; in ms. */
  async joined(withinMs = 40_000, since = 0): Promise<JoinedEvent> {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const event = this.events.slice(since).find(({ event: kind }) => kind === 'joined');
      if (event !== undefined) return event;
      if (performance.now() > endMs || this.#join?.exitCode !== null) {
        throw new Error(`${this.place.name} has not joined: ${this.said}`);
      }
      await sleep(20);
    }
  }

  /** Everything dies at once, as when the power goes. */
  async kill(): Promise<void> {
    if (this.#join !== undefined) await killed(this.#join);
  }

  /** In order, as a service manager ends it. */
  async stop(): Promise<number | null> {
    const child = this.#join;
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    const exit = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill('SIGTERM');
    await Promise.race([exit, sleep(10_000)]);
    await killed(child);
    return child.exitCode;
  }

  async ended(): Promise<number | null> {
    const child = this.#join;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      await new Promise<void>((done) => child.once('exit', () => done()));
    }
    return child?.exitCode ?? null;
  }

  cli(...words: string[]): Promise<Said> {
    const env = ['env', `POSTERN_STATE=${this.stateDir}`];
    const path_ = `PATH=${this.#options.env?.['PATH'] ?? process.env['PATH'] ?? ''}`;
    return this.place.run([...env, path_, process.execPath, main, ...words], 90_000);
  }

  async close(): Promise<void> {
    await this.stop();
    await this.stopModel();
    await rm(this.stateDir, { recursive: true, force: true, maxRetries: 5 });
  }
}
