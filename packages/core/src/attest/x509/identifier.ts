/** Syntax and comparison of the names that certificates carry as text. All comparisons are ASCII. */

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/** RFC 1034 3.5 as RFC 1123 2.1 changes it, fully qualified without the final dot. */
export function isDnsName(text: string): boolean {
  if (text.length === 0 || text.length > 253) return false;
  const labels = text.split('.');
  // A last label of digits would be an IPv4 address to whoever connects to the name.
  return labels.every((part) => label.test(part)) && !/^[0-9]+$/.test(labels.at(-1) ?? '');
}

/** A DNS name or `*.` and a name of two labels or more (RFC 6125 6.4.3, CA/Browser Forum 1.6.1). */
export function isDnsPattern(text: string): boolean {
  if (!text.startsWith('*.')) return isDnsName(text);
  const parent = text.slice(2);
  return isDnsName(parent) && parent.includes('.');
}

/** Whether a presented pattern covers a host name. The wildcard stands for exactly one label. */
export function isDnsMatch(pattern: string, host: string): boolean {
  const presented = pattern.toLowerCase();
  const wanted = host.toLowerCase();
  if (!isDnsPattern(presented) || !isDnsName(wanted)) return false;
  if (!presented.startsWith('*.')) return presented === wanted;
  const dot = wanted.indexOf('.');
  return dot > 0 && wanted.slice(dot + 1) === presented.slice(2);
}

export interface Mailbox {
  readonly local: string;
  readonly host: string;
}

const dotString = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/i;

/** The two parts of a mailbox in dot-string form (RFC 5321 4.1.2); quoted local parts are refused. */
export function parseMailbox(text: string): Mailbox | undefined {
  const at = text.lastIndexOf('@');
  if (at < 0) return undefined;
  const local = text.slice(0, at);
  const host = text.slice(at + 1);
  if (local.length > 64 || !dotString.test(local) || !isDnsName(host)) return undefined;
  return { local, host: host.toLowerCase() };
}

/** Local parts compare exactly, hosts without case (RFC 5280 7.5). */
export function isSameMailbox(a: Mailbox, b: Mailbox): boolean {
  return a.local === b.local && a.host === b.host;
}

/** An absolute URI in visible ASCII (RFC 5280 4.2.1.6). */
export function isUri(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i.test(text) && !/["<>\\^`{|}]/.test(text);
}

/** The host of a URI with an authority, in lower case; undefined where there is none. */
export function uriHost(uri: string): string | undefined {
  const match = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri);
  const authority = match?.[1];
  if (authority === undefined) return undefined;
  const host = /^(?:[^@]*@)?(\[[^\]]*\]|[^:@]*)(?::[0-9]*)?$/.exec(authority)?.[1];
  return host === undefined || host === '' ? undefined : host.toLowerCase();
}

/** Canonical text of an IP address in network order: dotted, or RFC 5952. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === '0') length += 1;
    if (length > best.length) best = { start, length };
  }
  if (best.length < 2) return groups.join(':');
  const head = groups.slice(0, best.start).join(':');
  return `${head}::${groups.slice(best.start + best.length).join(':')}`;
}
