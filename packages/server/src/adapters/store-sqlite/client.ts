import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { LeaseStore } from '../../control/registry/ports.ts';
import type { Store, StoreFailure } from '../../control/store.ts';
import type { BankFailure, SliceBank } from '../../gateway/money/bank.ts';
import type { Answer, BankMethod, Call, Method, MoneySource, WorkerSettings } from './protocol.ts';

type Settle = (result: Result<unknown, StoreFailure>) => void;

/** A running worker and the calls that wait for it. */
interface Link {
  readonly worker: Worker;
  readonly waiting: Map<number, Settle>;
  lost: StoreFailure | undefined;
}

/**
 * The database behind a worker thread. Where the thread dies, its calls fail as `unavailable` and the next call starts
 * another one. The thread keeps the process alive only while a call waits.
 */
export class SqliteClient {
  readonly #settings: WorkerSettings;
  #link: Promise<Result<Link, StoreFailure>>;
  #closed = false;
  #lastId = 0;

  private constructor(settings: WorkerSettings, link: Link) {
    this.#settings = settings;
    this.#link = Promise.resolve(ok(link));
  }

  static async open(settings: WorkerSettings): Promise<Result<SqliteClient, StoreFailure>> {
    const link = await startWorker(settings);
    return link.ok ? ok(new SqliteClient(settings, link.value)) : link;
  }

  /** The answer of the worker to one method of `Store`. */
  call<M extends Exclude<keyof Store, 'close'>>(
    method: M,
    ...args: Parameters<Store[M]>
  ): ReturnType<Store[M]> {
    // The worker answers a method with the value of its type; structured cloning keeps plain values as they are.
    return this.#ask(method, args) as ReturnType<Store[M]>;
  }

  /** The same for a method of `SliceBank`, whose failures are fewer. */
  async bank<M extends BankMethod>(
    method: M,
    ...args: Parameters<SliceBank[M]>
  ): Promise<Awaited<ReturnType<SliceBank[M]>>> {
    const answer = await this.#ask(method, args);
    const result = answer.ok ? answer : err(bankFailure(answer.error, this.#closed));
    // As above.
    return result as Awaited<ReturnType<SliceBank[M]>>;
  }

  /** The same for the leases of the registry. */
  lease<M extends keyof LeaseStore>(
    method: M,
    ...args: Parameters<LeaseStore[M]>
  ): ReturnType<LeaseStore[M]> {
    // As above.
    return this.#ask(method, args) as ReturnType<LeaseStore[M]>;
  }

  moneyPage(page: number): ReturnType<MoneySource['moneyPage']> {
    // As above.
    return this.#ask('moneyPage', [page]) as ReturnType<MoneySource['moneyPage']>;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const last = this.#ask('close', []);
    this.#closed = true;
    await last;
    const link = await this.#link;
    if (link.ok) await link.value.worker.terminate();
  }

  async #ask(method: Method, args: readonly unknown[]): Promise<Result<unknown, StoreFailure>> {
    if (this.#closed) return err(gone('it was closed'));
    const link = await this.#connected();
    if (!link.ok) return link;
    const { worker, waiting } = link.value;
    this.#lastId += 1;
    const call: Call = { id: this.#lastId, method, args };
    const answer = new Promise<Result<unknown, StoreFailure>>((settle) => {
      waiting.set(call.id, settle);
    });
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(call);
    const result = await answer;
    if (waiting.size === 0) worker.unref();
    return result;
  }

  async #connected(): Promise<Result<Link, StoreFailure>> {
    const current = this.#link;
    const link = await current;
    if (link.ok && link.value.lost === undefined) return link;
    // Several calls may find the thread gone; the first of them starts the next one for all.
    if (this.#link === current) this.#link = startWorker(this.#settings);
    return this.#link;
  }
}

async function startWorker(settings: WorkerSettings): Promise<Result<Link, StoreFailure>> {
  // Beside this file in whichever form it runs: stripped TypeScript from a checkout, JavaScript from a package.
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
  const worker = new Worker(new URL(file, import.meta.url), { workerData: settings });
  const link: Link = { worker, waiting: new Map(), lost: undefined };
  const opened = new Promise<Result<unknown, StoreFailure>>((settle) => {
    link.waiting.set(0, settle);
  });
  worker.on('message', ({ id, result }: Answer) => {
    const settle = link.waiting.get(id);
    link.waiting.delete(id);
    settle?.(result);
  });
  const lose = (why: string): void => {
    link.lost ??= gone(why);
    for (const settle of link.waiting.values()) settle(err(link.lost));
    link.waiting.clear();
  };
  worker.on('error', (cause) => lose(messageOf(cause)));
  worker.on('exit', () => lose('its thread ended'));
  const start = await opened;
  if (!start.ok) {
    if (link.lost === undefined) await Promise.all([once(worker, 'exit'), worker.terminate()]);
    return start;
  }
  worker.unref();
  return ok(link);
}

function gone(why: string): StoreFailure {
  return { kind: 'unavailable', message: `The state store is not running: ${why}.` };
}

function bankFailure({ kind, message }: StoreFailure, isClosed: boolean): BankFailure {
  if (isClosed) return { kind: 'closed', message };
  return { kind: kind === 'full' || kind === 'corrupt' ? kind : 'unavailable', message };
}
