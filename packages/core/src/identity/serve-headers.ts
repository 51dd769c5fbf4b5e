import type { JsonLimits } from '../base/json/index.ts';
import { isJsonObject, parseJson } from '../base/json/index.ts';
import type { JsonValue, Result } from '../base/index.ts';
import { err, ok, utf8, utf8Text } from '../base/index.ts';
import type { Principal } from './principal.ts';

/** Identity headers that `tailscale serve` sets, in lower case: what the serve listener believes and no other. */
export const serveHeaderNames: readonly string[] = Object.freeze([
  'tailscale-user-login',
  'tailscale-user-name',
  'tailscale-user-profile-pic',
  'tailscale-funnel-request',
  'tailscale-app-capabilities',
  'tailscale-headers-info',
  'x-forwarded-for',
]);

/** A login or display name, decoded. */
export const identityTextBytesMax = 256;
/** Longest header value that is decoded; quoted-printable triples a text, and words add their frames. */
const encodedCharsMax = 2_048;

/** What tailscaled calls the owner of every tagged node: nobody. */
export const taggedDevicesLogin = 'tagged-devices';

const capabilityJsonLimits: JsonLimits = Object.freeze({
  bytesMax: 16_384,
  depthMax: 16,
  keysPerObjectMax: 256,
  valuesMax: 4_096,
  stringBytesMax: 4_096,
  numberCharsMax: 64,
  duplicateKeys: 'refuse',
});

const encodedWord = /^=\?utf-8\?q\?([\x21-\x3e\x40-\x7e]*)\?=$/i;

/**
 * Decodes a header value as Go's `mime.QEncoding` writes it (RFC 2047): ASCII stands as it is; anything else is a row
 * of `=?utf-8?q?…?=` words, whose separating spaces do not count. The result is in NFC. The problem is a sentence.
 */
export function decodeIdentityText(value: string): Result<string, string> {
  if (value.length > encodedCharsMax) return err('It is too long.');
  if (!/^[\x20-\x7e]*$/.test(value))
    return err('It has characters that `tailscale serve` would have encoded.');
  const decoded = value.startsWith('=?') ? decodeWords(value) : value;
  if (decoded === undefined) return err('It is not encoded as RFC 2047 says.');
  const text = decoded.normalize('NFC');
  if (/\p{Cc}|\p{Cs}|[\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(text))
    return err('It has control characters.');
  if (utf8(text).length > identityTextBytesMax)
    return err(`It is longer than ${identityTextBytesMax} bytes.`);
  return ok(text);
}

/** One word may end within a character: the bytes of all words are one text. */
function decodeWords(value: string): string | undefined {
  const bytes: number[] = [];
  for (const word of value.split(/ +/)) {
    const body = encodedWord.exec(word)?.[1];
    if (body === undefined || !appendWord(bytes, body)) return undefined;
  }
  return utf8Text(new Uint8Array(bytes));
}

function appendWord(bytes: number[], body: string): boolean {
  for (let at = 0; at < body.length; at += 1) {
    const char = body.charAt(at);
    if (char !== '=') {
      bytes.push(char === '_' ? 0x20 : char.charCodeAt(0));
      continue;
    }
    const hex = body.slice(at + 1, at + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return false;
    bytes.push(Number.parseInt(hex, 16));
    at += 2;
  }
  return true;
}

/** What the headers of one request say. */
export interface ServeHeaders {
  readonly isFunnel: boolean;
  readonly login: string | undefined;
  readonly name: string | undefined;
  /** `X-Forwarded-For`, whole. */
  readonly forwardedFor: string | undefined;
  readonly capabilities: Readonly<Record<string, readonly JsonValue[]>> | undefined;
}

/** A login is one word: a comma would be two headers that a parser joined. */
const loginPattern = /^[^\s,;"<>()[\]\\]+$/u;

/**
 * Reads the headers of `tailscale serve`. The problem is a sentence that names the header: serve never writes such a
 * thing, so somebody else did.
 */
export function readServeHeaders(
  header: (name: string) => string | undefined,
): Result<ServeHeaders, string> {
  const login = decoded(header, 'tailscale-user-login');
  if (!login.ok) return login;
  if (login.value !== undefined && !loginPattern.test(login.value))
    return err('Tailscale-User-Login is not one login name.');
  const name = decoded(header, 'tailscale-user-name');
  if (!name.ok) return name;
  const funnel = header('tailscale-funnel-request');
  const capabilities = readCapabilities(header('tailscale-app-capabilities'));
  if (!capabilities.ok) return capabilities;
  return ok({
    isFunnel: funnel !== undefined,
    login: login.value,
    name: name.value,
    forwardedFor: header('x-forwarded-for'),
    capabilities: capabilities.value,
  });
}

/** The decoded text; undefined where the header is absent or empty (serve empties a name that is not UTF-8). */
function decoded(
  header: (name: string) => string | undefined,
  name: string,
): Result<string | undefined, string> {
  const value = header(name);
  if (value === undefined) return ok(undefined);
  const text = decodeIdentityText(value);
  if (!text.ok) return err(`${name} cannot be read. ${text.error}`);
  return ok(text.value === '' ? undefined : text.value);
}

/** `{"cap": [values]}`. Encoded as the other headers are where it is not ASCII, without their limit of length. */
function readCapabilities(value: string | undefined): Result<ServeHeaders['capabilities'], string> {
  if (value === undefined || value === '') return ok(undefined);
  const text = value.startsWith('=?') ? decodeWords(value) : value;
  const document = text === undefined ? undefined : parseJson(utf8(text), capabilityJsonLimits);
  if (document === undefined || !document.ok)
    return err('Tailscale-App-Capabilities is not a JSON object within the limits.');
  const capabilities = capabilitiesOf(document.value.value);
  return capabilities === undefined
    ? err('Tailscale-App-Capabilities is not an object of lists.')
    : ok(capabilities);
}

/** Application capabilities by name, from `{"cap": [values]}`; undefined where it is something else. */
export function capabilitiesOf(
  value: JsonValue | undefined,
): Readonly<Record<string, readonly JsonValue[]>> | undefined {
  if (!isJsonObject(value)) return undefined;
  const entries: [string, readonly JsonValue[]][] = [];
  for (const [name, values] of Object.entries(value)) {
    // tailscaled writes null for a capability without values.
    if (values === null) entries.push([name, []]);
    else if (Array.isArray(values)) entries.push([name, values]);
    else return undefined;
  }
  return Object.freeze(Object.fromEntries(entries));
}

/**
 * A person on the mesh. The login is the name by which policy knows a user on every engine, and all that
 * `tailscale serve` tells, so it is the id on every listener: whois and serve give the same principal.
 */
export function tailnetUser(login: string, display: string | undefined): Principal {
  return {
    authority: 'tailnet',
    id: login,
    kind: 'user',
    display: display ?? login,
    selectors: [login],
  };
}

/** A tagged node: it belongs to nobody and is known by its tags. */
export function tailnetNode(
  id: string,
  display: string,
  tags: readonly string[],
  addresses: readonly string[],
): Principal {
  return {
    authority: 'tailnet',
    id: `node:${id}`,
    kind: 'node',
    display,
    selectors: [...tags],
    addresses: [...addresses],
  };
}
