import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config, IssuerConfig } from '@postern/core/contract';
import type { IdentityMap } from '@postern/core/identity';
import type { State } from '@postern/core/state';
import type * as Adapter from '../adapters/identity-jwt/index.ts';
import type { IssuerKeys } from '../adapters/identity-jwt/index.ts';
import { secretReader } from '../adapters/secrets/index.ts';
import type { CredentialAuthenticator } from '../gateway/index.ts';
import type { Egress } from '../http/index.ts';

export interface IssuerSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
  readonly snapshot: () => State;
}

/**
 * The key material of issuers, kept across reloads: a changed configuration must not forget the last good keys of an
 * issuer that cannot be reached just now.
 */
export class IssuerKeyRing {
  readonly #kept = new Map<string, IssuerKeys>();

  keysOf(issuer: IssuerConfig, make: () => Result<IssuerKeys, string>): Result<IssuerKeys, string> {
    const source = JSON.stringify([issuer.issuer, issuer.jwksUrl, issuer.jwksFile, issuer.secret]);
    const known = this.#kept.get(source);
    if (known !== undefined) return ok(known);
    const made = make();
    if (made.ok) this.#kept.set(source, made.value);
    return made;
  }

  /** Of the published keys that were read the longest time ago. */
  oldestAgeMs(): number | undefined {
    let oldest: number | undefined;
    for (const keys of this.#kept.values()) {
      const age = keys.ageMs?.();
      if (age !== undefined) oldest = Math.max(oldest ?? 0, age);
    }
    return oldest;
  }
}

type Verifier = typeof Adapter;

function makeKeys(
  verifier: Verifier,
  issuer: IssuerConfig,
  surroundings: IssuerSurroundings,
): Result<IssuerKeys, string> {
  const { nowMs, egress } = surroundings;
  const clocks = { issuer: issuer.issuer, nowMs, monotonicMs: () => performance.now() };
  const { PublishedKeys, SharedSecret } = verifier;
  if (issuer.jwksUrl !== undefined) {
    return ok(
      new PublishedKeys({ ...clocks, load: verifier.keySetFromUrl(egress, issuer.jwksUrl) }),
    );
  }
  if (issuer.jwksFile !== undefined) {
    return ok(new PublishedKeys({ ...clocks, load: verifier.keySetFromFile(issuer.jwksFile) }));
  }
  if (issuer.secret === undefined) return err(`issuer ${issuer.issuer} has no keys`);
  return ok(new SharedSecret(issuer.issuer, secretReader(issuer.secret, surroundings)));
}

/** The verifier of the configured issuers' tokens, loaded only where one is configured; else undefined. */
export async function createTokens(
  config: Config,
  identityMap: IdentityMap,
  context: { readonly ring: IssuerKeyRing; readonly surroundings: IssuerSurroundings },
): Promise<Result<CredentialAuthenticator | undefined, string>> {
  if (config.identities.issuers.length === 0) return ok(undefined);
  const verifier = await import('../adapters/identity-jwt/index.ts');
  const issuers: (IssuerConfig & { readonly keys: IssuerKeys })[] = [];
  for (const issuer of config.identities.issuers) {
    const keys = context.ring.keysOf(issuer, () =>
      makeKeys(verifier, issuer, context.surroundings),
    );
    if (!keys.ok) return keys;
    issuers.push({ ...issuer, keys: keys.value });
  }
  return ok(
    verifier.createTokenAuthenticator({
      issuers,
      state: context.surroundings.snapshot,
      identityMap: () => identityMap,
    }),
  );
}
