import { randomBytes } from 'node:crypto';
import { coordinationLimits } from '../limits.ts';

/** An SSH session that waits until its user shows that it is really them. */
export interface SshCheck {
  readonly id: string;
  /** Ids of the two nodes. */
  readonly source: string;
  readonly target: string;
  /** Id of the user who owns the source: only they can confirm. */
  readonly userId: string;
  readonly expiresAtMs: number;
}

/** Sessions that wait, and confirmations that still count. In memory: after a restart people confirm once more. */
export class SshChecks {
  readonly #waiting = new Map<string, SshCheck>();
  readonly #wakers = new Map<string, () => void>();
  /** When a user last confirmed from a machine. */
  readonly #confirmed = new Map<string, number>();

  isConfirmed(source: string, userId: string, withinMs: number, nowMs: number): boolean {
    const atMs = this.#confirmed.get(`${source} ${userId}`);
    return atMs !== undefined && nowMs - atMs < withinMs;
  }

  open(check: Omit<SshCheck, 'id' | 'expiresAtMs'>, nowMs: number): SshCheck {
    const known = [...this.#waiting.values()].find(
      ({ source, target, expiresAtMs }) =>
        source === check.source && target === check.target && nowMs < expiresAtMs,
    );
    if (known !== undefined) return known;
    const [first] = this.#waiting.keys();
    if (this.#waiting.size >= coordinationLimits.pendingMax && first !== undefined) {
      this.drop(first);
    }
    const opened: SshCheck = {
      ...check,
      id: randomBytes(16).toString('hex'),
      expiresAtMs: nowMs + coordinationLimits.followUpMsMax,
    };
    this.#waiting.set(opened.id, opened);
    return opened;
  }

  get(id: string, nowMs: number): SshCheck | undefined {
    const check = this.#waiting.get(id);
    return check !== undefined && nowMs < check.expiresAtMs ? check : undefined;
  }

  /** The user of a check signed in. */
  confirm(check: SshCheck, nowMs: number): void {
    if (this.#confirmed.size >= coordinationLimits.sourcesMax) this.#confirmed.clear();
    this.#confirmed.set(`${check.source} ${check.userId}`, nowMs);
    this.drop(check.id);
  }

  drop(id: string): void {
    this.#waiting.delete(id);
    this.#wakers.get(id)?.();
    this.#wakers.delete(id);
  }

  /** Resolves when it is confirmed, when the server that asks leaves, or when it is over. */
  async wait(check: SshCheck, signal: AbortSignal, nowMs: number): Promise<void> {
    if (!this.#waiting.has(check.id)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakers.set(check.id, resolve);
    const timer = setTimeout(resolve, Math.max(0, check.expiresAtMs - nowMs)).unref();
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
  }
}
