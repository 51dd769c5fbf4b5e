import { latinTokens, messageTokens, wideCharacter } from '../estimate.ts';

const space = 0x20;
const unicodeEscape = 0x75;
/** Characters of each role by its first letter; the first two only instruct. */
const [letterS, letterD, letterU] = [0x73, 0x64, 0x75];
const roleName = '{"role":'.length;
const contentName = ',"content":'.length;

/**
 * What `estimateInputTokens` says of a list of plain turns, from their JSON alone: for a price nobody has to read what was
 * said. The grammar of it was checked, and `ends` has where each turn ends. Undefined where the turns have characters that count
 * in another way.
 */
export function turnsTokens(turns: string, ends: readonly number[]): number | undefined {
  if (wideCharacter.test(turns)) return undefined;
  let tokens = messageTokens;
  let isTalk = false;
  let escape = turns.indexOf('\\');
  let from = 1;
  for (const end of ends) {
    const role = roleOf(turns, pastSpace(turns, from));
    isTalk ||= role.isTalk;
    // Before the brace is the quote that ends the words.
    const wordsEnd = end - 2;
    let characters = wordsEnd - role.wordsAt;
    while (escape !== -1 && escape < wordsEnd) {
      // It may say a character outside Latin, which counts for itself.
      if (turns.charCodeAt(escape + 1) === unicodeEscape) return undefined;
      characters -= 1;
      escape = turns.indexOf('\\', escape + 2);
    }
    tokens += (isTalk ? messageTokens : 0) + latinTokens(characters);
    from = end + 1;
  }
  return tokens;
}

function roleOf(
  turns: string,
  start: number,
): { readonly isTalk: boolean; readonly wordsAt: number } {
  const at = pastSpace(turns, start + roleName) + 1;
  const letter = turns.charCodeAt(at);
  const length = letter === letterU ? 4 : letter === letterS ? 6 : 9;
  const isTalk = letter !== letterS && letter !== letterD;
  // Its quote, the comma and the name of the words, each with the space that some writers put behind it, and their quote.
  const nameAt = pastSpace(turns, at + length + 2) - 1;
  return { isTalk, wordsAt: pastSpace(turns, nameAt + contentName) + 1 };
}

function pastSpace(text: string, at: number): number {
  return text.charCodeAt(at) === space ? at + 1 : at;
}
