import { randomBytes } from 'node:crypto';
import { coordinationLimits } from '../limits.ts';
import type { Hostinfo } from '../protocol/hostinfo.ts';

/** A machine that waits until a person lets it in. */
export interface PendingJoin {
  /** 128 random bits: whoever has the link may look at it, and let the machine in as themselves. */
  readonly id: string;
  readonly machineKey: string;
  readonly nodeKey: string;
  readonly hostinfo: Hostinfo | undefined;
  readonly ephemeral: boolean;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** Sign-ins under way, bounded; they do not survive a restart, since clients simply ask again. */
export class PendingJoins {
  readonly #byId = new Map<string, PendingJoin>();
  readonly #settled = new Map<string, Set<() => void>>();

  get size(): number {
    return this.#byId.size;
  }

  /** The request of a machine for a node key, one for each: asking again gives the same link. */
  open(join: Omit<PendingJoin, 'id' | 'createdAtMs' | 'expiresAtMs'>, nowMs: number): PendingJoin {
    this.#forgetOld(nowMs);
    const own = [...this.#byId.values()].filter(({ machineKey }) => machineKey === join.machineKey);
    const known = own.find(({ nodeKey }) => nodeKey === join.nodeKey);
    if (known !== undefined) return known;
    const [oldest] = own;
    if (own.length >= coordinationLimits.pendingPerMachine && oldest !== undefined) {
      this.drop(oldest.id);
    }
    if (this.#byId.size >= coordinationLimits.pendingMax) {
      const [first] = this.#byId.keys();
      if (first !== undefined) this.drop(first);
    }
    const pending: PendingJoin = {
      ...join,
      id: randomBytes(16).toString('hex'),
      createdAtMs: nowMs,
      expiresAtMs: nowMs + coordinationLimits.pendingMsMax,
    };
    this.#byId.set(pending.id, pending);
    return pending;
  }

  get(id: string, nowMs: number): PendingJoin | undefined {
    const pending = this.#byId.get(id);
    return pending !== undefined && nowMs < pending.expiresAtMs ? pending : undefined;
  }

  list(nowMs: number): readonly PendingJoin[] {
    this.#forgetOld(nowMs);
    return [...this.#byId.values()];
  }

  /** It was decided, or is forgotten: whoever waits for it looks again. */
  drop(id: string): void {
    this.#byId.delete(id);
    const waiting = this.#settled.get(id) ?? [];
    this.#settled.delete(id);
    for (const wake of waiting) wake();
  }

  clear(): void {
    for (const id of this.#byId.keys()) this.drop(id);
  }

  /** Resolves when it is decided, when the client leaves, or after `followUpMsMax`. */
  async wait(id: string, signal: AbortSignal): Promise<void> {
    if (!this.#byId.has(id) || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#settled.get(id) ?? new Set();
    this.#settled.set(id, waiting.add(resolve));
    const timer = setTimeout(resolve, coordinationLimits.followUpMsMax).unref();
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
    waiting.delete(resolve);
  }

  #forgetOld(nowMs: number): void {
    for (const { id, expiresAtMs } of this.#byId.values()) {
      if (nowMs >= expiresAtMs) this.drop(id);
    }
  }
}
