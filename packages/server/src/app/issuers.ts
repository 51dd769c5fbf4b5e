import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config, IssuerConfig } from '@postern/core/contract';
import type { IdentityMap } from '@postern/core/identity';
import type { State } from '@postern/core/state';
import type { IssuerKeys } from '../adapters/identity-jwt/index.ts';
import {
  createTokenAuthenticator,
  keySetFromFile,
  keySetFromUrl,
  PublishedKeys,
  SharedSecret,
} from '../adapters/identity-jwt/index.ts';
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

  keysOf(issuer: IssuerConfig, surroundings: IssuerSurroundings): Result<IssuerKeys, string> {
    const source = JSON.stringify([issuer.issuer, issuer.jwksUrl, issuer.jwksFile, issuer.secret]);
    const known = this.#kept.get(source);
    if (known !== undefined) return ok(known);
    const made = makeKeys(issuer, surroundings);
    if (made.ok) this.#kept.set(source, made.value);
    return made;
  }
}

function makeKeys(
  issuer: IssuerConfig,
  surroundings: IssuerSurroundings,
): Result<IssuerKeys, string> {
  const { nowMs, egress } = surroundings;
  const clocks = { issuer: issuer.issuer, nowMs, monotonicMs: () => performance.now() };
  if (issuer.jwksUrl !== undefined) {
    return ok(new PublishedKeys({ ...clocks, load: keySetFromUrl(egress, issuer.jwksUrl) }));
  }
  if (issuer.jwksFile !== undefined) {
    return ok(new PublishedKeys({ ...clocks, load: keySetFromFile(issuer.jwksFile) }));
  }
  if (issuer.secret === undefined) return err(`issuer ${issuer.issuer} has no keys`);
  return ok(new SharedSecret(issuer.issuer, secretReader(issuer.secret, surroundings)));
}

/** The verifier of the configured issuers' tokens; undefined where none is configured. */
export function createTokens(
  config: Config,
  identityMap: IdentityMap,
  context: { readonly ring: IssuerKeyRing; readonly surroundings: IssuerSurroundings },
): Result<CredentialAuthenticator | undefined, string> {
  if (config.identities.issuers.length === 0) return ok(undefined);
  const issuers: (IssuerConfig & { readonly keys: IssuerKeys })[] = [];
  for (const issuer of config.identities.issuers) {
    const keys = context.ring.keysOf(issuer, context.surroundings);
    if (!keys.ok) return keys;
    issuers.push({ ...issuer, keys: keys.value });
  }
  return ok(
    createTokenAuthenticator({
      issuers,
      state: context.surroundings.snapshot,
      identityMap: () => identityMap,
    }),
  );
}
