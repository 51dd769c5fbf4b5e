import { hash } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { IssuerConfig } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { IdentityMap, Principal, TokenClaims, TokenParts } from '@postern/core/identity';
import {
  claimValues,
  judgeTokenClaims,
  looksLikeToken,
  readToken,
  tokenPayloadText,
  tokenPrincipalId,
} from '@postern/core/identity';
import { tokenRevocation } from '@postern/core/state';
import type { State } from '@postern/core/state';
import { compactVerify, errors } from 'jose';
import type { CredentialAuthenticator, VerifiedCredential } from '../../gateway/identity-ports.ts';
import { configuredName } from './algorithms.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { VerifiedToken } from './verified-tokens.ts';
import { VerifiedTokens } from './verified-tokens.ts';

/** An issuer of the configuration, its key material as something to ask. */
export interface TokenIssuer
  extends Pick<
    IssuerConfig,
    'issuer' | 'audience' | 'algorithms' | 'leewaySeconds' | 'lifetimeSecondsMax' | 'displayClaim'
  > {
  /** `PublishedKeys` or `SharedSecret`. May outlive this authenticator, so that a reload keeps the last good keys. */
  readonly keys: IssuerKeys;
}

export interface TokenAuthenticatorOptions {
  readonly issuers: readonly TokenIssuer[];
  /** The newest snapshot: revocations count with the next request. */
  readonly state: () => State;
  readonly identityMap: () => IdentityMap;
}

const displayCharsMax = 256;

/**
 * Tokens of configured issuers as credentials. The issuer says which algorithms count, the key says which it is for;
 * both must agree before a signature is looked at. Nothing in a token is followed.
 */
export function createTokenAuthenticator(
  options: TokenAuthenticatorOptions,
): CredentialAuthenticator {
  return new TokenAuthenticator(options);
}

class TokenAuthenticator implements CredentialAuthenticator {
  readonly #options: TokenAuthenticatorOptions;
  readonly #issuers = new Map<string, TokenIssuer>();
  readonly #verified = new VerifiedTokens();
  /** The principal of remembered claims, as long as the same map is in force: a map may have 10,000 rows. */
  readonly #principals = new WeakMap<TokenClaims, { map: IdentityMap; principal: Principal }>();
  /** `claims` and `verify` are called in a row with the same text: it is hashed and read once. */
  #last: LastToken = { token: '', digest: '', read: undefined };

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
    for (const issuer of options.issuers) this.#issuers.set(issuer.issuer, issuer);
  }

  /**
   * A JWT whose `iss` is a configured one. Claims that two parsers could read differently count as a claim when they
   * mention such an issuer at all, so that they are refused and not passed over.
   */
  claims(token: string): boolean {
    if (!looksLikeToken(token)) return false;
    if (this.#verified.has(this.#digest(token))) return true;
    const read = this.#read(token);
    if (read.ok) {
      const issuer = read.value.claims['iss'];
      return typeof issuer === 'string' && this.#issuers.has(issuer);
    }
    const text = tokenPayloadText(token)?.replaceAll('\\/', '/') ?? '';
    return [...this.#issuers.keys()].some((issuer) => text.includes(issuer));
  }

  async verify(token: string, nowMs: number): Promise<Result<VerifiedCredential, Refusal>> {
    const digest = this.#digest(token);
    const known = await this.#remembered(digest, nowMs);
    if (known !== undefined) return this.#credential(known.claims);
    const read = this.#read(token);
    if (!read.ok) return invalid(read.error);
    const issuer = this.#issuerOf(read.value);
    if (issuer === undefined) return invalid('Its issuer is not configured here.');
    const verified = await verifyToken(token, read.value, issuer, nowMs);
    if (!verified.ok) return verified;
    this.#verified.put(digest, verified.value);
    return this.#credential(verified.value.claims);
  }

  #issuerOf(parts: TokenParts): TokenIssuer | undefined {
    const name = parts.claims['iss'];
    return typeof name === 'string' ? this.#issuers.get(name) : undefined;
  }

  /** A token that verified before and whose keys and time still hold. */
  async #remembered(digest: string, nowMs: number): Promise<VerifiedToken | undefined> {
    const token = this.#verified.get(digest);
    if (token === undefined) return undefined;
    const issuer = this.#issuers.get(token.claims.issuer);
    const isGood =
      issuer !== undefined &&
      (await issuer.keys.version()) === token.keyVersion &&
      judgeTokenClaims(token.claims.all, issuer, nowMs).ok;
    if (isGood) return token;
    this.#verified.drop(digest);
    return undefined;
  }

  /** Revocation is asked on every request, also for remembered tokens. */
  #credential(claims: TokenClaims): Result<VerifiedCredential, Refusal> {
    if (tokenRevocation(this.#options.state(), claims) !== undefined) {
      return refuse(
        'credential_revoked',
        'The token was revoked. Sign in again, or ask the operator.',
      );
    }
    return ok({ subject: this.#principal(claims), expiresAtMs: claims.expiresAtMs });
  }

  #principal(claims: TokenClaims): Principal {
    const map = this.#options.identityMap();
    const known = this.#principals.get(claims);
    if (known?.map === map) return known.principal;
    const displayClaim = this.#issuers.get(claims.issuer)?.displayClaim;
    const principal = principalOfToken(claims, displayClaim, map);
    this.#principals.set(claims, { map, principal });
    return principal;
  }

  #digest(token: string): string {
    if (this.#last.token !== token)
      this.#last = { token, digest: hash('sha256', token, 'base64url'), read: undefined };
    return this.#last.digest;
  }

  #read(token: string): Result<TokenParts, string> {
    this.#digest(token);
    this.#last.read ??= readToken(token);
    return this.#last.read;
  }
}

