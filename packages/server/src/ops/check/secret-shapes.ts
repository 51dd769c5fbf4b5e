/** Texts that only secrets look like; each shows what it is by how it begins. */
const shapes: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['a key of Postern', /\bpst_[0-9A-Za-z]{20,}/g],
  ['a key of OpenAI', /\bsk-(?!ant-)[0-9A-Za-z_-]{20,}/g],
  ['a key of Anthropic', /\bsk-ant-[0-9A-Za-z_-]{20,}/g],
  ['a key of Tailscale', /\btskey-[0-9A-Za-z-]{16,}/g],
  ['a key of Headscale', /\bhskey-[0-9A-Za-z-]{16,}/g],
  ['an access key of AWS', /\bAKIA[0-9A-Z]{16}\b/g],
  ['a token of GitHub', /\bgh[pousr]_[0-9A-Za-z]{30,}/g],
  ['a JSON Web Token', /\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}/g],
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/g],
  ['a password in an address', /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"']+:[^\s/@"']+@/g],
];

/** What looks like a secret, and in which line; never the text itself. */
export function secretsIn(text: string): readonly string[] {
  const found: { readonly line: number; readonly name: string }[] = [];
  for (const [name, pattern] of shapes) {
    for (const match of text.matchAll(pattern))
      found.push({ line: text.slice(0, match.index).split('\n').length, name });
  }
  return found.toSorted((a, b) => a.line - b.line).map(({ line, name }) => `line ${line}: ${name}`);
}
