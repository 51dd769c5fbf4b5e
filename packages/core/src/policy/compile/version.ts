/** The order of version texts: runs of digits compare as numbers, the text between them as text. */

/** Negative, zero or positive. The order of Tailscale's `util/cmpver`, a simplification of Debian's. */
export function compareVersions(a: string, b: string): number {
  let [restA, restB] = [a, b];
  while (restA !== '' || restB !== '') {
    const [textA, textB] = [takeRun(restA, /^[^0-9]*/), takeRun(restB, /^[^0-9]*/)];
    if (textA !== textB) return textA < textB ? -1 : 1;
    restA = restA.slice(textA.length);
    restB = restB.slice(textB.length);
    const [digitsA, digitsB] = [takeRun(restA, /^[0-9]*/), takeRun(restB, /^[0-9]*/)];
    const order = compareDigits(digitsA, digitsB);
    if (order !== 0) return order;
    restA = restA.slice(digitsA.length);
    restB = restB.slice(digitsB.length);
  }
  return 0;
}

function takeRun(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[0] ?? '';
}

/** Numbers of any length, the empty text as zero. */
function compareDigits(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  if (x.length !== y.length) return x.length < y.length ? -1 : 1;
  if (x === y) return 0;
  return x < y ? -1 : 1;
}
