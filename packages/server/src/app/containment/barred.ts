import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Addr, Prefix } from '@postern/core/base/netip';
import { parseAddr, parsePrefix, prefixContains, unmap } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import { principalKey } from '@postern/core/identity';
import type { ContainmentState } from '@postern/core/state';
import { emptyContainment, isBlockOver, principalBlock } from '@postern/core/state';

interface BarredPrefix {
  readonly prefix: Prefix;
  readonly endMs: number;
}

/** Who is kept out now, in the form in which connections and requests are held against it. */
export class Barred {
  #state: ContainmentState = emptyContainment;
  #prefixes: readonly BarredPrefix[] = [];

  take(state: ContainmentState): void {
    this.#state = state;
    this.#prefixes = [...state.blocksById.values()].flatMap(({ target, expiresAtMs }) => {
      if (target.by !== 'address') return [];
      const prefix = parsePrefix(target.prefix);
      return prefix.ok
        ? [{ prefix: prefix.value, endMs: expiresAtMs ?? Number.POSITIVE_INFINITY }]
        : [];
    });
  }

  /** Whether anybody is kept out at all: without it nothing else has to be asked. */
  get isIdle(): boolean {
    return this.#state.blocksById.size === 0;
  }

  address(text: string | undefined, nowMs: number): boolean {
    if (this.#prefixes.length === 0 || text === undefined) return false;
    const parsed = parseAddr(text);
    return parsed.ok && this.#covers(unmap(parsed.value), nowMs);
  }

  #covers(address: Addr, nowMs: number): boolean {
    return this.#prefixes.some(
      ({ prefix, endMs }) => nowMs < endMs && prefixContains(prefix, address),
    );
  }

  /** Refuses a caller whose subject, or who carries it, is kept out. */
  caller({ subject, via }: Caller, nowMs: number): Result<void, Refusal> {
    for (const principal of via === undefined ? [subject] : [subject, via]) {
      const block = principalBlock(this.#state, principalKey(principal), nowMs);
      if (block !== undefined && !isBlockOver(block, nowMs)) return refuseBarred();
    }
    return ok(undefined);
  }
}

export function refuseBarred(): Result<never, Refusal> {
  return refuse(
    'access_denied',
    'An operator blocked this caller. Whoever runs this Postern sees why with `postern incident blocks`.',
  );
}
