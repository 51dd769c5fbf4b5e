import type { Result } from '@postern/core/base';
import { ok, present, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { CredentialScope } from '@postern/core/identity';
import type { KeyRecord } from '@postern/core/state';
import { findKey, keyDigest, mintSecretText, secretHint } from '@postern/core/state';
import type { Control, Requester } from './control.ts';

export interface KeyRequest {
  readonly name: string;
  readonly scope: CredentialScope;
  readonly boundTo: readonly string[];
  readonly expiresAtMs?: number;
  readonly description?: string;
}

export interface CreatedKey {
  readonly key: KeyRecord;
  /** The only time that anybody sees it: Postern keeps its digest. */
  readonly secret: Secret;
}

/** Makes a key. The secret is given out only after the key is durable. A key administers only where it says so. */
export async function createKey(
  control: Control,
  request: KeyRequest,
  by: Requester,
): Promise<Result<CreatedKey, Refusal>> {
  const { randomBytes, sha256Hex } = control.system;
  const secretText = mintSecretText(randomBytes);
  const done = await control.execute(
    {
      kind: 'key.create',
      ...request,
      scope: { ...request.scope, admin: request.scope.admin ?? false },
      digest: keyDigest(secretText, sha256Hex),
      hint: secretHint(secretText),
    },
    by,
  );
  if (!done.ok) return done;
  const created = done.value.events.find((event) => event.kind === 'key.created');
  return ok({ key: present(created, 'the key just made').key, secret: new Secret(secretText) });
}

export interface KeyRevocation {
  /** Id, or name of a key that is not revoked. */
  readonly key: string;
  readonly reason?: string;
  /** Also what the key made. */
  readonly withChildren: boolean;
}

/** Revokes a key; revoking it again is no mistake. Returns every key that was revoked now. */
export async function revokeKey(
  control: Control,
  request: KeyRevocation,
  by: Requester,
): Promise<Result<readonly KeyRecord[], Refusal>> {
  const done = await control.execute({ kind: 'key.revoke', ...request }, by);
  if (!done.ok) return done;
  const { events, snapshot } = done.value;
  return ok(
    events
      .filter((event) => event.kind === 'key.revoked')
      .map(({ id }) => present(snapshot.keysById.get(id), `key ${id} just revoked`)),
  );
}

/** Keys in the order of their making. */
export function listKeys(control: Control): readonly KeyRecord[] {
  return [...control.snapshot().keysById.values()].toSorted(
    (a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1),
  );
}

export function showKey(control: Control, idOrName: string): Result<KeyRecord, Refusal> {
  const key = findKey(control.snapshot(), idOrName);
  return key === undefined ? refuse('not_found', `There is no key ${idOrName}.`) : ok(key);
}
