import type { z } from '@hono/zod-openapi';
import type {
  DnsSettings,
  KnownNode,
  NetworkNode,
  NetworkState,
  NetworkUser,
  PreAuthKey,
} from '@postern/core/state';
import { isNodeExpired } from '@postern/core/state';
import type { NetworkDesk, WaitingMachine } from '../network/index.ts';
import type {
  adoptSchema,
  dnsSchema,
  networkUserSchema,
  nodeSchema,
  preAuthKeySchema,
  waitingSchema,
} from './network-schemas.ts';
import { isoTime } from './views.ts';

export function nodeView(
  node: NetworkNode,
  network: NetworkState,
  desk: NetworkDesk | undefined,
  nowMs: number,
): z.input<typeof nodeSchema> {
  const facts = desk?.facts(node.id);
  const user = node.userId === undefined ? undefined : network.usersById.get(node.userId);
  return {
    id: node.id,
    name: node.name,
    ...(desk === undefined ? {} : { fqdn: `${node.name}.${desk.baseDomain}` }),
    named: node.isNamed,
    ...(user === undefined ? {} : { user: user.login }),
    tags: [...node.tags],
    addresses: [...node.addresses],
    approved: node.approved,
    ephemeral: node.ephemeral,
    expired: isNodeExpired(node, nowMs),
    ...(node.keyExpiresAtMs === undefined ? {} : { key_expires_at: isoTime(node.keyExpiresAtMs) }),
    node_key: node.nodeKey,
    machine_key: node.machineKey,
    created_at: isoTime(node.createdAtMs),
    ...(node.admittedBy === undefined ? {} : { admitted_by: node.admittedBy }),
    routes: {
      advertised: [...(facts?.advertisedRoutes ?? [])],
      approved: [...node.approvedRoutes],
    },
    online: facts?.online ?? false,
    ...(facts === undefined
      ? {}
      : {
          ...(facts.lastSeenMs === undefined ? {} : { last_seen: isoTime(facts.lastSeenMs) }),
          os: facts.os,
          client_version: facts.clientVersion,
          hostname: facts.hostname,
          endpoints: [...facts.endpoints],
          relay: facts.relay,
        }),
  };
}

export function waitingView(waiting: WaitingMachine): z.input<typeof waitingSchema> {
  const { id, hostname, os, machineKey, url, sinceMs, expiresAtMs } = waiting;
  return {
    id,
    hostname,
    os,
    machine_key: machineKey,
    url,
    since: isoTime(sinceMs),
    expires_at: isoTime(expiresAtMs),
  };
}

export function preAuthKeyView(
  key: PreAuthKey,
  network: NetworkState,
  nowMs: number,
): z.input<typeof preAuthKeySchema> {
  const user = key.userId === undefined ? undefined : network.usersById.get(key.userId);
  return {
    id: key.id,
    hint: key.hint,
    standing: standingOf(key, nowMs),
    ...(user === undefined ? {} : { user: user.login }),
    tags: [...key.tags],
    reusable: key.reusable,
    ephemeral: key.ephemeral,
    pre_approved: key.preApproved,
    created_by: key.createdBy,
    created_at: isoTime(key.createdAtMs),
    expires_at: isoTime(key.expiresAtMs),
    ...(key.usedAtMs === undefined ? {} : { used_at: isoTime(key.usedAtMs) }),
    ...(key.description === undefined ? {} : { description: key.description }),
  };
}

function standingOf(key: PreAuthKey, nowMs: number): 'active' | 'used' | 'expired' | 'revoked' {
  if (key.revokedAtMs !== undefined) return 'revoked';
  if (!key.reusable && key.usedAtMs !== undefined) return 'used';
  return nowMs >= key.expiresAtMs ? 'expired' : 'active';
}

/** A machine of an inventory. Times that are missing are now. */
export function knownNodeOf(
  nowMs: number,
): (node: z.output<typeof adoptSchema>['nodes'][number]) => KnownNode {
  return (node) => {
    const number = /^n([1-9]\d{0,9})$/.exec(node.id ?? '')?.[1];
    const { user, key_expires_at: endsAt, created_at: madeAt } = node;
    return {
      machineKey: node.machine_key,
      nodeKey: node.node_key,
      ...(number === undefined ? {} : { number: Number(number) }),
      name: node.name,
      isNamed: node.named,
      ...(user === undefined ? {} : { login: user }),
      tags: node.tags,
      addresses: node.addresses,
      approved: node.approved,
      ephemeral: node.ephemeral,
      approvedRoutes: node.routes.approved,
      ...(endsAt === undefined ? {} : { keyExpiresAtMs: Date.parse(endsAt) }),
      createdAtMs: madeAt === undefined ? nowMs : Date.parse(madeAt),
    };
  };
}

export function networkUserView(
  user: NetworkUser,
  nodes: number,
): z.input<typeof networkUserSchema> {
  return {
    id: user.id,
    login: user.login,
    display_name: user.displayName,
    authority: user.authority,
    ...(user.role === undefined ? {} : { role: user.role }),
    created_at: isoTime(user.createdAtMs),
    nodes,
  };
}

export function dnsView(dns: DnsSettings): z.input<typeof dnsSchema> {
  return {
    magic_dns: dns.magicDns,
    nameservers: [...dns.nameservers],
    override_local: dns.overrideLocal,
    routes: dns.routes.map(({ domain, resolvers }) => ({ domain, resolvers: [...resolvers] })),
    search_domains: [...dns.searchDomains],
    extra_records: dns.extraRecords.map((record) => ({ ...record })),
  };
}

export function dnsOf(sent: z.output<typeof dnsSchema>): DnsSettings {
  return {
    magicDns: sent.magic_dns,
    nameservers: sent.nameservers,
    overrideLocal: sent.override_local,
    routes: sent.routes,
    searchDomains: sent.search_domains,
    extraRecords: sent.extra_records,
  };
}
