import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Command, StateEvent } from './command.ts';
import type { DecideContext, Decision } from './decision.ts';
import { stateLimits } from './limits.ts';
import type { NetworkNode, NetworkState } from './network.ts';
import { freeAddress } from './network-address.ts';
import { preAuthKeyProblem, userOf } from './network-decide.ts';
import { freeLabel, labelOf } from './network-name.ts';

type Register = Extract<Command, { kind: 'node.register' }>;

/** What an admission gives: whose the node is, and what it costs. */
interface Admitted {
  readonly userId: string | undefined;
  readonly tags: readonly string[];
  readonly ephemeral: boolean;
  readonly approved: boolean;
  readonly admittedBy?: string;
  readonly awaitsBinding?: boolean;
  readonly events: readonly StateEvent[];
}

/**
 * Admits a machine. Decided one after another, so that a key for one machine admits one, whoever asks at the same
 * time. A node key is never given to another machine key, and never leaves it.
 */
export function registerNode(
  network: NetworkState,
  command: Register,
  context: DecideContext,
): Decision {
  const holder = network.nodesByKey.get(command.nodeKey);
  if (holder !== undefined && holder.machineKey !== command.machineKey) {
    return refuse('access_denied', 'This node key belongs to another machine.');
  }
  if (command.admission.by === 'old-key') {
    return rotateKey(network, command, command.admission.oldNodeKey, context.nowMs);
  }
  if (holder !== undefined && isRepeated(network, command, holder, context.nowMs)) return ok([]);
  const admitted = admit(network, command, context.nowMs);
  if (!admitted.ok) return admitted;
  const before = holder ?? sameOwnerOf(network, command.machineKey, admitted.value);
  const node =
    before === undefined
      ? newNode(network, command, admitted.value, context.nowMs)
      : ok(renewed(before, command, admitted.value, context.nowMs));
  if (!node.ok) return node;
  return ok([...admitted.value.events, { kind: 'node.saved', node: node.value }]);
}

/** The machine that used a key may show it again, as containers do at every start. */
function isRepeated(
  network: NetworkState,
  { admission }: Register,
  holder: NetworkNode,
  nowMs: number,
): boolean {
  if (admission.by !== 'key') return false;
  const key = network.preAuthKeysByDigest.get(admission.digest);
  const isOver = holder.keyExpiresAtMs !== undefined && nowMs >= holder.keyExpiresAtMs;
  return key !== undefined && holder.admittedBy === key.id && !isOver;
}

function rotateKey(
  network: NetworkState,
  command: Register,
  oldNodeKey: string,
  nowMs: number,
): Decision {
  const node = network.nodesByKey.get(oldNodeKey);
  if (node === undefined || node.machineKey !== command.machineKey) {
    return refuse('access_denied', 'The key to replace is not one of this machine.');
  }
  if (node.keyExpiresAtMs !== undefined && nowMs >= node.keyExpiresAtMs) {
    return refuse('access_denied', 'The key to replace has expired. Sign in again.');
  }
  return ok([{ kind: 'node.saved', node: { ...node, nodeKey: command.nodeKey } }]);
}

function admit(network: NetworkState, command: Register, nowMs: number): Result<Admitted, Refusal> {
  const { admission, needsApproval, ephemeral, tags } = command;
  if (admission.by === 'key') return admitByKey(network, command, admission.digest, nowMs);
  const approved = !needsApproval || admission.by === 'tags';
  if (admission.by === 'user') {
    const found = userOf(network, admission.user, nowMs);
    if (!found.ok) return found;
    const { user, events } = found.value;
    return ok({ userId: user.id, tags, ephemeral, approved, events });
  }
  if (tags.length === 0) return refuse('invalid_request', 'A node needs a user or a tag.');
  return ok({ userId: undefined, tags, ephemeral, approved, events: [] });
}

