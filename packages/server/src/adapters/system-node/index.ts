/**
 * @module Time, ids, randomness and SHA-256 of this machine, for the planes that take them as arguments.
 *
 * Promises: ids are ULIDs, never given out twice, sorted by time within a process even when the clock steps back.
 * Memory of the process goes back after the start, and when a gateway has been quiet for minutes.
 * Refuses: timers (their owners have those).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { System } from '../../control/system.ts';
import { turnClock } from '../../http/index.ts';

export { returnMemoryWhenQuiet } from './quiet-memory.ts';
export { returnStartMemory } from './start-memory.ts';

/** The real one. Tests have their own with a clock that they turn. */
export function createNodeSystem(): System {
  const nowMs = turnClock(Date.now);
  return {
    nowMs,
    newId: ulidSource(nowMs, randomBytes),
    sha256Hex: (text) => createHash('sha256').update(text, 'utf8').digest('hex'),
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
  };
}

/** Crockford's base32 in lower case: no i, l, o, u. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
/** Two digits at a time. */
const pairs = Array.from(alphabet).flatMap((high) => Array.from(alphabet, (low) => high + low));
const pairsIn20 = 1_024;
const two20 = 1_048_576;
const two32 = 4_294_967_296;
const two40 = 1_099_511_627_776;
const entropyBytes = 10;
/** Random bytes are asked for in this many ids' worth: the call costs more than the bytes. */
const idsAhead = 64;

/**
 * ULIDs: 48 bits of milliseconds and 80 random bits, 26 characters. Within one millisecond, and while the clock is
 * behind what it was, the random part counts up, as the ULID specification has it. Numbers of 40 bits, because larger
 * ones cost ten times as much.
 */
export function ulidSource(
  nowMs: () => number,
  random: (count: number) => Uint8Array,
): () => string {
  let lastMs = -1;
  let time = '';
  let high = 0;
  let low = 0;
  /** All but the last two digits, which are what mostly changes. */
  let start = '';
  let ahead: Uint8Array = new Uint8Array(0);
  let at = 0;
  const fresh = (): void => {
    if (at >= ahead.length) {
      ahead = random(entropyBytes * idsAhead);
      at = 0;
    }
    // The top bit stays clear, so that counting up never runs over.
    high = number40(ahead, at) % (two40 / 2);
    low = number40(ahead, at + entropyBytes / 2);
    at += entropyBytes;
  };
  const begin = (): void => {
    start = time + digits(high) + digits(low).slice(0, -2);
  };
  return () => {
    const now = nowMs();
    if (now > lastMs) {
      lastMs = now;
      time = digits(Math.floor(now / two40)).slice(-2) + digits(now % two40);
      fresh();
      begin();
    } else if (low + 1 < two40) {
      low += 1;
      if (low % pairsIn20 === 0) begin();
    } else {
      low = 0;
      high += 1;
      begin();
    }
    return start + (pairs[low % pairsIn20] ?? '');
  };
}

function number40(bytes: Uint8Array, at: number): number {
  // By index: taking a view apart costs an iterator and an object for each byte.
  const byte = (offset: number): number => bytes[at + offset] ?? 0;
  const low = (byte(1) << 24) | (byte(2) << 16) | (byte(3) << 8) | byte(4);
  return byte(0) * two32 + (low >>> 0);
}

/** Eight digits of a number below 2^40. */
function digits(value: number): string {
  const high = Math.floor(value / two20);
  const low = value % two20;
  return pair(high) + pair(low);
}

function pair(value: number): string {
  return `${pairs[Math.floor(value / pairsIn20)] ?? ''}${pairs[value % pairsIn20] ?? ''}`;
}
