/** Steps that are left for a check of many patterns. */
export interface GlobWork {
  stepsLeft: number;
}

/** About 10 µs a step: a check takes a tenth of a second at most, whoever wrote the patterns. */
export const globStepsMax = 10_000;

/**
 * Model patterns as sets of names: `*` is any text without `/`, `**` any text at all, the rest stands for itself.
 * `patternCovers(wide, narrow)` is exact: does every name that `narrow` matches also match `wide`? It walks both
 * patterns together, `narrow` as the automaton that it is and `wide` as the set of places it may be in.
 * `work` bounds the steps of all calls that share it; past it the answer is "not covered", which only ever refuses.
 */
export function patternCovers(
  wide: string,
  narrow: string,
  work: GlobWork = { stepsLeft: globStepsMax },
): boolean {
  if (wide === '**' || wide === narrow) return true;
  const outer = tokensOf(wide);
  const inner = tokensOf(narrow);
  // A name holds more characters than the patterns spell out; one stands for all of those, as they all act alike.
  const letters = new Set<string>(['/', other]);
  for (const token of [...outer, ...inner]) if (token.length === 1) letters.add(token);

  const seen = new Set<string>();
  const open: (readonly [number, readonly number[]])[] = [];
  const visit = (at: number, places: readonly number[]): boolean => {
    const id = `${at}:${places.join(',')}`;
    if (seen.has(id)) return true;
    seen.add(id);
    open.push([at, places]);
    work.stepsLeft -= 1;
    return work.stepsLeft > 0;
  };
  for (const at of closure(inner, [0])) if (!visit(at, closure(outer, [0]))) return false;
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    const [at, places] = pair;
    if (at === inner.length && !places.includes(outer.length)) return false;
    for (const letter of letters) {
      const next = closure(inner, step(inner, [at], letter));
      if (next.length === 0) continue;
      const after = closure(outer, step(outer, places, letter));
      for (const to of next) if (!visit(to, after)) return false;
    }
  }
  return true;
}

/** Stands for every character that no pattern names. It is no character of a model name. */
const other = '\u0000';
const anyText = '**';
const anySegment = '*.';

/** One token per letter; a run of two stars or more goes across segments. Wildcards are two characters long. */
function tokensOf(pattern: string): readonly string[] {
  const tokens: string[] = [];
  for (const [part] of pattern.matchAll(/\*+|[^*]/gu)) {
    if (!part.startsWith('*')) tokens.push(...part.split(''));
    else tokens.push(part.length === 1 ? anySegment : anyText);
  }
  return tokens;
}

/** Places reachable without a letter: a wildcard may stand for nothing. */
function closure(tokens: readonly string[], places: readonly number[]): readonly number[] {
  const reached = new Set<number>();
  for (let place of places) {
    reached.add(place);
    while ((tokens[place] ?? '').length === 2) {
      place += 1;
      reached.add(place);
    }
  }
  return [...reached].toSorted((a, b) => a - b);
}

function step(
  tokens: readonly string[],
  places: readonly number[],
  letter: string,
): readonly number[] {
  const next = new Set<number>();
  for (const place of places) {
    const token = tokens[place];
    if (token === letter) next.add(place + 1);
    else if (token === anyText || (token === anySegment && letter !== '/')) next.add(place);
  }
  return [...next];
}
