import type { JsonObject } from '@postern/core/base';
import { jsonObjectOf } from '@postern/core/base';
import { bufferOf } from './buffer-of.ts';

/** Usage and the few short members that servers put behind it; 100 to 500 bytes with every provider that we know. */
const tailBytesMax = 1_024;
const backslash = 0x5c;

/**
 * The members of an answer from the last one of this name on, read from its last bytes alone; undefined where they are not
 * there or not whole. What comes before is not looked at. In every text that is JSON it is a member at the top that is
 * found: a quote without a backslash before it begins a string or ends one, an ended one leaves the name bare, and what
 * follows is whole up to the brace that ends the text.
 */
export function membersFrom(name: string, answer: Uint8Array): JsonObject | undefined {
  // One character for each byte: outside of strings JSON has no others, and inside they say nothing about where one ends.
  const tail = bufferOf(answer).toString('latin1', Math.max(0, answer.length - tailBytesMax));
  const at = tail.lastIndexOf(`"${name}":`);
  if (at <= 0 || tail.charCodeAt(at - 1) === backslash) return undefined;
  return jsonObjectOf(`{${tail.slice(at)}`);
}
