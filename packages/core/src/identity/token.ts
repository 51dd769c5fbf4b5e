import type { JsonLimits } from '../base/json/index.ts';
import { isJsonObject, parseJson } from '../base/json/index.ts';
import type { JsonObject, Result } from '../base/index.ts';
import { err, fromBase64Url, ok, utf8Text } from '../base/index.ts';

/** Longest key id that is looked up. */
const keyIdCharsMax = 128;

/** Group claims are the large part of real tokens; the whole credential has at most 8 KiB anyway. */
const tokenJsonLimits: JsonLimits = Object.freeze({
  bytesMax: 8_192,
  depthMax: 16,
  keysPerObjectMax: 256,
  valuesMax: 4_096,
  stringBytesMax: 4_096,
  numberCharsMax: 32,
  duplicateKeys: 'refuse',
});

/** A JWT (RFC 7519) in compact form, taken apart and read strictly. Nothing of it is verified. */
export interface TokenParts {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly claims: JsonObject;
}

const compactPattern = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/** Whether a text has the outer form of a signed JWT: three runs of base64url. */
export function looksLikeToken(text: string): boolean {
  return compactPattern.test(text);
}

/** The second part of a compact token as text, or undefined. For finding out whom it claims to be from. */
export function tokenPayloadText(token: string): string | undefined {
  const bytes = fromBase64Url(token.split('.', 2)[1] ?? '');
  return bytes === undefined ? undefined : utf8Text(bytes);
}

/** Types of JWT that are access or identity tokens. Logout tokens, proofs and events are signed by the same keys. */
const acceptedTypes: ReadonlySet<string> = new Set(['jwt', 'at+jwt']);

/**
 * Reads a compact token. The problem is a sentence. Refused are base64url that is not canonical, a member named
 * twice (RFC 7515 section 4 lets parsers differ there), any critical extension (RFC 7515 section 4.1.11: Postern
 * implements none) and other types of token. `jku`, `x5u`, `jwk` and `x5c` are ignored: a token does not bring its key.
 */
export function readToken(token: string): Result<TokenParts, string> {
  if (!looksLikeToken(token)) return err('It is not a signed JWT of three parts.');
  const [headerText, claimsText, signatureText] = token.split('.');
  if (fromBase64Url(signatureText ?? '') === undefined)
    return err('Its signature is not canonical base64url.');
  const header = readPart(headerText ?? '');
  if (header === undefined) return err('Its header is not one JSON object.');
  const claims = readPart(claimsText ?? '');
  if (claims === undefined)
    return err('Its claims are not one JSON object, or one of them is there twice.');
  const algorithm = header['alg'];
  if (typeof algorithm !== 'string') return err('Its header names no algorithm.');
  if (header['crit'] !== undefined || header['b64'] !== undefined)
    return err('Its header has a critical extension, and none is known here.');
  const keyId = header['kid'];
  if (keyId !== undefined && (typeof keyId !== 'string' || keyId.length > keyIdCharsMax))
    return err(`Its key id is not a text of at most ${keyIdCharsMax} characters.`);
  if (!isAcceptedType(header['typ'])) return err('It is another type of token (typ).');
  return ok({ algorithm, keyId, claims });
}

function isAcceptedType(type: unknown): boolean {
  if (type === undefined) return true;
  if (typeof type !== 'string') return false;
  return acceptedTypes.has(type.toLowerCase().replace(/^application\//, ''));
}

function readPart(part: string): JsonObject | undefined {
  const bytes = fromBase64Url(part);
  if (bytes === undefined) return undefined;
  const document = parseJson(bytes, tokenJsonLimits);
  return document.ok && isJsonObject(document.value.value) ? document.value.value : undefined;
}
