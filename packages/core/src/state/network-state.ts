import { present, unreachable } from '@postern/core/base';
import type { StateEvent } from './command.ts';
import type { DnsSettings, NetworkNode, NetworkState, NetworkUser, PreAuthKey } from './network.ts';
import { userSubjectKey } from './network.ts';
import { Table } from './table.ts';

export const defaultDns: DnsSettings = Object.freeze({
  magicDns: true,
  nameservers: Object.freeze([]),
  overrideLocal: false,
  routes: Object.freeze([]),
  searchDomains: Object.freeze([]),
  extraRecords: Object.freeze([]),
});

export const emptyNetwork: NetworkState = Object.freeze({
  usersById: Table.empty<NetworkUser>(),
  usersBySubject: Table.empty<NetworkUser>(),
  usersByLogin: Table.empty<NetworkUser>(),
  preAuthKeysById: Table.empty<PreAuthKey>(),
  preAuthKeysByDigest: Table.empty<PreAuthKey>(),
  nodesById: Table.empty<NetworkNode>(),
  nodesByKey: Table.empty<NetworkNode>(),
  nodesByName: Table.empty<NetworkNode>(),
  nodesByAddress: Table.empty<NetworkNode>(),
  nodesByMachine: Table.empty<readonly NetworkNode[]>(),
  lastUser: 0,
  lastNode: 0,
  dns: defaultDns,
});

/** What a network adds up to, as a text keeps it. */
export interface NetworkParts {
  readonly users: readonly NetworkUser[];
  readonly preAuthKeys: readonly PreAuthKey[];
  readonly nodes: readonly NetworkNode[];
  readonly lastUser: number;
  readonly lastNode: number;
  readonly dns: DnsSettings;
}

export function networkParts(network: NetworkState): NetworkParts {
  const { lastUser, lastNode, dns } = network;
  return {
    users: [...network.usersById.values()].toSorted(byNumber),
    preAuthKeys: [...network.preAuthKeysById.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    nodes: [...network.nodesById.values()].toSorted(byNumber),
    lastUser,
    lastNode,
    dns,
  };
}

export function networkOf(parts: NetworkParts): NetworkState {
  const { users, preAuthKeys, nodes, lastUser, lastNode, dns } = parts;
  const machines = Map.groupBy(nodes, ({ machineKey }) => machineKey);
  return Object.freeze({
    usersById: Table.of(users.map((user) => [user.id, user])),
    usersBySubject: Table.of(
      users.map((user) => [userSubjectKey(user.authority, user.subject), user]),
    ),
    usersByLogin: Table.of(users.map((user) => [user.login.toLowerCase(), user])),
    preAuthKeysById: Table.of(preAuthKeys.map((key) => [key.id, key])),
    preAuthKeysByDigest: Table.of(preAuthKeys.map((key) => [key.digest, key])),
    nodesById: Table.of(nodes.map((node) => [node.id, node])),
    nodesByKey: Table.of(nodes.map((node) => [node.nodeKey, node])),
    nodesByName: Table.of(nodes.map((node) => [node.name, node])),
    nodesByAddress: Table.of(
      nodes.flatMap((node) => node.addresses.map((address) => [address, node] as const)),
    ),
    nodesByMachine: Table.of([...machines]),
    lastUser,
    lastNode,
    dns,
  });
}

export type NetworkEvent = Extract<
  StateEvent,
  {
    kind:
      | 'user.saved'
      | 'preauthkey.saved'
      | 'preauthkeys.dropped'
      | 'node.saved'
      | 'node.removed'
      | 'dns.changed';
  }
>;

export function reduceNetwork(network: NetworkState, event: NetworkEvent): NetworkState {
  switch (event.kind) {
    case 'user.saved':
      return withUser(network, event.user);
    case 'preauthkey.saved': {
      const { key } = event;
      return {
        ...network,
        preAuthKeysById: network.preAuthKeysById.set(key.id, key),
        preAuthKeysByDigest: network.preAuthKeysByDigest.set(key.digest, key),
      };
    }
    case 'preauthkeys.dropped':
      return event.ids.reduce(withoutPreAuthKey, network);
    case 'node.saved': {
      const saved = withNode(withoutNode(network, event.node.id), event.node);
      return { ...saved, lastNode: Math.max(network.lastNode, event.node.number) };
    }
    case 'node.removed':
      present(network.nodesById.get(event.id), `node ${event.id} to remove`);
      return withoutNode(network, event.id);
    case 'dns.changed':
      return { ...network, dns: event.dns };
    default:
      return unreachable(event);
  }
}

function withUser(network: NetworkState, user: NetworkUser): NetworkState {
  const before = network.usersById.get(user.id);
  const byLogin =
    before === undefined
      ? network.usersByLogin
      : network.usersByLogin.delete(before.login.toLowerCase());
  return {
    ...network,
    usersById: network.usersById.set(user.id, user),
    usersBySubject: network.usersBySubject.set(userSubjectKey(user.authority, user.subject), user),
    usersByLogin: byLogin.set(user.login.toLowerCase(), user),
    lastUser: Math.max(network.lastUser, user.number),
  };
}

function withoutPreAuthKey(network: NetworkState, id: string): NetworkState {
  const key = present(network.preAuthKeysById.get(id), `pre-auth key ${id} to drop`);
  return {
    ...network,
    preAuthKeysById: network.preAuthKeysById.delete(id),
    preAuthKeysByDigest: network.preAuthKeysByDigest.delete(key.digest),
  };
}

function withNode(network: NetworkState, node: NetworkNode): NetworkState {
  const siblings = network.nodesByMachine.get(node.machineKey) ?? [];
  return {
    ...network,
    nodesById: network.nodesById.set(node.id, node),
    nodesByKey: network.nodesByKey.set(node.nodeKey, node),
    nodesByName: network.nodesByName.set(node.name, node),
    nodesByAddress: node.addresses.reduce(
      (table, address) => table.set(address, node),
      network.nodesByAddress,
    ),
    nodesByMachine: network.nodesByMachine.set(node.machineKey, [...siblings, node]),
  };
}

function withoutNode(network: NetworkState, id: string): NetworkState {
  const node = network.nodesById.get(id);
  if (node === undefined) return network;
  const siblings = (network.nodesByMachine.get(node.machineKey) ?? []).filter(
    (each) => each.id !== id,
  );
  return {
    ...network,
    nodesById: network.nodesById.delete(id),
    nodesByKey: network.nodesByKey.delete(node.nodeKey),
    nodesByName: network.nodesByName.delete(node.name),
    nodesByAddress: node.addresses.reduce(
      (table, address) => table.delete(address),
      network.nodesByAddress,
    ),
    nodesByMachine:
      siblings.length === 0
        ? network.nodesByMachine.delete(node.machineKey)
        : network.nodesByMachine.set(node.machineKey, siblings),
  };
}

function byNumber(a: { readonly number: number }, b: { readonly number: number }): number {
  return a.number - b.number;
}
