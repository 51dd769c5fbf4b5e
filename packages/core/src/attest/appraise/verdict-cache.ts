import { assert } from '../../base/assert.ts';
import type { Verdict } from './policy.ts';

/** Verdicts that are kept. At about 1 kB each this is some 10 MB. */
export const verdictsMaxDefault = 10_000;

/**
 * Accepted verdicts by certificate, so that a reconnect costs a hash and a look-up. A verdict is void when
 * anything that it rests on ends, or when the policy has a newer generation. Refusals are not kept: a
 * stranger can make certificates without end, and must not push out peers. The least recently used
 * verdict goes first.
 */
export class VerdictCache {
  readonly #verdictsMax: number;
  readonly #verdicts = new Map<string, Verdict>();

  constructor(verdictsMax: number = verdictsMaxDefault) {
    assert(verdictsMax > 0, 'a cache holds at least one verdict');
    this.#verdictsMax = verdictsMax;
  }

  get size(): number {
    return this.#verdicts.size;
  }

  /** The verdict for a key that names a certificate (its SHA-256 and use), if it still holds. */
  get(
    key: string,
    at: { readonly generation: number; readonly nowMs: number },
  ): Verdict | undefined {
    const verdict = this.#verdicts.get(key);
    if (verdict === undefined) return undefined;
    this.#verdicts.delete(key);
    if (verdict.policyGeneration !== at.generation || at.nowMs >= verdict.expiresAtMs) {
      return undefined;
    }
    this.#verdicts.set(key, verdict);
    return verdict;
  }

  put(key: string, verdict: Verdict): void {
    if (!verdict.accepted) return;
    this.#verdicts.delete(key);
    this.#verdicts.set(key, verdict);
    if (this.#verdicts.size <= this.#verdictsMax) return;
    const [oldest] = this.#verdicts.keys();
    if (oldest !== undefined) this.#verdicts.delete(oldest);
  }

  clear(): void {
    this.#verdicts.clear();
  }
}
