import type { Result } from '@postern/core/base';
import { ok, present, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { KnownNode, NetworkCommand, NetworkNode, PreAuthKey } from '@postern/core/state';
import { findNode, mintSecretText, secretHint } from '@postern/core/state';
import type { Control, Requester } from '../control.ts';
import type { AdmitAs, NetworkDesk } from './ports.ts';

export interface PreAuthKeyRequest {
  readonly login?: string;
  readonly tags: readonly string[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly preApproved: boolean;
  readonly awaitsBinding?: boolean;
  readonly lifeMs: number;
  readonly description?: string;
}

export interface CreatedPreAuthKey {
  readonly key: PreAuthKey;
  /** The only time that anybody sees it. */
  readonly secret: Secret;
}

/** Not that of gateway keys: whoever finds one should see what it opens. It never holds `--TL`, which clients cut at. */
const preAuthPrefix = 'pstauth-';

/** Makes a key by which machines join. The secret is given out only after the key is durable. */
export async function createPreAuthKey(
  control: Control,
  request: PreAuthKeyRequest,
  by: Requester,
): Promise<Result<CreatedPreAuthKey, Refusal>> {
  const { randomBytes, sha256Hex } = control.system;
  const minted = mintSecretText(randomBytes);
  const text = preAuthPrefix + minted.slice(minted.indexOf('_') + 1);
  const digest = sha256Hex(text);
  const done = await control.execute(
    { kind: 'preauthkey.create', ...request, digest, hint: secretHint(text) },
    by,
  );
  if (!done.ok) return done;
  const key = done.value.snapshot.network.preAuthKeysByDigest.get(digest);
  return ok({ key: present(key, 'the pre-auth key just made'), secret: new Secret(text) });
}

export function listPreAuthKeys(control: Control): readonly PreAuthKey[] {
  return [...control.snapshot().network.preAuthKeysById.values()].toSorted(
    (a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1),
  );
}

/** Nodes in the order in which they joined. */
export function listNodes(control: Control): readonly NetworkNode[] {
  return [...control.snapshot().network.nodesById.values()].toSorted((a, b) => a.number - b.number);
}

export function showNode(control: Control, text: string): Result<NetworkNode, Refusal> {
  const node = findNode(control.snapshot().network, text);
  return node === undefined
    ? refuse('not_found', `There is no node ${text}.`, { param: 'node' })
    : ok(node);
}

type NodeCommand = Extract<
  NetworkCommand,
  { kind: 'node.expire' | 'node.approve' | 'node.rename' | 'node.tag' | 'node.routes' }
>;

/** Changes a node; returns it as it is afterwards. */
export async function changeNode(
  control: Control,
  command: NodeCommand,
  by: Requester,
): Promise<Result<NetworkNode, Refusal>> {
  const found = showNode(control, command.id);
  if (!found.ok) return found;
  const { id } = found.value;
  const done = await control.execute({ ...command, id }, by);
  if (!done.ok) return done;
  const node = done.value.snapshot.network.nodesById.get(id);
  return node === undefined ? refuse('not_found', `The node ${id} is gone.`) : ok(node);
}

export async function deleteNode(
  control: Control,
  text: string,
  by: Requester,
): Promise<Result<NetworkNode, Refusal>> {
  const found = showNode(control, text);
  if (!found.ok) return found;
  const done = await control.execute({ kind: 'node.delete', id: found.value.id }, by);
  return done.ok ? found : done;
}

export interface Adopted {
  readonly adopted: string[];
  readonly known: string[];
  readonly refused: { name: string; reason: string }[];
}

/** Takes over machines one by one: what is wrong with one is no reason to lose the others. */
export async function adoptNodes(
  control: Control,
  nodes: readonly KnownNode[],
  by: Requester,
): Promise<Adopted> {
  const said: Adopted = { adopted: [], known: [], refused: [] };
  for (const node of nodes) {
    const done = await control.execute({ kind: 'node.adopt', ...node }, by);
    if (!done.ok) said.refused.push({ name: node.name, reason: done.error.message });
    else if (done.value.events.length === 0) said.known.push(node.name);
    else said.adopted.push(node.name);
  }
  return said;
}

const waitingId = /^[0-9a-f]{32}$/;

/** Approves a node that joined and waits, or lets in a machine that waits at its sign-in page, approved at once. */
export async function approveNode(
  control: Control,
  desk: NetworkDesk | undefined,
  request: { readonly id: string; readonly as: AdmitAs | undefined },
  by: Requester,
): Promise<Result<NetworkNode, Refusal>> {
  const { as } = request;
  const id = request.id.split('/').at(-1) ?? request.id;
  if (!waitingId.test(id)) return changeNode(control, { kind: 'node.approve', id }, by);
  const running = deskOf(desk);
  if (!running.ok) return running;
  if (as === undefined) {
    return refuse('invalid_request', 'user: say whose machine it is, or which tags it has.', {
      param: 'user',
    });
  }
  const admitted = await running.value.admit(id, as, by.actor.principal);
  if (!admitted.ok || admitted.value.approved) return admitted;
  return changeNode(control, { kind: 'node.approve', id: admitted.value.id }, by);
}

export function deskOf(desk: NetworkDesk | undefined): Result<NetworkDesk, Refusal> {
  return desk === undefined
    ? refuse(
        'conflict',
        'The embedded engine is off. Start it with `postern up --url https://…` or `engine.url` in the configuration.',
      )
    : ok(desk);
}
