const idCharsMax = 64;

/**
 * Letters, digits and hyphens, as our own ids are: such an id stands in a line as it is. Not a regular expression: this is asked twice
 * for every request, and storing what the expression matched takes as long as looking at the id.
 */
export function isPlainId(id: string): boolean {
  if (id === '' || id.length > idCharsMax) return false;
  for (let at = 0; at < id.length; at += 1) {
    const code = id.charCodeAt(at);
    const isDigit = code >= 0x30 && code <= 0x39;
    const lower = code | 0x20;
    if (!isDigit && !(lower >= 0x61 && lower <= 0x7a) && code !== 0x2d) return false;
  }
  return true;
}
