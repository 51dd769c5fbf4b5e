/** The difference of two texts, line by line, in the unified format. */

/** Edits looked for. Beyond it the rest of the file is shown as replaced. */
const editsMax = 2_000;
const contextLines = 3;

type Edit = { readonly sign: ' ' | '-' | '+'; readonly line: string };

/** Unified diff with three lines of context; the empty text where nothing differs. */
export function textDiff(before: string, after: string): string {
  if (before === after) return '';
  const edits = editsOf(linesOf(before), linesOf(after));
  return `--- current\n+++ candidate\n${hunks(edits).join('')}`;
}

function linesOf(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** Lines in common at both ends need no search. */
function editsOf(a: readonly string[], b: readonly string[]): readonly Edit[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  const most = Math.min(a.length, b.length) - head;
  while (tail < most && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const keep = (lines: readonly string[]): readonly Edit[] =>
    lines.map((line) => ({ sign: ' ', line }));
  return [
    ...keep(a.slice(0, head)),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...keep(a.slice(a.length - tail)),
  ];
}

/** Myers' greedy search for the shortest script, with the furthest points of each round kept for the way back. */
function middle(a: readonly string[], b: readonly string[]): readonly Edit[] {
  const rounds: ReadonlyMap<number, number>[] = [];
  let furthest = new Map<number, number>([[1, 0]]);
  for (let d = 0; d <= Math.min(a.length + b.length, editsMax); d += 1) {
    const next = new Map(furthest);
    for (let k = -d; k <= d; k += 2) {
      const down =
        k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
      let x = down ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return wayBack(a, b, [...rounds, furthest]);
    }
    rounds.push(furthest);
    furthest = next;
  }
  const replaced: Edit[] = a.map((line) => ({ sign: '-', line }));
  return [...replaced, ...b.map((line): Edit => ({ sign: '+', line }))];
}

function wayBack(
  a: readonly string[],
  b: readonly string[],
  rounds: readonly ReadonlyMap<number, number>[],
): readonly Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = rounds.length - 1; d >= 0; d -= 1) {
    const furthest = rounds[d] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
    const from = down ? k + 1 : k - 1;
    const fromX = furthest.get(from) ?? 0;
    const fromY = fromX - from;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      edits.push({ sign: ' ', line: a[x - 1] ?? '' });
      x -= 1;
      y -= 1;
    }
    if (d === 0) break;
    if (down) edits.push({ sign: '+', line: b[y - 1] ?? '' });
    else edits.push({ sign: '-', line: a[x - 1] ?? '' });
    [x, y] = [fromX, fromY];
  }
  return edits.reverse();
}

function hunks(edits: readonly Edit[]): readonly string[] {
  const out: string[] = [];
  let [oldLine, newLine] = [1, 1];
  for (let i = 0; i < edits.length; ) {
    const start = nextChange(edits, i);
    if (start === undefined) break;
    const from = Math.max(i, start - contextLines);
    oldLine += from - i;
    newLine += from - i;
    const to = hunkEnd(edits, start);
    const part = edits.slice(from, to);
    const removed = part.filter(({ sign }) => sign !== '+').length;
    const added = part.filter(({ sign }) => sign !== '-').length;
    const body = part.map(({ sign, line }) => `${sign}${line}\n`).join('');
    out.push(`@@ -${oldLine},${removed} +${newLine},${added} @@\n${body}`);
    oldLine += removed;
    newLine += added;
    i = to;
  }
  return out;
}

function nextChange(edits: readonly Edit[], from: number): number | undefined {
  const found = edits.findIndex(({ sign }, i) => i >= from && sign !== ' ');
  return found < 0 ? undefined : found;
}

/** Changes closer than twice the context share a hunk. */
function hunkEnd(edits: readonly Edit[], start: number): number {
  let last = start;
  for (;;) {
    const next = nextChange(edits, last + 1);
    if (next === undefined || next - last > 2 * contextLines) break;
    last = next;
  }
  return Math.min(edits.length, last + 1 + contextLines);
}
