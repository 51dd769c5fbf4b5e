import { fromBase64Url, utf8Text } from '../../base/bytes.ts';
import type { JsonLimits } from '../../base/json/index.ts';
import { readJson } from '../../base/json/index.ts';
import type { JsonObject, JsonValue } from '../../base/json-value.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** A JSON Web Token, read but not believed. */
export interface Token {
  readonly text: string;
  readonly algorithm: string;
  readonly claims: JsonObject;
}

/**
 * Whether a trusted key of the issuer signed this compact token. Checked before (asynchronously, by a JOSE
 * library, against pinned or cached keys) and answered here from what was found.
 */
export type TokenSignature = (token: string) => boolean;

const tokenLimits: JsonLimits = {
  bytesMax: 262_144,
  depthMax: 16,
  keysPerObjectMax: 512,
  valuesMax: 16_384,
  stringBytesMax: 65_536,
  numberCharsMax: 24,
  duplicateKeys: 'refuse',
};

/** Reads the compact form. Critical header parameters are refused: none is understood. */
export function parseToken(text: string): Result<Token, Finding> {
  const [head, body, signature, ...more] = text.split('.');
  if (head === undefined || body === undefined || signature === undefined || more.length > 0) {
    return err(finding('malformed_token', 'not three parts'));
  }
  const header = jsonPart(head);
  const claims = jsonPart(body);
  if (header === undefined || claims === undefined || fromBase64Url(signature) === undefined) {
    return err(finding('malformed_token', 'not base64url JSON'));
  }
  const algorithm = header['alg'];
  if (typeof algorithm !== 'string' || header['crit'] !== undefined) {
    return err(finding('malformed_token', 'header'));
  }
  return ok({ text, algorithm, claims });
}

function jsonPart(part: string): JsonObject | undefined {
  const bytes = fromBase64Url(part);
  const value = bytes === undefined ? undefined : readJson(bytes, tokenLimits);
  return value?.ok === true ? objectOf(value.value) : undefined;
}

/** The JSON document that tools print around tokens. */
export function parseTokenDocument(bytes: Uint8Array): JsonValue | undefined {
  const value = readJson(bytes, tokenLimits);
  return value.ok ? value.value : undefined;
}

export function objectOf(value: JsonValue | undefined): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  // Neither null nor an array, so it is the object member of the union.
  return value as JsonObject;
}

export function textOfToken(bytes: Uint8Array): string {
  return (utf8Text(bytes) ?? '').trim();
}

/** Signature problems of a token: `none` is unsigned whatever follows it. */
export function signatureFindings(
  { text, algorithm }: Token,
  expected: { readonly algorithms: readonly string[]; readonly isSigned: TokenSignature },
): Finding[] {
  if (algorithm.toLowerCase() === 'none' || text.endsWith('.')) {
    return [finding('token_unsigned', `alg ${algorithm}`)];
  }
  if (!expected.algorithms.includes(algorithm)) {
    return [finding('token_signature_invalid', `alg ${algorithm}`)];
  }
  return expected.isSigned(text) ? [] : [finding('token_signature_invalid', '')];
}

export interface TokenTimes {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly issuedAtMs: number | undefined;
}

/** `nbf`, `exp`, `iat` in epoch ms. A token without `exp` never was valid. */
export function timesOf(claims: JsonObject): TokenTimes {
  const seconds = (key: string): number | undefined => {
    const value = claims[key];
    return typeof value === 'number' ? value * 1000 : undefined;
  };
  const issuedAtMs = seconds('iat');
  return {
    notBeforeMs: seconds('nbf') ?? issuedAtMs ?? Number.NEGATIVE_INFINITY,
    notAfterMs: seconds('exp') ?? Number.NEGATIVE_INFINITY,
    issuedAtMs,
  };
}

export function timeFindings(times: TokenTimes, nowMs: number): Finding[] {
  if (nowMs < times.notBeforeMs) return [finding('evidence_from_future', 'token')];
  // RFC 7519 4.1.4: at the instant of `exp` the token is already refused.
  return nowMs >= times.notAfterMs ? [finding('evidence_too_old', 'token has expired')] : [];
}
