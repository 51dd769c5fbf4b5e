import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ended } from '../e2e/process.ts';
import { cli } from '../e2e/process.ts';
import type { Place } from '../tailnet/lab.ts';
import { killed } from '../tailnet/lab.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const startMsMax = 30_000;

/** A whole Postern in a place of the lab, on a network that others coordinate. */
export class PosternIn {
  readonly stateDir: string;
  readonly #child: ChildProcess;
  #said = '';

  private constructor(child: ChildProcess, stateDir: string) {
    this.#child = child;
    this.stateDir = stateDir;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    }
  }

  static async start(
    place: Place,
    options: {
      readonly config: Readonly<Record<string, unknown>>;
      readonly policy: string;
      readonly env: Readonly<Record<string, string>>;
    },
  ): Promise<PosternIn> {
    const stateDir = await mkdtemp(path.join('/tmp', 'pe-'));
    const config = JSON.stringify(options.config);
    await writeFile(path.join(stateDir, 'postern.hujson'), config, { mode: 0o600 });
    await writeFile(path.join(stateDir, 'policy.hujson'), options.policy, { mode: 0o600 });
    const child = place.start([process.execPath, main, 'up', '--log', 'json'], {
      env: { POSTERN_STATE: stateDir, POSTERN_ADMIN_ADDR: '127.0.0.1:0', ...options.env },
    });
    const postern = new PosternIn(child, stateDir);
    for (let waitedMs = 0; !postern.said.includes('Postern is up.'); waitedMs += 20) {
      if (waitedMs > startMsMax || child.exitCode !== null) {
        throw new Error(`postern does not start: ${postern.said}`);
      }
      await sleep(20);
    }
    return postern;
  }

  /** All that it has said. */
  get said(): string {
    return this.#said;
  }

  cli(...words: string[]): Promise<Ended> {
    return cli(words, { stateDir: this.stateDir });
  }

  async close(): Promise<void> {
    this.#child.kill('SIGTERM');
    await Promise.race([
      new Promise((resolve) => {
        this.#child.once('exit', resolve);
      }),
      sleep(10_000),
    ]);
    await killed(this.#child);
    await rm(this.stateDir, { recursive: true, force: true, maxRetries: 5 });
  }
}
