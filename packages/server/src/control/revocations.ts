import type { Result } from '@postern/core/base';
import { ok, present } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Revocation, RevocationTarget } from '@postern/core/state';
import { revocationOf } from '@postern/core/state';
import type { Control, Requester } from './control.ts';

export interface RevocationRequest {
  readonly target: RevocationTarget;
  readonly reason?: string;
}

/** Revokes tokens; returns the revocation that is in force, which may be an older one that says as much or more. */
export async function revokeTokens(
  control: Control,
  request: RevocationRequest,
  by: Requester,
): Promise<Result<Revocation, Refusal>> {
  const done = await control.execute({ kind: 'revocation.create', ...request }, by);
  if (!done.ok) return done;
  return ok(present(revocationOf(done.value.snapshot, request.target), 'the revocation in force'));
}

/** Takes back the revocation of a token or subject. */
export async function liftRevocation(
  control: Control,
  id: string,
  by: Requester,
): Promise<Result<void, Refusal>> {
  const done = await control.execute({ kind: 'revocation.lift', id }, by);
  return done.ok ? ok(undefined) : done;
}

export function listRevocations(control: Control): readonly Revocation[] {
  return [...control.snapshot().revocationsById.values()].toSorted(
    (a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1),
  );
}
