import { latinTokens, messageTokens, wideCharacter } from '../estimate.ts';

const unicodeEscape = 0x75;
const instruction = /\{"role": ?"(?:system|developer)"/y;
const contentStart = '"content":';
const space = 0x20;

/**
 * What `estimateInputTokens` says of a list of plain turns, from their JSON alone: for a price nobody has to read what was
 * said. The grammar of it was checked. Undefined where the turns have characters that count in another way.
 */
export function turnsTokens(turns: string): number | undefined {
  if (wideCharacter.test(turns)) return undefined;
  const cursor = { at: 1, escape: turns.indexOf('\\') };
  let tokens = messageTokens;
  let isTalk = false;
  while (cursor.at < turns.length - 1) {
    if (turns.charCodeAt(cursor.at) === space) cursor.at += 1;
    instruction.lastIndex = cursor.at;
    isTalk ||= !instruction.test(turns);
    const characters = pastContent(turns, cursor);
    if (characters === undefined) return undefined;
    tokens += (isTalk ? messageTokens : 0) + latinTokens(characters);
  }
  return tokens;
}

/**
 * Characters of the next turn's words; the cursor is then behind the turn and its comma. Undefined with an escape that may say a
 * character outside Latin.
 */
function pastContent(turns: string, cursor: { at: number; escape: number }): number | undefined {
  let at = turns.indexOf(contentStart, cursor.at) + contentStart.length + 1;
  if (turns.charCodeAt(at - 1) === space) at += 1;
  const from = at;
  let escapes = 0;
  let quote = turns.indexOf('"', at);
  while (cursor.escape !== -1 && cursor.escape < quote) {
    if (turns.charCodeAt(cursor.escape + 1) === unicodeEscape) return undefined;
    escapes += 1;
    at = cursor.escape + 2;
    cursor.escape = turns.indexOf('\\', at);
    if (quote < at) quote = turns.indexOf('"', at);
  }
  // Past the quote, the brace and the comma or bracket.
  cursor.at = quote + 3;
  return quote - from - escapes;
}
