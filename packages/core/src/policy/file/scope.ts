/** The names that a file defines, and selectors checked against them. */
import { goQuote } from '../../base/quote.ts';
import type { Reader, Text } from './reader.ts';
import { parseSelector, placeRefusal, type Selector, type SelectorPlace } from './selector.ts';
import type { SourceValue } from './source.ts';

/** What is defined. */
export interface Scope {
  readonly groups: { has(name: string): boolean };
  readonly tags: { has(name: string): boolean };
  readonly hosts: { has(name: string): boolean };
  readonly ipsets: { has(name: string): boolean };
  readonly postures: { has(name: string): boolean };
}

/** How the service starts its message for a mistake at this place. */
function prefixOf(place: SelectorPlace, text: string): string {
  if (place === 'src' || place === 'ssh-src') return 'src=';
  return place === 'dst' || place === 'ssh-dst' ? `dst=${goQuote(text)}: ` : '';
}

export function readSelectors(
  reader: Reader,
  scope: Scope,
  source: SourceValue | undefined,
  place: SelectorPlace,
): readonly Selector[] {
  return reader
    .texts(source, place)
    .flatMap((text) => readSelector(reader, scope, text, place) ?? []);
}

/** The selector, or undefined with a finding where it is malformed, undefined or not allowed at this place. */
export function readSelector(
  reader: Reader,
  scope: Scope,
  { text, at }: Text,
  place: SelectorPlace,
): Selector | undefined {
  const parsed = parseSelector(text, at);
  if (!parsed.ok) {
    reader.findings.error('bad_selector', at, prefixOf(place, text) + parsed.error);
    return undefined;
  }
  const selector = parsed.value;
  const refusal = placeRefusal(selector, place);
  if (refusal !== undefined) {
    reader.findings.error('selector_not_allowed', at, refusal);
    return undefined;
  }
  const missing = undefinedName(selector, scope);
  if (missing !== undefined) {
    reader.findings.error('undefined_name', at, prefixOf(place, text) + missing);
    return undefined;
  }
  return selector;
}

/** The message for a selector whose name the file does not define. */
export function undefinedName(selector: Selector, scope: Scope): string | undefined {
  switch (selector.kind) {
    case 'tag':
      return scope.tags.has(selector.name) ? undefined : `tag not found: ${goQuote(selector.name)}`;
    case 'group':
      // A group with a domain is synchronised from an identity provider, so the file does not define it.
      return scope.groups.has(selector.name) || selector.name.includes('@')
        ? undefined
        : `group not found: ${goQuote(selector.name)}`;
    case 'ipset':
      return scope.ipsets.has(selector.name)
        ? undefined
        : `ipset not found: ${goQuote(selector.name)}`;
    case 'host':
      return scope.hosts.has(selector.name)
        ? undefined
        : `${goQuote(selector.name)}: invalid address`;
    case 'any':
    case 'autogroup':
    case 'domain':
    case 'prefix':
    case 'service':
    case 'user':
      return undefined;
  }
}

export function readPostureNames(
  reader: Reader,
  scope: Scope,
  source: SourceValue | undefined,
): readonly Text[] | undefined {
  if (source === undefined) return undefined;
  const names = reader.texts(source, 'srcPosture');
  for (const { text, at } of names) {
    if (!scope.postures.has(text)) {
      reader.findings.error('undefined_name', at, `posture not found: ${goQuote(text)}`);
    }
  }
  return names;
}
