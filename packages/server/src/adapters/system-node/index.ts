/**
 * @module Time, ids, randomness and SHA-256 of this machine, for the planes that take them as arguments.
 *
 * Promises: ids are ULIDs, never given out twice, sorted by time within a process even when the clock steps back.
 * Refuses: timers (their owners have those).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { System } from '../../control/system.ts';

export { returnStartMemory } from './start-memory.ts';

/** The real one. Tests have their own with a clock that they turn. */
export function createNodeSystem(): System {
  const newId = ulidSource(Date.now, randomBytes);
  return {
    nowMs: Date.now,
    newId,
    sha256Hex: (text) => createHash('sha256').update(text, 'utf8').digest('hex'),
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
  };
}

/** Crockford's base32 in lower case: no i, l, o, u. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * ULIDs: 48 bits of milliseconds and 80 random bits, 26 characters. Within one millisecond, and while the clock is
 * behind what it was, the random part counts up, as the ULID specification has it.
 */
export function ulidSource(
  nowMs: () => number,
  random: (count: number) => Uint8Array,
): () => string {
  let lastMs = -1;
  let entropy = 0n;
  return () => {
    const now = nowMs();
    if (now > lastMs) {
      lastMs = now;
      // The top bit stays clear, so that counting up never runs over.
      entropy = BigInt(`0x${Buffer.from(random(10)).toString('hex')}`) >> 1n;
    } else {
      entropy += 1n;
    }
    return base32(BigInt(lastMs), 10) + base32(entropy, 16);
  };
}

function base32(value: bigint, digits: number): string {
  let rest = value;
  let text = '';
  for (let i = 0; i < digits; i += 1) {
    text = alphabet.charAt(Number(rest & 31n)) + text;
    rest >>= 5n;
  }
  return text;
}
