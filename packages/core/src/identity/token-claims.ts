import type { JsonObject, JsonValue, Result } from '../base/index.ts';
import { ok } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { refuse } from '../errors/index.ts';

/** What an issuer's tokens must say. */
export interface TokenRules {
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Clocks may differ by this much, at most 60. */
  readonly leewaySeconds: number;
  readonly lifetimeSecondsMax: number;
}

/** The claims that count for identification, checked. Times are epoch ms. */
export interface TokenClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly tokenId: string | undefined;
  readonly issuedAtMs: number | undefined;
  readonly expiresAtMs: number;
  readonly all: JsonObject;
}

/** No issuer needs more; a wider one would let an expired token live on. */
export const leewaySecondsMax = 60;
/** End of the year 9999: a later date is a mistake of units (milliseconds) or an attack on arithmetic. */
const secondsMax = 253_402_300_799;
const subjectCharsMax = 255;
const tokenIdCharsMax = 256;
const audiencesMax = 64;

type Checked<T> = Result<T, Refusal>;

/**
 * Checks the registered claims (RFC 7519 section 4.1) against the rules of the issuer at `nowMs`. Expiry and audience
 * are required; dates are whole seconds.
 */
export function judgeTokenClaims(
  claims: JsonObject,
  rules: TokenRules,
  nowMs: number,
): Checked<TokenClaims> {
  if (claims['iss'] !== rules.issuer) return invalid('It is from another issuer.');
  const subject = claims['sub'];
  if (!isName(subject, subjectCharsMax))
    return invalid(`Its subject (sub) is not a text of 1 to ${subjectCharsMax} characters.`);
  if (!isForUs(claims['aud'], rules.audience))
    return invalid(
      `It is not meant for this gateway: its audience (aud) has none of ${rules.audience.join(', ')}.`,
    );
  const tokenId = claims['jti'];
  if (tokenId !== undefined && !isName(tokenId, tokenIdCharsMax))
    return invalid(`Its id (jti) is not a text of 1 to ${tokenIdCharsMax} characters.`);
  const times = judgeTimes(claims, rules, nowMs);
  if (!times.ok) return times;
  return ok({ issuer: rules.issuer, subject, tokenId, ...times.value, all: claims });
}

function judgeTimes(
  claims: JsonObject,
  rules: TokenRules,
  nowMs: number,
): Checked<{ readonly issuedAtMs: number | undefined; readonly expiresAtMs: number }> {
  for (const name of ['exp', 'nbf', 'iat'] as const) {
    if (claims[name] !== undefined && !isDate(claims[name]))
      return invalid(`Its ${name} is not a date in whole seconds.`);
  }
  const expiresAtMs = dateMs(claims['exp']);
  const notBeforeMs = dateMs(claims['nbf']);
  const issuedAtMs = dateMs(claims['iat']);
  const leewayMs = Math.min(rules.leewaySeconds, leewaySecondsMax) * 1_000;
  if (expiresAtMs === undefined) return invalid('It has no expiry (exp).');
  if (nowMs >= expiresAtMs + leewayMs) {
    return refuse(
      'credential_expired',
      `The token expired at ${new Date(expiresAtMs).toISOString()}. Get a new one from its issuer.`,
    );
  }
  if (notBeforeMs !== undefined && notBeforeMs > nowMs + leewayMs)
    return invalid(`It is not valid before ${new Date(notBeforeMs).toISOString()} (nbf).`);
  if (issuedAtMs !== undefined && issuedAtMs > nowMs + leewayMs)
    return invalid('It was issued in the future (iat): the clocks of issuer and gateway differ.');
  const lifetimeMsMax = rules.lifetimeSecondsMax * 1_000;
  const startMs = Math.min(issuedAtMs ?? notBeforeMs ?? nowMs, nowMs + leewayMs);
  if (expiresAtMs - startMs > lifetimeMsMax || expiresAtMs - nowMs > lifetimeMsMax + leewayMs)
    return invalid(`It lives longer than ${rules.lifetimeSecondsMax} seconds.`);
  return ok({ issuedAtMs, expiresAtMs });
}

function isDate(value: JsonValue | undefined): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= secondsMax;
}

function dateMs(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' ? value * 1_000 : undefined;
}

function isForUs(audience: JsonValue | undefined, ours: readonly string[]): boolean {
  const values = Array.isArray(audience) ? audience : [audience];
  if (values.length > audiencesMax || values.some((value) => typeof value !== 'string'))
    return false;
  return ours.some((one) => values.includes(one));
}

/** A text fit for records and keys: not empty, bounded, without control characters. */
function isName(value: JsonValue | undefined, charsMax: number): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= charsMax &&
    !/\p{Cc}|\p{Cs}/u.test(value)
  );
}

/**
 * Stable id of a subject within the authority `jwt`. `#` in an issuer is written `%23`, so that no two pairs of issuer
 * and subject share one id.
 */
export function tokenPrincipalId(issuer: string, subject: string): string {
  return `${issuer.replaceAll('%', '%25').replaceAll('#', '%23')}#${subject}`;
}

function invalid(why: string): Result<never, Refusal> {
  return refuse('credential_invalid', `The token is not accepted. ${why}`);
}