interface LastToken {
  readonly token: string;
  readonly digest: string;
  read: Result<TokenParts, string> | undefined;
}

async function verifyToken(
  token: string,
  parts: TokenParts,
  rules: TokenIssuer,
  nowMs: number,
): Promise<Result<VerifiedToken, Refusal>> {
  const accepted: readonly string[] = rules.algorithms;
  if (!accepted.includes(configuredName(parts.algorithm)))
    return invalid(`It is not signed with ${rules.algorithms.join(' or ')}.`);
  // Claims come first: what is expired or meant for others costs no signature and no load of keys.
  const claims = judgeTokenClaims(parts.claims, rules, nowMs);
  if (!claims.ok) return claims;
  const key = await rules.keys.find({
    keyId: parts.keyId,
    algorithm: parts.algorithm,
    issuedAtMs: claims.value.issuedAtMs,
  });
  if (!key.ok) return key;
  try {
    await compactVerify(token, key.value.key, { algorithms: [parts.algorithm] });
  } catch (error) {
    if (error instanceof errors.JOSEError) return invalid('Its signature does not verify.');
    throw error;
  }
  return ok({ claims: claims.value, keyVersion: key.value.version });
}

/** The subject of a token as a principal: keyed by issuer and subject, whatever its e-mail is today. */
function principalOfToken(
  claims: TokenClaims,
  displayClaim: string | undefined,
  identityMap: IdentityMap,
): Principal {
  const shown = displayClaim === undefined ? undefined : claimValues(claims.all, displayClaim)[0];
  const isFit =
    shown !== undefined && shown.length <= displayCharsMax && !/\p{Cc}|\p{Cs}/u.test(shown);
  return {
    authority: 'jwt',
    id: tokenPrincipalId(claims.issuer, claims.subject),
    kind: 'user',
    display: isFit && shown !== '' ? shown : claims.subject,
    selectors: identityMap.tokenSelectors(claims.issuer, claims.all),
  };
}

function invalid(why: string): Result<never, Refusal> {
  return refuse('credential_invalid', `The token is not accepted. ${why}`);
}
