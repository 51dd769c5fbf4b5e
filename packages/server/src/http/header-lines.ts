import { assert } from '@postern/core/base';

/**
 * Whole lines of a head, which say themselves where the head is written. Each has its end, and nothing in them can end a line but
 * those ends: who writes the head does not look at them again.
 */
export interface HeaderLines {
  /** Bytes that they take. */
  readonly length: number;
  /** Writes them from there on. */
  write(target: Uint8Array, at: number): void;
}

const between = ': ';

/** As text, one byte a character. */
export function linesText(lines: HeaderLines): string {
  const bytes = Buffer.alloc(lines.length);
  lines.write(bytes, 0);
  return bytes.toString('latin1');
}

/** The same one by one, for who does not write heads as text. */
export function pairsOf(lines: HeaderLines): readonly (readonly [name: string, value: string])[] {
  return linesText(lines)
    .split('\r\n')
    .slice(0, -1)
    .map((line) => {
      const at = line.indexOf(between);
      assert(at > 0, 'a line of a head has a name');
      return [line.slice(0, at), line.slice(at + between.length)];
    });
}
