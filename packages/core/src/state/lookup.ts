import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { KeyRecord, Revocation, RevocationTarget, State } from './model.ts';
import { targetKey } from './reduce.ts';
import { secretTextKind } from './secret-text.ts';

/** SHA-256 of the UTF-8 bytes of a text, hex in lower case: passed in, since core has no crypto of its own. */
export type Sha256Hex = (text: string) => string;

/** What is kept of a secret. 178 random bits need no salt and no slow hash: there is nothing to guess. */
export function keyDigest(secretText: string, sha256Hex: Sha256Hex): string {
  return sha256Hex(secretText);
}

/**
 * The key that a bearer text is, or why it is none; undefined where it does not claim to be ours. The text is looked
 * up by its digest, so the time that this takes says nothing about other keys.
 */
export function recogniseKey(
  state: State,
  text: string,
  context: { readonly nowMs: number; readonly sha256Hex: Sha256Hex },
): Result<KeyRecord, Refusal> | undefined {
  const kind = secretTextKind(text);
  if (kind === 'foreign') return undefined;
  if (kind === 'mistyped') {
    return refuse(
      'credential_invalid',
      'This key is not complete or has a typo: its checksum does not fit. Copy it again.',
    );
  }
  const key = state.keysByDigest.get(keyDigest(text, context.sha256Hex));
  if (key === undefined) {
    return refuse(
      'credential_invalid',
      'This key is well-formed, but not known here. Was it made for another Postern?',
    );
  }
  return keyStanding(key, context.nowMs);
}

/** Whether a key may be used now. It ends at `expiresAtMs`, not after. */
export function keyStanding(key: KeyRecord, nowMs: number): Result<KeyRecord, Refusal> {
  if (key.revokedAtMs !== undefined) {
    const when = new Date(key.revokedAtMs).toISOString();
    return refuse('credential_revoked', `The key ${key.name} was revoked at ${when}.`);
  }
  if (key.expiresAtMs !== undefined && nowMs >= key.expiresAtMs) {
    const when = new Date(key.expiresAtMs).toISOString();
    return refuse('credential_expired', `The key ${key.name} expired at ${when}.`);
  }
  return ok(key);
}

/** What of a verified token bears on its revocation. */
export interface TokenFacts {
  readonly issuer: string;
  readonly subject: string;
  /** `jti`. */
  readonly tokenId?: string | undefined;
  /** `iat`. A token without it counts as issued before every epoch. */
  readonly issuedAtMs?: number | undefined;
}

/**
 * The revocation that a token falls under, if any. `iat` counts whole seconds, so a token that was issued in the very
 * second of a revocation is refused too.
 */
export function tokenRevocation(state: State, token: TokenFacts): Revocation | undefined {
  const { issuer, subject, tokenId } = token;
  const table = state.revocationsByTarget;
  const issuedAtMs = token.issuedAtMs ?? Number.NEGATIVE_INFINITY;
  const epoch = table.get(targetKey({ by: 'issuer', issuer, issuedBeforeMs: 0 }));
  if (epoch?.target.by === 'issuer' && issuedAtMs < epoch.target.issuedBeforeMs) return epoch;
  const person = table.get(targetKey({ by: 'subject', issuer, subject }));
  if (
    person?.target.by === 'subject' &&
    issuedAtMs < (person.target.issuedBeforeMs ?? Number.POSITIVE_INFINITY)
  ) {
    return person;
  }
  return tokenId === undefined ? undefined : table.get(targetKey({ by: 'token', issuer, tokenId }));
}

/** The revocation of exactly this target, whatever else covers it. */
export function revocationOf(state: State, target: RevocationTarget): Revocation | undefined {
  return state.revocationsByTarget.get(targetKey(target));
}

/** How many keys, revocations, machines and instances a state has: what reading or writing all of it takes. */
export function entriesOf({ keysById, revocationsById, network, registry }: State): number {
  const { usersById, preAuthKeysById, nodesById } = network;
  const tables = [keysById, revocationsById, usersById, preAuthKeysById, nodesById];
  return tables.reduce((sum, { size }) => sum + size, registry.instancesById.size);
}
