import type { JsonValue } from '@postern/core/base';

/** Control characters and marks that turn the direction of text: what others wrote stays in its cell. */
const unprintable = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

export function printable(text: string): string {
  return text.replaceAll(
    unprintable,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** A plain ASCII table: a header line and columns two spaces apart. Meaning is never in colour. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [
    header.map((each) => each.toUpperCase()),
    ...rows.map((row) => row.map(printable)),
  ];
  const widths = header.map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A JSON value as a cell: texts as they are, everything else as JSON. */
export function shown(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '-' : JSON.stringify(value);
}
