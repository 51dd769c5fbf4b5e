/**
 * @module Keys of Postern (`pst_…`) as credentials.
 *
 * Promises: a key is found by the digest of its whole text in the newest snapshot, so a revoked key is refused with
 * the next request, and how long a lookup takes says nothing about other keys; every way of being wrong has its own
 * code and sentence. Refuses: storing, caching or logging the text of a key.
 */
import { hash } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { assert, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { keyPrefix } from '@postern/core/identity';
import type { IdentityMap, Principal } from '@postern/core/identity';
import { recogniseKey } from '@postern/core/state';
import type { KeyRecord, State } from '@postern/core/state';
import type { CredentialAuthenticator, VerifiedCredential } from '../../gateway/identity-ports.ts';

export interface KeyAuthenticatorOptions {
  /** The newest snapshot. */
  readonly state: () => State;
  /** What keys are for policy. */
  readonly identityMap: () => IdentityMap;
}

export function createKeyAuthenticator(options: KeyAuthenticatorOptions): CredentialAuthenticator {
  const principals = new PrincipalOfKey();
  return {
    claims: (token) => token.startsWith(keyPrefix),
    verify: (token, nowMs) => Promise.resolve(verifyKey(token, nowMs, options, principals)),
  };
}

/** One object for each key as it is, so that whoever decides about it can remember what it decided. */
class PrincipalOfKey {
  readonly #known = new WeakMap<KeyRecord, { map: IdentityMap; principal: Principal }>();

  of(key: KeyRecord, map: IdentityMap): Principal {
    const known = this.#known.get(key);
    if (known?.map === map) return known.principal;
    const principal = principalOfKey(key, map);
    this.#known.set(key, { map, principal });
    return principal;
  }
}

function verifyKey(
  token: string,
  nowMs: number,
  options: KeyAuthenticatorOptions,
  principals: PrincipalOfKey,
): Result<VerifiedCredential, Refusal> {
  const state = options.state();
  const map = options.identityMap();
  const key = recogniseKey(state, token, { nowMs, sha256Hex });
  assert(key !== undefined, 'only a text that claims to be a key is verified as one');
  if (!key.ok) return key;
  const { scope, boundTo, expiresAtMs } = key.value;
  if (scope.network !== undefined) {
    return refuse(
      'credential_invalid',
      'This is the secret of an OAuth client: exchange it for a token at /api/v2/oauth/token of the control listener.',
    );
  }
  return ok({
    subject: principals.of(key.value, map),
    scope,
    boundTo,
    expiresAtMs,
    // A snapshot is replaced whole with every change, revocations among them.
    stillHolds: (laterMs) =>
      options.state() === state &&
      options.identityMap() === map &&
      (expiresAtMs === undefined || laterMs < expiresAtMs),
  });
}

/** A key as a principal. Its name is unique among the keys that count, its id for ever. */
export function principalOfKey(key: KeyRecord, identityMap: IdentityMap): Principal {
  return {
    authority: 'key',
    id: key.id,
    kind: 'key',
    display: key.name,
    selectors: identityMap.keySelectors(key.id, key.name),
  };
}

function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex');
}
