/** Selectors: the words by which rules name people, machines and addresses. */
import { parseAddr, parsePrefix, type Prefix, prefixOfAddr } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { Position } from './source.ts';

/** Roles of users. `member` and `tagged` are autogroups of their own, not roles. */
export const roleAutogroups = [
  'admin',
  'owner',
  'it-admin',
  'network-admin',
  'billing-admin',
  'auditor',
] as const;
export type RoleName = (typeof roleAutogroups)[number];

export type AutogroupName =
  | RoleName
  | 'member'
  | 'tagged'
  | 'self'
  | 'internet'
  | 'shared'
  | 'danger-all'
  | 'nonroot';

const autogroups: ReadonlyMap<string, AutogroupName> = new Map([
  ...roleAutogroups.map((role) => [role, role] as const),
  ['member', 'member'],
  // The former name, still accepted.
  ['members', 'member'],
  ['tagged', 'tagged'],
  ['self', 'self'],
  ['internet', 'internet'],
  ['shared', 'shared'],
  ['danger-all', 'danger-all'],
  ['nonroot', 'nonroot'],
]);

/** What a selector says. `name` keeps its prefix where it has one (`group:dev`, `tag:ci`). */
export type SelectorShape =
  | { readonly kind: 'any' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'domain'; readonly domain: string }
  | { readonly kind: 'group'; readonly name: string }
  | { readonly kind: 'tag'; readonly name: string }
  | { readonly kind: 'autogroup'; readonly name: AutogroupName }
  | { readonly kind: 'host'; readonly name: string }
  | { readonly kind: 'ipset'; readonly name: string }
  | { readonly kind: 'service'; readonly name: string }
  | { readonly kind: 'prefix'; readonly prefix: Prefix };

export type SelectorKind = SelectorShape['kind'];

/** A selector of the file. `text` is canonical enough to be a key: equal texts mean the same selector. */
export type Selector = SelectorShape & { readonly text: string; readonly at: Position };

/** Where a selector stands decides which kinds make sense there. */
export type SelectorPlace =
  | 'src'
  | 'dst'
  | 'ssh-src'
  | 'ssh-dst'
  | 'target'
  | 'owner'
  | 'approver'
  | 'test-src'
  | 'test-dst'
  | 'ssh-test-src'
  | 'ssh-test-dst';

interface PlaceRule {
  readonly kinds: ReadonlySet<SelectorKind>;
  readonly autogroups: ReadonlySet<AutogroupName>;
  readonly refuse: (text: string) => string;
}

const people: readonly SelectorKind[] = ['user', 'domain', 'group', 'tag', 'autogroup'];
const addresses: readonly SelectorKind[] = ['any', 'host', 'ipset', 'prefix'];

const places: Readonly<Record<SelectorPlace, PlaceRule>> = {
  src: {
    kinds: new Set([...people, ...addresses]),
    autogroups: new Set(['member', 'tagged', 'shared', 'danger-all', ...roleAutogroups]),
    refuse: (text) => `${goQuote(text)} not valid on the src side of a rule`,
  },
  dst: {
    kinds: new Set([...people, ...addresses, 'service']),
    autogroups: new Set(['member', 'tagged', 'self', 'internet', ...roleAutogroups]),
    refuse: (text) => `cannot use ${text} as a dst`,
  },
  'ssh-src': {
    kinds: new Set(people),
    autogroups: new Set(['member', 'tagged', 'shared', ...roleAutogroups]),
    refuse: (text) => `invalid src ${goQuote(text)}`,
  },
  'ssh-dst': {
    kinds: new Set(['user', 'tag', 'autogroup']),
    autogroups: new Set(['member', 'tagged', 'self']),
    refuse: (text) => `invalid dst ${goQuote(text)}`,
  },
  target: {
    kinds: new Set([...people, 'any', 'host', 'prefix']),
    autogroups: new Set(['member', 'tagged', ...roleAutogroups]),
    refuse: (text) => `${goQuote(text)} not valid as a nodeAttrs target`,
  },
  owner: {
    kinds: new Set(people),
    autogroups: new Set(['member', ...roleAutogroups]),
    refuse: (text) => `${goQuote(text)} not valid as a tag owner`,
  },
  approver: {
    kinds: new Set(people),
    autogroups: new Set(['member', 'tagged', ...roleAutogroups]),
    refuse: (text) => `${goQuote(text)} not valid as an auto approver`,
  },
  'test-src': {
    kinds: new Set([...people, ...addresses]),
    autogroups: new Set(['member', 'tagged', 'shared', 'danger-all', ...roleAutogroups]),
    refuse: (text) => `${goQuote(text)} not valid as the src of a test`,
  },
  'test-dst': {
    kinds: new Set([...people, ...addresses, 'service']),
    autogroups: new Set(['member', 'tagged', 'self', ...roleAutogroups]),
    refuse: (text) => `${goQuote(text)} not valid as the dst of a test`,
  },
  'ssh-test-src': {
    kinds: new Set([...people, 'host', 'prefix']),
    autogroups: new Set(['member', 'tagged', ...roleAutogroups]),
    refuse: (text) => `SSH tests src contains disallowed element ${goQuote(text)}`,
  },
  'ssh-test-dst': {
    kinds: new Set([...people, 'host', 'prefix']),
    autogroups: new Set(['member', 'tagged', 'self', ...roleAutogroups]),
    refuse: (text) => `SSH tests dst contains disallowed element ${goQuote(text)}`,
  },
};

