import type { DerElement } from '../../base/der/index.ts';
import { toHex } from '../../base/index.ts';
import { attributeOid } from './oid.ts';
import { x509Limits } from './limits.ts';

export interface NameAttribute {
  readonly type: string;
  /** The value where it is a character string, else its DER in hex after `#`. */
  readonly text: string;
}

/** An X.501 Name. Two names are the same if their `canonical` texts are (RFC 5280 7.1). */
export interface DistinguishedName {
  readonly bytes: Uint8Array;
  readonly attributes: readonly NameAttribute[];
  /** One text for each relative distinguished name, fit for comparison of prefixes. */
  readonly canonicalRdns: readonly string[];
  readonly canonical: string;
  readonly isEmpty: boolean;
}

export function readName(element: DerElement): DistinguishedName {
  const attributes: NameAttribute[] = [];
  const canonicalRdns = element.sequenceOf((rdn) => {
    const parts = rdn.setOf((pair) => {
      const attribute = readAttribute(pair);
      attributes.push(attribute);
      if (attributes.length > x509Limits.attributesMax) pair.refuse('too many attributes');
      return JSON.stringify([attribute.type, prepare(attribute.text)]);
    });
    if (parts.length === 0) rdn.refuse('empty relative name');
    if (new Set(parts).size !== parts.length) rdn.refuse('attribute twice');
    return parts.sort().join('+');
  });
  return {
    bytes: element.bytes,
    attributes,
    canonicalRdns,
    canonical: canonicalRdns.join(','),
    isEmpty: canonicalRdns.length === 0,
  };
}

function readAttribute(pair: DerElement): NameAttribute {
  return pair.sequence((cursor) => {
    const type = cursor.next().oid();
    const value = cursor.next();
    const isText = value.tagClass === 'universal' && textTags.has(value.tag);
    return { type, text: isText ? value.text().text : `#${toHex(value.bytes)}` };
  });
}

const textTags: ReadonlySet<number> = new Set([12, 18, 19, 20, 22, 26, 28, 30]);

/** RFC 4518 as far as it matters for equality: compatibility form, no case, spaces collapsed. */
function prepare(text: string): string {
  return text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, ' ').trim();
}

export function isSameName(a: DistinguishedName, b: DistinguishedName): boolean {
  return a.canonical === b.canonical;
}

export function attributeTexts(name: DistinguishedName, type: string): readonly string[] {
  return name.attributes
    .filter((attribute) => attribute.type === type)
    .map((attribute) => attribute.text);
}

export function commonNames(name: DistinguishedName): readonly string[] {
  return attributeTexts(name, attributeOid.commonName);
}
