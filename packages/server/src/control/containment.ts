import type { Result } from '@postern/core/base';
import { ok, present, Secret } from '@postern/core/base';
import { formatPrefix, maskedPrefix, parsePrefixOrAddr } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Block, BlockTarget } from '@postern/core/state';
import { blockKey, isBlockOver, keyDigest, mintSecretText, secretHint } from '@postern/core/state';
import type { Control, Requester } from './control.ts';
import type { CreatedKey } from './keys.ts';

export interface BlockRequest {
  readonly target: BlockTarget;
  readonly expiresAtMs?: number;
  readonly reason?: string;
}

/** Blocks; returns the block that is in force, which may be an older one that lasts longer. */
export async function blockTarget(
  control: Control,
  request: BlockRequest,
  by: Requester,
): Promise<Result<Block, Refusal>> {
  const done = await control.execute({ kind: 'block.create', ...request }, by);
  if (!done.ok) return done;
  const { blocksByTarget } = done.value.snapshot.containment;
  return ok(present(blocksByTarget.get(blockKey(request.target)), 'the block in force'));
}

/** Those in force, the oldest first. */
export function listBlocks(control: Control): readonly Block[] {
  const nowMs = control.system.nowMs();
  return [...control.snapshot().containment.blocksById.values()]
    .filter((block) => !isBlockOver(block, nowMs))
    .toSorted((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1));
}

/** An address or a prefix as people write them, in the form that the state keeps. */
export function addressTarget(text: string): Result<BlockTarget, Refusal> {
  const prefix = parsePrefixOrAddr(text);
  return prefix.ok
    ? ok({ by: 'address', prefix: formatPrefix(maskedPrefix(prefix.value)) })
    : refuse('invalid_request', `${text} is no address and no prefix.`, { param: 'address' });
}

/** Replaces the secret of a key; the old one counts no more from the same record on. */
export async function rotateKey(
  control: Control,
  request: { readonly key: string; readonly reason?: string },
  by: Requester,
): Promise<Result<CreatedKey, Refusal>> {
  const { randomBytes, sha256Hex } = control.system;
  const secretText = mintSecretText(randomBytes);
  const done = await control.execute(
    {
      kind: 'key.rotate',
      ...request,
      digest: keyDigest(secretText, sha256Hex),
      hint: secretHint(secretText),
    },
    by,
  );
  if (!done.ok) return done;
  const created = done.value.events.find((event) => event.kind === 'key.created');
  return ok({ key: present(created, 'the key just made').key, secret: new Secret(secretText) });
}
