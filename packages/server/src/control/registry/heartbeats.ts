import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Leases } from '@postern/core/registry';
import { storeRefusal } from '../committer.ts';
import type { LeaseStore } from './ports.ts';

/** Heartbeats that wait for the disk: two seconds of what one core writes. */
const waitingMax = 20_000;

type Settle = (result: Result<void, Refusal>) => void;

/**
 * Writes heartbeats. Those that gather while the disk is busy are one write, and nobody is answered before it is
 * durable: a lease that was promised is there after a crash.
 */
export class Heartbeats {
  readonly #store: LeaseStore;
  readonly #leases: Leases;
  #renewed = new Map<string, number>();
  #gone = new Set<string>();
  #waiting: Settle[] = [];
  #isWriting = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(store: LeaseStore, leases: Leases) {
    this.#store = store;
    this.#leases = leases;
  }

  renew(uuid: string, nowMs: number): Promise<Result<void, Refusal>> {
    if (this.#waiting.length >= waitingMax) {
      const message = `${waitingMax} heartbeats wait for the disk already.`;
      return Promise.resolve(refuse('overloaded', message, { retryAfterMs: 1_000 }));
    }
    this.#renewed.set(uuid, nowMs);
    this.#gone.delete(uuid);
    const written = new Promise<Result<void, Refusal>>((settle) => this.#waiting.push(settle));
    this.#wake();
    return written;
  }

  /** A lease that nobody needs any more. Should that not be written, the next start passes it over. */
  forget(uuids: readonly string[]): void {
    for (const uuid of uuids) {
      this.#leases.forget(uuid);
      this.#renewed.delete(uuid);
      this.#gone.add(uuid);
    }
    if (uuids.length > 0) this.#wake();
  }

  /** Resolves when everything that was asked for is written. */
  async drain(): Promise<void> {
    while (this.#isWriting) await this.#turn;
  }

  #wake(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#turn = this.#run();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 || this.#gone.size > 0) {
      const [renewed, gone, waiting] = [this.#renewed, this.#gone, this.#waiting];
      [this.#renewed, this.#gone, this.#waiting] = [new Map(), new Set(), []];
      const batch = {
        renewed: [...renewed].map(([uuid, renewedAtMs]) => ({ uuid, renewedAtMs })),
        gone: [...gone],
      };
      // oxlint-disable-next-line no-await-in-loop -- the next write has what gathered during this one
      const written = await this.#store.writeLeases(batch);
      if (written.ok) for (const [uuid, atMs] of renewed) this.#leases.renew(uuid, atMs);
      const answer = written.ok ? ok(undefined) : err(storeRefusal(written.error));
      for (const settle of waiting) settle(answer);
    }
    // In the same turn as the last look: whoever comes next begins another run.
    this.#isWriting = false;
  }
}
