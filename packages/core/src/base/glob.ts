/**
 * Globs over names with `/` segments: `*` matches within a segment, `**` across segments. Everything else is literal.
 * Compiled once; a match takes time linear in the name for each star, and never backtracks exponentially.
 */
export type Glob = (name: string) => boolean;

const globBytesMax = 512;

type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'star' }
  | { readonly kind: 'globstar' };

function tokens(pattern: string): Token[] {
  const list: Token[] = [];
  for (const piece of pattern.split(/(\*\*|\*)/)) {
    if (piece === '**') list.push({ kind: 'globstar' });
    else if (piece === '*') list.push({ kind: 'star' });
    else if (piece !== '') list.push({ kind: 'text', text: piece });
  }
  return list;
}

export function compileGlob(pattern: string): Glob {
  if (pattern.length > globBytesMax) return () => false;
  if (!pattern.includes('*')) return (name) => name === pattern;
  const list = tokens(pattern);
  return (name) => matches(list, name);
}

/** Reachable positions after each token: a set simulation, so `*a*a*a*b` stays polynomial. */
function matches(list: readonly Token[], name: string): boolean {
  let reachable = new Set<number>([0]);
  for (const token of list) {
    const next = new Set<number>();
    for (const at of reachable) {
      if (token.kind === 'text') {
        if (name.startsWith(token.text, at)) next.add(at + token.text.length);
        continue;
      }
      for (let end = at; end <= name.length; end += 1) {
        if (next.has(end)) break;
        next.add(end);
        if (token.kind === 'star' && name[end] === '/') break;
      }
    }
    if (next.size === 0) return false;
    reachable = next;
  }
  return reachable.has(name.length);
}
