import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Configuration, IDToken } from 'openid-client';
import * as oidc from 'openid-client';
import type { SignedIn, SignIn } from '../../coordination/index.ts';
import type { Egress } from '../../http/index.ts';
import { egressFetch } from './egress-fetch.ts';

export interface OidcSignInOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly callbackUrl: string;
  /** Of verified e-mail addresses; empty: whoever the issuer knows. */
  readonly allowedDomains: readonly string[];
  readonly egress: Egress;
  readonly nowMs: () => number;
}

/** One sign-in between the redirect and the answer. */
interface Begun {
  readonly requestId: string;
  readonly verifier: string;
  readonly nonce: string;
  /** What the browser that began it holds as a cookie. */
  readonly browser: string;
  readonly expiresAtMs: number;
}

const lifeMs = 600_000;
const pendingMax = 1_000;

export function createOidcSignIn(options: OidcSignInOptions): SignIn {
  return new OidcSignIn(options);
}

class OidcSignIn implements SignIn {
  readonly #options: OidcSignInOptions;
  readonly #begun = new Map<string, Begun>();
  #discovered: Promise<Configuration> | undefined;

  constructor(options: OidcSignInOptions) {
    this.#options = options;
  }

  async begin(
    requestId: string,
  ): Promise<Result<{ readonly location: string; readonly browser: string }, string>> {
    const config = await this.#configuration();
    if (!config.ok) return config;
    const state = oidc.randomState();
    const begun: Begun = {
      requestId,
      verifier: oidc.randomPKCECodeVerifier(),
      nonce: oidc.randomNonce(),
      browser: oidc.randomState(),
      expiresAtMs: this.#options.nowMs() + lifeMs,
    };
    const [first] = this.#begun.keys();
    if (this.#begun.size >= pendingMax && first !== undefined) this.#begun.delete(first);
    this.#begun.set(state, begun);
    const url = oidc.buildAuthorizationUrl(config.value, {
      redirect_uri: this.#options.callbackUrl,
      scope: 'openid email profile',
      state,
      nonce: begun.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(begun.verifier),
      code_challenge_method: 'S256',
    });
    return ok({ location: url.href, browser: begun.browser });
  }

  async finish(
    url: URL,
    browser: string,
  ): Promise<Result<{ readonly requestId: string; readonly who: SignedIn }, string>> {
    const state = url.searchParams.get('state') ?? '';
    const begun = this.#begun.get(state);
    this.#begun.delete(state);
    if (begun === undefined || this.#options.nowMs() >= begun.expiresAtMs) {
      return err('this sign-in is over or was answered already');
    }
    if (begun.browser !== browser) return err('another browser began this sign-in');
    const config = await this.#configuration();
    if (!config.ok) return config;
    try {
      const tokens = await oidc.authorizationCodeGrant(config.value, url, {
        pkceCodeVerifier: begun.verifier,
        expectedState: state,
        expectedNonce: begun.nonce,
        idTokenExpected: true,
      });
      const who = this.#person(tokens.claims());
      return who.ok ? ok({ requestId: begun.requestId, who: who.value }) : who;
    } catch (cause) {
      return err(`the issuer did not confirm it: ${messageOf(cause)}`);
    }
  }

  #person(claims: IDToken | undefined): Result<SignedIn, string> {
    if (claims === undefined) return err('the issuer sent no id token');
    const { iss, sub } = claims;
    const email = typeof claims['email'] === 'string' ? claims['email'] : '';
    const isVerified = claims['email_verified'] === true && /^[^\s@]+@[^\s@]+$/.test(email);
    const { allowedDomains } = this.#options;
    const domain = email.split('@').at(-1)?.toLowerCase() ?? '';
    const isAllowed =
      allowedDomains.length === 0 ||
      (isVerified && allowedDomains.some((each) => each.toLowerCase() === domain));
    if (!isAllowed) return err('people of this e-mail domain may not join');
    // Without a verified address the login is one that no e-mail domain can claim.
    const login = isVerified ? email.toLowerCase() : `${sub}@${new URL(iss).hostname}.invalid`;
    const name = claims['name'];
    const displayName = typeof name === 'string' && name !== '' ? name.slice(0, 200) : login;
    return ok({ authority: iss, subject: sub, login, displayName });
  }

  async #configuration(): Promise<Result<Configuration, string>> {
    this.#discovered ??= this.#discover();
    try {
      return ok(await this.#discovered);
    } catch (cause) {
      this.#discovered = undefined;
      return err(`the issuer cannot be reached: ${messageOf(cause)}`);
    }
  }

  #discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret, egress } = this.#options;
    const server = new URL(issuer);
    const isPlain = server.protocol === 'http:';
    return oidc.discovery(
      server,
      clientId,
      clientSecret,
      clientSecret === undefined ? oidc.None() : undefined,
      {
        [oidc.customFetch]: egressFetch(egress),
        // The operator wrote http: an issuer beside us.
        execute: isPlain ? [oidc.allowInsecureRequests] : [],
      },
    );
  }
}
