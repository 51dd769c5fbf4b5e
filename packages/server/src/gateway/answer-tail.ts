import type { JsonObject } from '@postern/core/base';
import { isJsonObject, jsonAsParsed, standsAt } from '@postern/core/base';
import { bufferOf } from './buffer-of.ts';

/** Usage and the few short members that servers put behind it; 100 to 500 bytes with every provider that we know. */
const tailBytesMax = 1_024;
const backslash = 0x5c;
const colon = 0x3a;

/** The dialects have three names between them. */
const needles = new Map<string, Buffer>();

/**
 * The members of an answer from the last one of this name on, read from its last bytes alone; undefined where they are not
 * there or not whole. What comes before is not looked at. In every text that is JSON it is a member at the top that is
 * found: a quote without a backslash before it begins a string or ends one, an ended one leaves the name bare, and what
 * follows is whole up to the brace that ends the text. They are for a reader who asks for members by names of its own.
 */
export function membersFrom(name: string, answer: Uint8Array): JsonObject | undefined {
  const at = lastOf(needleOf(name), answer);
  if (at === undefined || answer[at - 1] === backslash) return undefined;
  const members = jsonAsParsed(`{${bufferOf(answer).toString('utf8', at)}`);
  return isJsonObject(members) ? members : undefined;
}

function needleOf(name: string): Buffer {
  let needle = needles.get(name);
  if (needle === undefined) {
    needle = Buffer.from(`"${name}":`);
    needles.set(name, needle);
  }
  return needle;
}

/**
 * Where these bytes, which end with a colon, stand last; never at the very beginning. It mostly is a hundred bytes back,
 * where this takes half the time of `lastIndexOf` (80 of 160 ns).
 */
function lastOf(needle: Buffer, answer: Uint8Array): number | undefined {
  const { length } = needle;
  const first = Math.max(1, answer.length - tailBytesMax);
  for (let at = answer.length - length; at >= first; at -= 1) {
    if (answer[at + length - 1] === colon && standsAt(answer, at, needle)) return at;
  }
  return undefined;
}
