import { assert } from '@postern/core/base';

/**
 * Whole lines of a head, each with its end, in which nothing can end a line but those ends. Only who answers for that makes one: what
 * writes a head does not look at them again.
 */
export type HeaderLines = string & { readonly areHeaderLines: never };

/** A header in a list of them. */
export type HeaderPair = readonly [name: string, value: string];

const between = ': ';

/** The same one by one, for who does not write heads as text. */
export function pairsOf(lines: HeaderLines): readonly HeaderPair[] {
  return lines
    .split('\r\n')
    .slice(0, -1)
    .map((line): HeaderPair => {
      const at = line.indexOf(between);
      assert(at > 0, 'a line of a head has a name');
      return [line.slice(0, at), line.slice(at + between.length)];
    });
}
