import { type DerElement, DerTag } from '../../base/der/index.ts';
import { isDnsName, isDnsPattern, isUri, parseMailbox } from './identifier.ts';
import { type DistinguishedName, readName } from './name.ts';

/** RFC 5280 4.2.1.6. Text forms are syntactically valid; other forms are kept for fail-closed checks. */
export type GeneralName =
  | { readonly kind: 'dns' | 'email' | 'uri'; readonly value: string }
  | { readonly kind: 'ip'; readonly address: Uint8Array }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'other'; readonly oid: string; readonly bytes: Uint8Array }
  | { readonly kind: 'registered'; readonly oid: string }
  | { readonly kind: 'unsupported'; readonly tag: number };

/** The base of a subtree in name constraints: the same choice, with host and range syntax. */
export type NameSubtree =
  | { readonly kind: 'dns' | 'email' | 'uri'; readonly value: string }
  | { readonly kind: 'ip'; readonly address: Uint8Array; readonly mask: Uint8Array }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'other'; readonly oid: string; readonly bytes: Uint8Array }
  | { readonly kind: 'registered'; readonly oid: string }
  | { readonly kind: 'unsupported'; readonly tag: number };

/** Forms other than text and address, which names and subtrees share. */
function readRest(
  element: DerElement,
): Extract<GeneralName, { kind: 'directory' | 'other' | 'registered' | 'unsupported' }> {
  if (element.tagClass !== 'context') return element.refuse('not a general name');
  switch (element.tag) {
    case 0:
      return element.implicit(0, DerTag.sequence).sequence((cursor) => {
        const oid = cursor.next().oid();
        return { kind: 'other', oid, bytes: cursor.next().explicit(0).bytes };
      });
    case 4:
      return { kind: 'directory', name: readName(element.explicit(4)) };
    case 8:
      return { kind: 'registered', oid: element.implicit(8, DerTag.oid).oid() };
    case 3:
    case 5:
      return { kind: 'unsupported', tag: element.tag };
    default:
      return element.refuse('not a general name');
  }
}

function readText(element: DerElement): string {
  return element.implicit(element.tag, DerTag.ia5String).ia5();
}

function readAddress(element: DerElement): Uint8Array {
  return element.implicit(7, DerTag.octetString).octetString();
}

/** A name of a subject, an issuer or a distribution point. */
export function readGeneralName(element: DerElement): GeneralName {
  if (element.isContext(1)) {
    const value = readText(element);
    return parseMailbox(value) ? { kind: 'email', value } : element.refuse('not a mailbox');
  }
  if (element.isContext(2)) {
    const value = readText(element);
    return isDnsPattern(value) ? { kind: 'dns', value } : element.refuse('not a DNS name');
  }
  if (element.isContext(6)) {
    const value = readText(element);
    return isUri(value) ? { kind: 'uri', value } : element.refuse('not a URI');
  }
  if (element.isContext(7)) {
    const address = readAddress(element);
    return address.length === 4 || address.length === 16
      ? { kind: 'ip', address }
      : element.refuse('not an IP address');
  }
  return readRest(element);
}

/** The base of a GeneralSubtree (RFC 5280 4.2.1.10). */
export function readNameSubtree(element: DerElement): NameSubtree {
  if (element.isContext(1)) {
    const value = readText(element);
    const isValid = value.includes('@') ? parseMailbox(value) !== undefined : isHostOrDomain(value);
    return isValid ? { kind: 'email', value } : element.refuse('not a mailbox, host or domain');
  }
  if (element.isContext(2)) {
    const value = readText(element);
    // The empty name is the root of the DNS: every name is below it.
    const isValid = value === '' || isDnsName(value);
    return isValid ? { kind: 'dns', value } : element.refuse('not a DNS subtree');
  }
  if (element.isContext(6)) {
    const value = readText(element);
    return isHostOrDomain(value) ? { kind: 'uri', value } : element.refuse('not a host or domain');
  }
  if (element.isContext(7)) {
    const range = readAddress(element);
    if (range.length !== 8 && range.length !== 32) return element.refuse('not an address range');
    const address = range.subarray(0, range.length / 2);
    const mask = range.subarray(range.length / 2);
    return isPrefixMask(mask)
      ? { kind: 'ip', address, mask }
      : element.refuse('mask is not a prefix');
  }
  return readRest(element);
}

/** A host name, or a period and a domain whose hosts are meant. */
function isHostOrDomain(text: string): boolean {
  return isDnsName(text.startsWith('.') ? text.slice(1) : text);
}

function isPrefixMask(mask: Uint8Array): boolean {
  let bits = '';
  for (const octet of mask) bits += octet.toString(2).padStart(8, '0');
  return /^1*0*$/.test(bits);
}
