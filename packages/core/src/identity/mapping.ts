import type { JsonObject, JsonValue } from '../base/index.ts';
import type { IdentityMapping } from '../contract/index.ts';

/**
 * What keys, tokens, apps and the local operator are for policy, as the configuration says. Who is not mapped has no
 * selectors.
 */
export interface IdentityMap {
  /** Of whoever runs this process. */
  readonly operatorSelectors: readonly string[];
  keySelectors(id: string, name: string): readonly string[];
  appSelectors(appId: string): readonly string[];
  /** Selectors of a verified token. */
  tokenSelectors(issuer: string, claims: JsonObject): readonly string[];
}

type TokenMapping = Extract<IdentityMapping, { readonly issuer: string }>;

const none: readonly string[] = Object.freeze([]);

/** Instead of the name of a key: every key. No key has this name. */
const everyKey = '*';

/** Values of one claim that are looked at: an identity provider may list thousands of groups. */
const claimValuesMax = 2_000;

/** What a claim may name as a user: one `@`, and nothing that could read as `group:` or `tag:`. */
const userPattern = /^[^\s@:,]{1,128}@[^\s@:,]{1,255}$/;

export function createIdentityMap(mappings: readonly IdentityMapping[]): IdentityMap {
  const keys = new Map<string, string[]>();
  const apps = new Map<string, string[]>();
  const tokens = new Map<string, TokenMapping[]>();
  const operator: string[] = [];
  for (const mapping of mappings) {
    if ('key' in mapping) listOf(keys, mapping.key).push(...mapping.as);
    else if ('app' in mapping) listOf(apps, mapping.app).push(...mapping.as);
    else if ('local' in mapping) operator.push(...mapping.as);
    else listOf(tokens, mapping.issuer).push(mapping);
  }
  return {
    operatorSelectors: distinct(operator),
    keySelectors: (id, name) =>
      distinct([id, name, everyKey].flatMap((word) => keys.get(word) ?? none)),
    appSelectors: (appId) => distinct(apps.get(appId) ?? none),
    tokenSelectors: (issuer, claims) =>
      distinct((tokens.get(issuer) ?? []).flatMap((mapping) => selectorsOf(mapping, claims))),
  };
}

function listOf<T>(map: Map<string, T[]>, name: string): T[] {
  const known = map.get(name);
  if (known !== undefined) return known;
  const list: T[] = [];
  map.set(name, list);
  return list;
}

function distinct(selectors: readonly string[]): readonly string[] {
  return selectors.length === 0 ? none : [...new Set(selectors)];
}

function selectorsOf(mapping: TokenMapping, claims: JsonObject): readonly string[] {
  const values = claimValues(claims, mapping.claim);
  const isEmail = mapping.claim === 'email' || mapping.claim === '/email';
  if (mapping.value !== undefined) {
    if (!values.includes(mapping.value) || (isEmail && !isVerifiedEmail(claims, mapping.value)))
      return none;
    return mapping.as;
  }
  if (mapping.as.length > 0) {
    const counts = isEmail
      ? values.some((value) => isVerifiedEmail(claims, value))
      : values.length > 0;
    return counts ? mapping.as : none;
  }
  return values.filter((value) => isVerifiedEmail(claims, value));
}

/** An e-mail names a person only where the issuer has verified it, and only with exactly one `@`. */
export function isVerifiedEmail(claims: JsonObject, value: string): boolean {
  return ownMember(claims, 'email_verified') === true && userPattern.test(value);
}

/**
 * The texts of a claim: itself, each item of a list, or each word of an OAuth `scope`. A claim that begins with `/`
 * is a JSON pointer (RFC 6901) into nested claims, such as `/realm_access/roles`.
 */
export function claimValues(claims: JsonObject, claim: string): readonly string[] {
  const value = claim.startsWith('/') ? pointed(claims, claim) : ownMember(claims, claim);
  if (typeof value === 'string') return claim === 'scope' ? value.split(' ') : [value];
  if (typeof value === 'boolean') return [String(value)];
  if (!Array.isArray(value)) return none;
  return value.slice(0, claimValuesMax).filter((item): item is string => typeof item === 'string');
}

function pointed(claims: JsonObject, pointer: string): JsonValue | undefined {
  let value: JsonValue | undefined = claims;
  for (const part of pointer.slice(1).split('/')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    // Lists were left out by the line above; the type of Array.isArray does not say so for readonly lists.
    value = ownMember(value as JsonObject, part.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return value;
}

function ownMember(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
