import type { Guard } from './decode.ts';
import { count, flag, list, literal, object, objectWith, text } from './decode.ts';
import type { DnsSettings, NetworkNode, NetworkUser, PreAuthKey } from './network.ts';
import { userRoles } from './network.ts';
import type { NetworkStateEvent } from './network-command.ts';
import type { NetworkParts } from './network-state.ts';

const user: Guard<NetworkUser> = objectWith(
  {
    id: text,
    number: count,
    login: text,
    displayName: text,
    authority: text,
    subject: text,
    createdAtMs: count,
  },
  { role: literal(...userRoles) },
);

const preAuthKey: Guard<PreAuthKey> = objectWith(
  {
    id: text,
    digest: text,
    hint: text,
    tags: list(text),
    reusable: flag,
    ephemeral: flag,
    preApproved: flag,
    createdBy: text,
    createdAtMs: count,
    expiresAtMs: count,
  },
  {
    userId: text,
    usedAtMs: count,
    revokedAtMs: count,
    description: text,
    awaitsBinding: flag,
  },
);

const node: Guard<NetworkNode> = objectWith(
  {
    id: text,
    number: count,
    machineKey: text,
    nodeKey: text,
    name: text,
    isNamed: flag,
    tags: list(text),
    addresses: list(text),
    approved: flag,
    ephemeral: flag,
    approvedRoutes: list(text),
    createdAtMs: count,
  },
  { userId: text, keyExpiresAtMs: count, admittedBy: text },
);

const dns: Guard<DnsSettings> = object({
  magicDns: flag,
  nameservers: list(text),
  overrideLocal: flag,
  routes: list(object({ domain: text, resolvers: list(text) })),
  searchDomains: list(text),
  extraRecords: list(object({ name: text, type: literal('A', 'AAAA'), value: text })),
});

/** One shape for each event of the network, for the table of all events. */
export const networkEvents: Readonly<Record<NetworkStateEvent['kind'], Guard<NetworkStateEvent>>> =
  {
    'user.saved': object({ kind: literal('user.saved'), user }),
    'preauthkey.saved': object({ kind: literal('preauthkey.saved'), key: preAuthKey }),
    'preauthkeys.dropped': object({ kind: literal('preauthkeys.dropped'), ids: list(text) }),
    'node.saved': object({ kind: literal('node.saved'), node }),
    'node.removed': object({ kind: literal('node.removed'), id: text }),
    'dns.changed': object({ kind: literal('dns.changed'), dns }),
  };

export const networkShape: Guard<NetworkParts> = object({
  users: list(user),
  preAuthKeys: list(preAuthKey),
  nodes: list(node),
  lastUser: count,
  lastNode: count,
  dns,
});
