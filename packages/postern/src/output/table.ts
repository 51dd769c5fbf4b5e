import type { JsonValue } from '@postern/core/base';
import { printable } from './printable.ts';

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
