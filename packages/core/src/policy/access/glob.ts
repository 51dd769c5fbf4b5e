/** Globs over names with segments: `*` within a segment, `**` across. Everything else is itself. */

/** Longer ones are refused: matching costs glob length × name length. */
export const globCharsMax = 256;
export const nameCharsMax = 512;

export interface Glob {
  readonly text: string;
  /** Set where the glob has no star: then it is that name and nothing else. */
  readonly exact: string | undefined;
  matches(name: string): boolean;
}

/** The glob, or undefined where the text is empty or too long. */
export function parseGlob(text: string): Glob | undefined {
  if (text === '' || text.length > globCharsMax) return undefined;
  if (!text.includes('*')) return { text, exact: text, matches: (name) => name === text };
  if (text === '**') return { text, exact: undefined, matches: (name) => isName(name) };
  const tail = text.slice(0, -2);
  if (text.endsWith('/**') && !tail.includes('*')) {
    return {
      text,
      exact: undefined,
      matches: (name) => isName(name) && name.startsWith(tail) && name.length > tail.length,
    };
  }
  const tokens = tokensOf(text);
  return { text, exact: undefined, matches: (name) => isName(name) && matchTokens(tokens, name) };
}

function isName(name: string): boolean {
  return name !== '' && name.length <= nameCharsMax;
}

type Token = string | { readonly crosses: boolean };

function tokensOf(text: string): readonly Token[] {
  return (text.match(/\*+|[^*]/gu) ?? []).map((part) =>
    part.startsWith('*') ? { crosses: part.length > 1 } : part,
  );
}

/** Set of states per character: no backtracking, so that no glob is slow. */
function matchTokens(tokens: readonly Token[], name: string): boolean {
  let states = closure(tokens, [0]);
  for (const char of name) {
    const next: number[] = [];
    for (const state of states) {
      const token = tokens[state];
      if (token === undefined) continue;
      if (typeof token === 'string') {
        if (token === char) next.push(state + 1);
      } else if (token.crosses || char !== '/') {
        next.push(state);
      }
    }
    if (next.length === 0) return false;
    states = closure(tokens, next);
  }
  return states.includes(tokens.length);
}

/** A star may stand for nothing. */
function closure(tokens: readonly Token[], starts: readonly number[]): readonly number[] {
  const states = new Set<number>();
  for (const start of starts) {
    let state = start;
    while (!states.has(state)) {
      states.add(state);
      if (typeof tokens[state] !== 'object') break;
      state += 1;
    }
  }
  return [...states];
}
