import type { Result } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { equalSecrets } from '../../http/index.ts';
import type { NetworkEngine } from '../engine/index.ts';
import type { GroupKey } from './ports.ts';

/** Whose machine joins by which key of the network. */
export interface Joining {
  readonly uuid: string;
  readonly owner: string;
  readonly keyId: string;
}

/** What became of the machine at the engine. */
export type DeviceEnd =
  | { readonly device: 'removed' | 'absent' }
  /** It is still there. */
  | { readonly device: 'kept'; readonly why: string };

/**
 * Proves that a machine joined by a key of ours, so that whoever may register cannot have others forgotten at the
 * engine. Made from the registry's own secret, not remembered: any gateway that has it can check.
 */
export async function leaveToken(
  groupKey: GroupKey,
  { uuid, owner, keyId }: Joining,
): Promise<Result<Secret, Refusal>> {
  // No node type has such a name.
  const made = await groupKey(`leave/${JSON.stringify([uuid, owner, keyId])}`, 0);
  return made.ok ? ok(new Secret(`${keyId}.${made.value.reveal()}`)) : made;
}

/** Forgets the machine that joined by the key of a token. To do so twice is no mistake. */
export async function removeDevice(
  { groupKey, engine }: { readonly groupKey: GroupKey; readonly engine: NetworkEngine | undefined },
  { uuid, owner }: Pick<Joining, 'uuid' | 'owner'>,
  token: string,
): Promise<Result<DeviceEnd, Refusal>> {
  const keyId = token.slice(0, Math.max(token.lastIndexOf('.'), 0));
  const expected = await leaveToken(groupKey, { uuid, owner, keyId });
  if (!expected.ok) return expected;
  if (!equalSecrets(expected.value.reveal(), token)) {
    return refuse('access_denied', 'This leave_token is not one of this machine.', {
      param: 'leave_token',
    });
  }
  if (engine === undefined) return kept('no network engine runs behind this registry');
  const listed = await engine.listDevices();
  if (!listed.ok) return kept(listed.error.message);
  const ours = listed.value.filter(({ authKeyId }) => authKeyId === keyId);
  for (const { id } of ours) {
    // oxlint-disable-next-line no-await-in-loop -- keys of ours are for one machine
    const removed = await engine.deleteDevice(id);
    if (!removed.ok && removed.error.code !== 'not_found') return kept(removed.error.message);
  }
  return ok({ device: ours.length > 0 ? 'removed' : 'absent' });
}

function kept(why: string): Result<DeviceEnd, Refusal> {
  return ok({ device: 'kept', why });
}
