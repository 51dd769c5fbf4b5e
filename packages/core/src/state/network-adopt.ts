import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import type { Command } from './command.ts';
import type { Decision } from './decision.ts';
import { stateLimits } from './limits.ts';
import type { NetworkNode, NetworkState } from './network.ts';
import { userOf } from './network-decide.ts';
import { freeLabel } from './network-name.ts';

type Adopt = Extract<Command, { kind: 'node.adopt' }>;

/**
 * Takes over a machine that another server admitted, from an inventory. It is recognised when it comes back, because
 * only it can prove its machine key. What anybody here has already stays theirs: a key or an address that is taken
 * is refused, a name gets a number, and a machine that is here already is left as it is.
 */
export function adoptNode(network: NetworkState, command: Adopt, nowMs: number): Decision {
  const holder = network.nodesByKey.get(command.nodeKey);
  if (holder !== undefined) {
    if (holder.machineKey === command.machineKey) return ok([]);
    return refuse('conflict', `The node key of ${command.name} belongs to another machine.`);
  }
  const taken = command.addresses.find((address) => network.nodesByAddress.has(address));
  if (taken !== undefined) {
    const other = network.nodesByAddress.get(taken)?.name ?? '';
    return refuse('conflict', `${taken} of ${command.name} belongs to the node ${other} here.`);
  }
  if (network.nodesById.size >= stateLimits.nodesMax) {
    return refuse(
      'conflict',
      `There are ${network.nodesById.size} nodes, as many as there may be.`,
    );
  }
  const { login } = command;
  const claim = {
    authority: 'postern',
    subject: login?.toLowerCase() ?? '',
    displayName: login?.split('@', 1)[0] ?? '',
  };
  const owner = login === undefined ? undefined : userOf(network, { ...claim, login }, nowMs);
  if (owner !== undefined && !owner.ok) return owner;
  const node = nodeOf(network, command, owner?.value.user.id);
  return ok([...(owner?.value.events ?? []), { kind: 'node.saved', node }]);
}

function nodeOf(network: NetworkState, command: Adopt, userId: string | undefined): NetworkNode {
  const { kind: _kind, login: _login, number: wanted, ...known } = command;
  const isFree = wanted !== undefined && !network.nodesById.has(`n${wanted}`);
  const number = isFree ? wanted : network.lastNode + 1;
  return {
    ...known,
    id: `n${number}`,
    number,
    name: freeLabel(known.name, (label) => network.nodesByName.has(label)),
    ...(userId === undefined ? {} : { userId }),
    tags: known.tags.toSorted(),
    approvedRoutes: known.approvedRoutes.toSorted(),
  };
}
