import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import process from 'node:process';
import { createInterface, type Interface } from 'node:readline';
import type { Place } from './lab.ts';

const main = path.resolve(import.meta.dirname, 'driver/load-main.ts');

export interface JoinTimes {
  readonly joinedMs: number;
  readonly allSeeAllMs: number;
  /** Streams that the server ended by itself. */
  readonly reconnects: number;
  /** Machines that did not see all when the time was over. */
  readonly behind: number;
}

/** Pretended machines in a process of their own, on one control server. */
export class Load {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #died: Promise<readonly string[]>;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
    this.#died = once(child, 'exit').then(() => ['{"error":"the load generator died"}']);
  }

  static start(place?: Place): Load {
    const child =
      place?.start([process.execPath, main], { input: true }) ??
      spawn(process.execPath, [main], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.stdout === null) throw new Error('no output');
    return new Load(child, createInterface({ input: child.stdout }));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Joins so many machines; how long until the last had joined, and until all had seen all. */
  join(options: {
    readonly url: string;
    readonly key: string;
    readonly count: number;
    readonly atOnce: number;
    readonly withinMs?: number;
  }): Promise<JoinTimes> {
    return this.#ask({ do: 'join', ...options });
  }

  /** One machine moves; how long until the last other has seen it, and how many have not when the time is over. */
  change(
    index: number,
    withinMs = 30_000,
  ): Promise<{ readonly allMs: number; readonly missed: number }> {
    return this.#ask({ do: 'change', index, withinMs });
  }

  /** Everybody loses the connection and comes back, so many at a time. */
  rejoin({
    atOnce,
    withinMs = 300_000,
  }: {
    readonly atOnce: number;
    readonly withinMs?: number;
  }): Promise<Pick<JoinTimes, 'allSeeAllMs' | 'behind'>> {
    return this.#ask({ do: 'rejoin', atOnce, withinMs });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  async #ask<T>(command: Readonly<Record<string, unknown>>): Promise<T> {
    const answer = Promise.race([once(this.#lines, 'line'), this.#died]);
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    const [line] = (await answer) as [string];
    const value = JSON.parse(line) as T & { readonly error?: string };
    if (value.error !== undefined) throw new Error(value.error);
    return value;
  }
}