/** Why a selector may not stand there, in the service's words; undefined when it may. */
export function placeRefusal(selector: Selector, place: SelectorPlace): string | undefined {
  const rule = places[place];
  const fits =
    rule.kinds.has(selector.kind) &&
    (selector.kind !== 'autogroup' || rule.autogroups.has(selector.name));
  return fits ? undefined : rule.refuse(selector.text);
}

/** Reads a selector from a text without surrounding white space. Names are not looked up here. */
export function parseSelector(text: string, at: Position): Result<Selector, string> {
  const shape = parseShape(text);
  return shape.ok ? ok({ ...shape.value, text, at }) : shape;
}

function parseShape(text: string): Result<SelectorShape, string> {
  if (text === '*') return ok({ kind: 'any' });
  const prefix = parseAddressOrPrefix(text);
  if (prefix !== undefined) return ok({ kind: 'prefix', prefix });
  const named = parseNamed(text);
  if (named !== undefined) return named;
  if (text.includes('@')) return ok({ kind: 'user', name: text });
  if (isHostName(text)) return ok({ kind: 'host', name: text });
  return err(`${goQuote(text)}: invalid address`);
}

/** An address becomes the prefix of just that address; host bits of a prefix stay, as they were written. */
export function parseAddressOrPrefix(text: string): Prefix | undefined {
  // Names are far more common than addresses, and an address without these characters does not exist.
  if (!/^[0-9a-fA-F:][0-9a-fA-F:./]*$/.test(text)) return undefined;
  if (text.includes('/')) {
    const prefix = parsePrefix(text);
    return prefix.ok ? prefix.value : undefined;
  }
  const addr = parseAddr(text);
  return addr.ok ? prefixOfAddr(addr.value) : undefined;
}

function parseNamed(text: string): Result<SelectorShape, string> | undefined {
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  const rest = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case 'autogroup': {
      const name = autogroups.get(rest);
      return name === undefined
        ? err(`unknown autogroup: ${goQuote(text)}`)
        : ok({ kind: 'autogroup', name });
    }
    case 'user':
      return rest.startsWith('*@') && rest.length > 2 && !rest.slice(2).includes('@')
        ? ok({ kind: 'domain', domain: rest.slice(2) })
        : err(`${goQuote(text)}: only user:*@<domain> is supported`);
    case 'group':
      return ok({ kind: 'group', name: text });
    case 'tag':
      return ok({ kind: 'tag', name: text });
    case 'ipset':
      return ok({ kind: 'ipset', name: text });
    case 'svc':
      return ok({ kind: 'service', name: text });
    default:
      return undefined;
  }
}

/** A name that `hosts` may define: no `@`, no `:`, nothing that would read as something else. */
export function isHostName(text: string): boolean {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(text);
}

/** After `tag:`, a letter first; then letters, digits and hyphens. Messages are the service's. */
export function tagNameRefusal(tag: string): string | undefined {
  const name = tag.slice('tag:'.length);
  if (!tag.startsWith('tag:')) return "tags must start with 'tag:'";
  if (!/^[A-Za-z]/.test(name)) return "tag names must start with a letter, after 'tag:'";
  if (!/^[A-Za-z0-9-]+$/.test(name)) {
    return 'tag names can only contain numbers, letters, or dashes';
  }
  return undefined;
}
