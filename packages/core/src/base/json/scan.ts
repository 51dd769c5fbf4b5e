import type { JsonLimits } from './limits.ts';
import { problemAt } from './problem.ts';
import type { JsonProblem } from './problem.ts';

/** What the scan counted; `keys` counts every member that is written, duplicates too. */
export interface ScanCounts {
  readonly keys: number;
}

/** Strings up to this many bytes are walked by hand: below it the native search costs more than it saves. */
const nearBytes = 48;

/**
 * One pass over the structure: holds every limit before anything is built. It reads brackets, colons, commas,
 * strings and numbers, and leaves the grammar to the native parser, which is exact about it.
 */
export function scanLimits(bytes: Uint8Array, limits: JsonLimits): ScanCounts | JsonProblem {
  const keysAt: number[] = [];
  let depth = 0;
  let keys = 0;
  let values = 1;
  const length = bytes.length;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x22) {
      const end = stringEnd(bytes, at + 1);
      if (end - at - 1 > limits.stringBytesMax) {
        const what = `A string is longer than ${limits.stringBytesMax} bytes`;
        return problemAt(bytes, at, 'string_too_long', what);
      }
      at = end;
    } else if (byte === 0x3a) {
      keys += 1;
      const count = (keysAt[depth] ?? 0) + 1;
      keysAt[depth] = count;
      if (count > limits.keysPerObjectMax) {
        const what = `An object has more than ${limits.keysPerObjectMax} members`;
        return problemAt(bytes, at, 'too_many_keys', what);
      }
    } else if (byte === 0x2c) {
      values += 1;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      values += 1;
      keysAt[depth] = 0;
      if (depth > limits.depthMax) {
        const what = `Arrays and objects are nested deeper than ${limits.depthMax}`;
        return problemAt(bytes, at, 'too_deep', what);
      }
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
    } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
      const end = numberEnd(bytes, at + 1);
      if (end - at > limits.numberCharsMax) {
        const what = `A number is longer than ${limits.numberCharsMax} characters`;
        return problemAt(bytes, at, 'number_too_long', what);
      }
      at = end - 1;
    }
    if (values > limits.valuesMax) {
      const what = `The text holds more than ${limits.valuesMax} values`;
      return problemAt(bytes, at, 'too_many_values', what);
    }
  }
  return { keys };
}

/** The offset of the closing quote of a string whose content begins at `from`, or the length where there is none. */
export function stringEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const near = Math.min(bytes.length, at + nearBytes);
    while (at < near) {
      const byte = bytes[at];
      if (byte === 0x22) return at;
      at += byte === 0x5c ? 2 : 1;
    }
    const quote = bytes.indexOf(0x22, at);
    if (quote < 0) return bytes.length;
    let slashes = 0;
    while (quote - slashes > at && bytes[quote - slashes - 1] === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
}

function numberEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    const isPart =
      (byte >= 0x30 && byte <= 0x39) ||
      byte === 0x2e ||
      byte === 0x2b ||
      byte === 0x2d ||
      (byte | 0x20) === 0x65;
    if (!isPart) break;
  }
  return at;
}
