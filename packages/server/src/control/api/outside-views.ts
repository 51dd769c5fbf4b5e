import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type {
  AuthKeyFacts,
  Device,
  EngineDns,
  EngineSync,
  EngineUser,
  NetworkEngine,
} from '../engine/index.ts';
import type {
  dnsSchema,
  engineSyncSchema,
  networkUserSchema,
  nodeSchema,
  preAuthKeySchema,
} from './network-schemas.ts';
import { isoTime } from './views.ts';

/** What an engine that others run says, in the words of this API. */

/** A machine by its id, its name, short or whole, or one of its addresses. */
export async function findDevice(
  engine: NetworkEngine,
  text: string,
): Promise<Result<Device, Refusal>> {
  const listed = await engine.listDevices();
  if (!listed.ok) return listed;
  const named = (device: Device): readonly string[] => [
    device.id,
    device.name,
    ...(device.fqdn === undefined ? [] : [device.fqdn]),
    ...device.addresses,
  ];
  const found = listed.value.find((device) => named(device).includes(text));
  return found === undefined
    ? refuse('not_found', `There is no node ${text}.`, { param: 'node' })
    : ok(found);
}

/** Changes a machine, and shows it as it is then. */
export async function changed(
  engine: NetworkEngine,
  text: string,
  change: (id: string) => Promise<Result<void, Refusal>>,
  nowMs: number,
): Promise<Result<z.input<typeof nodeSchema>, Refusal>> {
  const found = await findDevice(engine, text);
  if (!found.ok) return found;
  const done = await change(found.value.id);
  if (!done.ok) return done;
  const after = await engine.getDevice(found.value.id);
  return after.ok ? ok(deviceView(after.value, nowMs)) : after;
}

export function deviceView(device: Device, nowMs: number): z.input<typeof nodeSchema> {
  const { fqdn, user, expiresAtMs, lastSeenMs } = device;
  return {
    id: device.id,
    name: device.name,
    ...(fqdn === undefined ? {} : { fqdn }),
    named: device.name !== device.hostname.toLowerCase(),
    ...(user === undefined ? {} : { user }),
    tags: [...device.tags],
    addresses: [...device.addresses],
    approved: device.authorized,
    ephemeral: device.ephemeral,
    expired: expiresAtMs !== undefined && nowMs >= expiresAtMs,
    ...(expiresAtMs === undefined ? {} : { key_expires_at: isoTime(expiresAtMs) }),
    node_key: device.nodeKey,
    machine_key: device.machineKey,
    created_at: isoTime(device.createdAtMs),
    routes: { advertised: [...device.advertisedRoutes], approved: [...device.enabledRoutes] },
    online: device.online,
    ...(lastSeenMs === undefined ? {} : { last_seen: isoTime(lastSeenMs) }),
    ...(device.os === '' ? {} : { os: device.os }),
    ...(device.clientVersion === '' ? {} : { client_version: device.clientVersion }),
    hostname: device.hostname,
  };
}

export function authKeyView(
  key: AuthKeyFacts,
  kind: NetworkEngine['kind'],
  nowMs: number,
): z.input<typeof preAuthKeySchema> {
  const ended = nowMs >= key.expiresAtMs ? 'expired' : key.invalid ? 'used' : 'active';
  return {
    id: key.id,
    // Others keep no part of the secret that they would show.
    hint: '',
    standing: ended,
    ...(key.login === undefined ? {} : { user: key.login }),
    tags: [...key.tags],
    reusable: key.reusable,
    ephemeral: key.ephemeral,
    pre_approved: key.preauthorized,
    created_by: kind,
    created_at: isoTime(key.createdAtMs),
    expires_at: isoTime(key.expiresAtMs),
    ...(key.description === undefined ? {} : { description: key.description }),
  };
}

export function engineUserView(
  user: EngineUser,
  kind: NetworkEngine['kind'],
): z.input<typeof networkUserSchema> {
  return {
    id: user.id,
    login: user.login,
    display_name: user.displayName,
    authority: kind,
    ...(user.role === undefined ? {} : { role: user.role }),
    created_at: isoTime(user.createdAtMs),
    nodes: user.devices,
  };
}

export function engineDnsView(dns: EngineDns): z.input<typeof dnsSchema> {
  return {
    magic_dns: dns.magicDns,
    nameservers: [...dns.nameservers],
    override_local: dns.overrideLocal,
    routes: Object.entries(dns.splitDns).map(([domain, resolvers]) => ({
      domain,
      resolvers: [...resolvers],
    })),
    search_domains: [...dns.searchDomains],
    extra_records: [],
  };
}

export function engineDnsOf(sent: z.output<typeof dnsSchema>): Result<EngineDns, Refusal> {
  if (sent.extra_records.length > 0) {
    return refuse('conflict', 'This engine has no records of your own.', {
      param: 'extra_records',
    });
  }
  return ok({
    magicDns: sent.magic_dns,
    nameservers: sent.nameservers,
    overrideLocal: sent.override_local,
    searchDomains: sent.search_domains,
    splitDns: Object.fromEntries(sent.routes.map(({ domain, resolvers }) => [domain, resolvers])),
  });
}

export function engineView(
  kind: NetworkEngine['kind'],
  url: string,
  capabilities: NetworkEngine['capabilities'],
) {
  return { kind, url, capabilities: [...capabilities].toSorted() };
}

export function syncView(sync: EngineSync): z.input<typeof engineSyncSchema> {
  return { ...sync };
}
