import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { addrBytes, isV4, parseAddr, unmap } from '@postern/core/base/netip';
import { toHex } from '@postern/core/base';

/** Bad credentials that one source may send before it is told to wait: far above any mistake, far below a search. */
const failuresMax = 1_000;
/** How fast a source's count falls back to zero. */
const drainMs = 600_000;
/** Sources remembered at once; the one that failed longest ago goes first. A source is about 100 bytes. */
const sourcesMax = 20_000;

/**
 * Counts bad credentials by source and answers `rate_limited` beyond a limit. A good credential is never counted
 * and never refused here, so nobody is locked out by the failures of a neighbour behind the same address.
 */
export class FailureLimit {
  readonly #levels = new Map<string, { level: number; atMs: number }>();

  /** Records one failure; the refusal to give instead of the credential's own, once the source is over its limit. */
  failed(source: string, nowMs: number): Refusal | undefined {
    const known = this.#levels.get(source) ?? { level: 0, atMs: nowMs };
    const quietMs = Math.max(0, nowMs - known.atMs);
    const drained = Math.max(0, known.level - (quietMs * failuresMax) / drainMs);
    const isOver = drained + 1 > failuresMax;
    this.#levels.delete(source);
    this.#levels.set(source, { level: isOver ? drained : drained + 1, atMs: nowMs });
    if (this.#levels.size > sourcesMax) this.#forgetOldest();
    if (!isOver) return undefined;
    return refusal(
      'rate_limited',
      'Too many bad credentials came from your address. Correct the key before you try again.',
      { retryAfterMs: Math.ceil(drainMs / failuresMax) },
    );
  }

  #forgetOldest(): void {
    // A Map iterates in order of insertion, and every failure inserts anew.
    for (const oldest of this.#levels.keys()) {
      this.#levels.delete(oldest);
      return;
    }
  }
}

/** One IPv4 address, or the /64 that one IPv6 host has to itself; anything else is its own text. */
export function sourceOf(address: string): string {
  const parsed = parseAddr(address);
  if (!parsed.ok) return address;
  const addr = unmap(parsed.value);
  return isV4(addr) ? toHex(addrBytes(addr)) : toHex(addrBytes(addr).subarray(0, 8));
}