function admitByKey(
  network: NetworkState,
  { tags, needsApproval }: Register,
  digest: string,
  nowMs: number,
): Result<Admitted, Refusal> {
  const key = network.preAuthKeysByDigest.get(digest);
  if (key === undefined)
    return refuse('credential_invalid', 'This pre-auth key is not known here.');
  const problem = preAuthKeyProblem(key, nowMs);
  if (problem !== undefined) {
    return refuse('credential_invalid', `This pre-auth key (${key.id}) admits nobody: ${problem}.`);
  }
  const used = key.usedAtMs === undefined ? { ...key, usedAtMs: nowMs } : key;
  return ok({
    userId: key.userId,
    tags: [...new Set([...key.tags, ...tags])].toSorted(),
    ephemeral: key.ephemeral,
    approved: key.awaitsBinding !== true && (key.preApproved || !needsApproval),
    admittedBy: key.id,
    ...(key.awaitsBinding === true ? { awaitsBinding: true } : {}),
    events: used === key ? [] : [{ kind: 'preauthkey.saved', key: used }],
  });
}

/** A machine that comes back under the same owner is the node that it was: same name, same addresses. */
function sameOwnerOf(
  network: NetworkState,
  machineKey: string,
  { userId, tags }: Admitted,
): NetworkNode | undefined {
  return (network.nodesByMachine.get(machineKey) ?? []).find((node) =>
    tags.length > 0 ? node.tags.length > 0 : node.tags.length === 0 && node.userId === userId,
  );
}

function renewed(
  before: NetworkNode,
  command: Register,
  admitted: Admitted,
  nowMs: number,
): NetworkNode {
  const { keyExpiresAtMs: _end, userId: _user, admittedBy: _by, ...rest } = before;
  // What was bound is a node key: another one waits again.
  const keeps = admitted.awaitsBinding !== true || before.nodeKey === command.nodeKey;
  return {
    ...rest,
    nodeKey: command.nodeKey,
    ...ownershipOf(admitted),
    approved: (keeps && before.approved) || admitted.approved,
    ephemeral: admitted.ephemeral,
    ...endOf(command, admitted, nowMs),
  };
}

function newNode(
  network: NetworkState,
  command: Register,
  admitted: Admitted,
  nowMs: number,
): Result<NetworkNode, Refusal> {
  if (network.nodesById.size >= stateLimits.nodesMax) {
    return refuse(
      'conflict',
      `There are ${network.nodesById.size} nodes, as many as Postern keeps.`,
    );
  }
  const number = network.lastNode + 1;
  const isTaken = (address: string): boolean => network.nodesByAddress.has(address);
  const ipv4 = freeAddress(command.ipv4Pool, number, isTaken);
  const ipv6 = freeAddress(command.ipv6Pool, number, isTaken);
  if (ipv4 === undefined || ipv6 === undefined) {
    return refuse('conflict', 'There is no free address in the range of this network.');
  }
  return ok({
    id: `n${number}`,
    number,
    machineKey: command.machineKey,
    nodeKey: command.nodeKey,
    name: freeLabel(labelOf(command.hostname), (label) => network.nodesByName.has(label)),
    isNamed: false,
    ...ownershipOf(admitted),
    addresses: [ipv4, ipv6],
    approved: admitted.approved,
    ephemeral: admitted.ephemeral,
    approvedRoutes: [],
    ...endOf(command, admitted, nowMs),
    createdAtMs: nowMs,
  });
}

function ownershipOf({
  userId,
  tags,
  admittedBy,
}: Admitted): Pick<NetworkNode, 'userId' | 'tags' | 'admittedBy'> {
  return {
    ...(userId === undefined ? {} : { userId }),
    tags,
    ...(admittedBy === undefined ? {} : { admittedBy }),
  };
}

function endOf(
  { keyLifeMs }: Register,
  { tags }: Admitted,
  nowMs: number,
): Pick<NetworkNode, 'keyExpiresAtMs'> {
  return keyLifeMs === undefined || tags.length > 0 ? {} : { keyExpiresAtMs: nowMs + keyLifeMs };
}
