/** RFC 1035, section 2.3.4. */
export const labelCharsMax = 63;

const labelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function isLabel(text: string): boolean {
  return labelPattern.test(text);
}

/** A DNS label of what a machine calls itself: its first label, with everything else as dashes. */
export function labelOf(hostname: string): string {
  const [first = ''] = hostname.toLowerCase().split('.', 1);
  const plain = first
    .replaceAll(/['’]/g, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, labelCharsMax)
    .replace(/-+$/, '');
  return plain === '' ? 'node' : plain;
}

/** The label itself where it is free, else with the first number that is. */
export function freeLabel(wanted: string, isTaken: (label: string) => boolean): string {
  if (!isTaken(wanted)) return wanted;
  for (let i = 1; ; i += 1) {
    const suffix = `-${i}`;
    const label = wanted.slice(0, labelCharsMax - suffix.length).replace(/-+$/, '') + suffix;
    if (!isTaken(label)) return label;
  }
}
