/** Control characters and marks that turn the direction of text: what others wrote stays in its place. */
const unprintable = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * The same for whole texts, which have lines and words of many scripts: line ends and tabs stay, and so do the joiners
 * that emoji and several scripts are written with. Nothing that is left moves a cursor or turns a line.
 */
const unsafe = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A name or a cell: one line, whatever it holds. */
export function printable(text: string): string {
  return text.replaceAll(unprintable, escaped);
}

/** A text of several lines, safe for a terminal. */
export function legible(text: string): string {
  return text.replaceAll(unsafe, escaped);
}

/** JSON that is the same value and holds nothing that a terminal obeys. */
export function legibleJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(unprintable, (character) =>
    Array.from({ length: character.length }, (_, at) => escaped(character.charAt(at))).join(''),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}
