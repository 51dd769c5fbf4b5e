import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Device } from '../engine/index.ts';
import { allowed } from './access.ts';
import { bodyOf, flagOf, notHere, textsOf, timeText } from './body.ts';
import type { ApiCall, ApiResult } from './ports.ts';

/** `GET /tailnet/-/devices`, with filters by the fields of a device. */
export async function devices(call: ApiCall): ApiResult {
  const may = allowed(call, 'devices:core:read');
  if (!may.ok) return may;
  const listed = await call.engine.listDevices();
  if (!listed.ok) return listed;
  const { query } = call;
  const views = listed.value.map((device) => viewOf(device, query.get('fields') === 'all'));
  const filters = [...new Set(query.keys())].filter((name) => name !== 'fields');
  const kept = views.filter((view) =>
    filters.every((name) => {
      const value: unknown = Reflect.get(view, name);
      const wanted = query.getAll(name);
      return Array.isArray(value)
        ? wanted.some((each) => value.includes(each))
        : wanted.includes(String(value));
    }),
  );
  return ok({ json: { devices: kept } });
}

/** `/device/{id}` and what is below it. */
export async function device(call: ApiCall): ApiResult {
  const [, asked = '', what] = call.path;
  // Both kinds of ids: `n12`, and the number alone.
  const id = /^\d+$/.test(asked) ? `n${asked}` : asked;
  if (call.method === 'GET') return show(call, id, what);
  const may = allowed(call, what === 'routes' ? 'devices:routes' : 'devices:core');
  if (!may.ok) return may;
  if (call.method === 'DELETE' && what === undefined) {
    const gone = await call.engine.deleteDevice(id);
    return gone.ok ? ok({}) : gone;
  }
  if (call.method !== 'POST') return notHere(call);
  const done = await change(call, id, what);
  if (!done.ok) return done;
  return what === 'routes' ? show(call, id, 'routes') : ok({});
}

async function show(call: ApiCall, id: string, what: string | undefined): ApiResult {
  const may = allowed(call, what === 'routes' ? 'devices:routes:read' : 'devices:core:read');
  if (!may.ok && what !== 'routes') return may;
  if (!may.ok) {
    const core = allowed(call, 'devices:core:read');
    if (!core.ok) return may;
  }
  const got = await call.engine.getDevice(id);
  if (!got.ok) return got;
  const { advertisedRoutes, enabledRoutes, os, clientVersion } = got.value;
  switch (what ?? '') {
    case '':
      return ok({ json: viewOf(got.value, call.query.get('fields') === 'all') });
    case 'routes':
      return ok({ json: { advertisedRoutes, enabledRoutes } });
    case 'attributes':
      return ok({
        json: { attributes: { 'node:os': os, 'node:tsVersion': clientVersion }, expiries: {} },
      });
    default:
      return notHere(call);
  }
}

async function change(
  call: ApiCall,
  id: string,
  what: string | undefined,
): Promise<Result<void, Refusal>> {
  const body = bodyOf(call.text);
  if (!body.ok) return body;
  const { engine } = call;
  switch (what ?? '') {
    case 'authorized':
      if (flagOf(body.value, 'authorized') === true) return engine.authorize(id);
      return unable('A machine is kept out by ending its key or deleting it, not otherwise.');
    case 'name': {
      const name = body.value['name'];
      if (typeof name !== 'string') return refuse('invalid_request', 'name: a text is needed');
      return engine.rename(id, name.split('.')[0] ?? '');
    }
    case 'tags': {
      const tags = textsOf(body.value, 'tags');
      return tags.ok ? engine.setTags(id, tags.value) : tags;
    }
    case 'routes': {
      const routes = textsOf(body.value, 'routes');
      return routes.ok ? engine.setRoutes(id, routes.value) : routes;
    }
    case 'expire':
      return engine.expireKey(id);
    case 'key':
      return keyExpiry(call, id, flagOf(body.value, 'keyExpiryDisabled') === true);
    case 'ip':
      return unable('Addresses are given out once and stay with a machine.');
    default:
      return notHere(call);
  }
}

/** Machines with tags have keys without an end, others those of `engine.keyDays`: nothing else is to be had. */
async function keyExpiry(
  { engine }: ApiCall,
  id: string,
  isDisabled: boolean,
): Promise<Result<void, Refusal>> {
  const got = await engine.getDevice(id);
  if (!got.ok) return got;
  if ((got.value.expiresAtMs === undefined) === isDisabled) return ok(undefined);
  return unable(
    'Keys of machines with tags do not end; those of people last `engine.keyDays` of the configuration.',
  );
}

function unable(message: string): Result<never, Refusal> {
  return refuse('conflict', message, { param: 'unsupported' });
}

/** A device as API v2 shows it. Empty times are empty texts there, and `lastSeen` is of machines that are away. */
function viewOf(device: Device, isWhole: boolean) {
  const { id, name, fqdn = name, tags, user = '', online, expiresAtMs, lastSeenMs } = device;
  return {
    addresses: device.addresses,
    id: id.replace(/^n/, ''),
    nodeId: id,
    name: fqdn,
    hostname: device.hostname,
    user: user === '' ? 'tagged-devices' : user,
    ...(tags.length === 0 ? {} : { tags }),
    authorized: device.authorized,
    isEphemeral: device.ephemeral,
    isExternal: false,
    blocksIncomingConnections: false,
    connectedToControl: online,
    clientVersion: device.clientVersion,
    updateAvailable: false,
    os: device.os,
    created: timeText(device.createdAtMs),
    keyExpiryDisabled: expiresAtMs === undefined,
    expires: timeText(expiresAtMs ?? 0),
    ...(online || lastSeenMs === undefined ? {} : { lastSeen: timeText(lastSeenMs) }),
    machineKey: device.machineKey,
    nodeKey: device.nodeKey,
    tailnetLockError: '',
    tailnetLockKey: '',
    ...(isWhole
      ? { advertisedRoutes: device.advertisedRoutes, enabledRoutes: device.enabledRoutes }
      : {}),
  };
}
