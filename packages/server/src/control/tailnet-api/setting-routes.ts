import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { isJsonObject, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { EngineDns, EngineSettings, EngineUser } from '../engine/index.ts';
import { allowed } from './access.ts';
import { bodyOf, flagOf, notHere, textsOf, timeText } from './body.ts';
import type { ApiCall, ApiResult } from './ports.ts';

/** `/tailnet/-/dns/…`: one state, shown and changed in parts and as a whole. */
export async function dns(call: ApiCall): ApiResult {
  const isWrite = call.method !== 'GET';
  const may = allowed(call, isWrite ? 'dns' : 'dns:read');
  if (!may.ok) return may;
  const [, what = ''] = call.path;
  const before = await call.engine.getDns();
  if (!before.ok) return before;
  const body = bodyOf(call.text);
  if (!body.ok) return body;
  const after = isWrite ? changed(call, before.value, body.value) : before;
  if (!after.ok) return after;
  if (isWrite) {
    const set = await call.engine.setDns(after.value);
    if (!set.ok) return set;
  }
  const shown = shownOf(what, after.value);
  return shown === undefined ? notHere(call) : ok({ json: shown });
}

function shownOf(what: string, now: EngineDns): unknown {
  const { magicDns: magicDNS, overrideLocal, nameservers, searchDomains, splitDns } = now;
  switch (what) {
    case 'nameservers':
      return { dns: nameservers };
    case 'preferences':
      return { magicDNS };
    case 'searchpaths':
      return { searchPaths: searchDomains };
    case 'split-dns':
      return splitDns;
    case 'configuration':
      return {
        nameservers: resolvers(nameservers),
        splitDNS: Object.fromEntries(
          Object.entries(splitDns).map(([domain, list]) => [domain, resolvers(list)]),
        ),
        searchPaths: searchDomains,
        preferences: { overrideLocalDNS: overrideLocal, magicDNS },
      };
    default:
      return undefined;
  }
}

function changed(call: ApiCall, now: EngineDns, body: JsonObject): Result<EngineDns, Refusal> {
  const [, what = ''] = call.path;
  switch (what) {
    case 'nameservers': {
      const list = textsOf(body, 'dns');
      return list.ok ? ok({ ...now, nameservers: list.value }) : list;
    }
    case 'preferences':
      return ok({ ...now, magicDns: flagOf(body, 'magicDNS') ?? now.magicDns });
    case 'searchpaths': {
      const list = textsOf(body, 'searchPaths');
      return list.ok ? ok({ ...now, searchDomains: list.value }) : list;
    }
    case 'split-dns': {
      const patch = call.method === 'PATCH' ? { ...now.splitDns, ...body } : body;
      const split = splitOf(patch);
      return split.ok ? ok({ ...now, splitDns: split.value }) : split;
    }
    case 'configuration':
      return wholeOf(body);
    default:
      return notHere(call);
  }
}

/** Null, and a list of nothing, take a domain out. */
function splitOf(
  body: Readonly<Record<string, JsonValue | readonly string[]>>,
): Result<EngineDns['splitDns'], Refusal> {
  const split: Record<string, readonly string[]> = {};
  for (const [domain, list] of Object.entries(body)) {
    if (list === null) continue;
    const addresses = addressesOf(list);
    if (!addresses.ok) return addresses;
    if (addresses.value.length > 0) split[domain] = addresses.value;
  }
  return ok(split);
}

function addressesOf(list: unknown): Result<readonly string[], Refusal> {
  const found: string[] = [];
  for (const each of Array.isArray(list) ? list : [undefined]) {
    const address: unknown =
      typeof each === 'object' && each !== null ? Reflect.get(each, 'address') : each;
    if (typeof address !== 'string') {
      return refuse('invalid_request', 'Resolvers are a list of addresses.');
    }
    found.push(address);
  }
  return ok(found);
}

function wholeOf(body: JsonObject): Result<EngineDns, Refusal> {
  const nameservers = addressesOf(body['nameservers'] ?? []);
  if (!nameservers.ok) return nameservers;
  const { splitDNS = null, preferences = null } = body;
  const split = splitOf(isJsonObject(splitDNS) ? splitDNS : {});
  if (!split.ok) return split;
  const search = textsOf(body, 'searchPaths');
  if (!search.ok) return search;
  const wanted = isJsonObject(preferences) ? preferences : {};
  return ok({
    nameservers: nameservers.value,
    splitDns: split.value,
    searchDomains: search.value,
    magicDns: flagOf(wanted, 'magicDNS') ?? false,
    overrideLocal: flagOf(wanted, 'overrideLocalDNS') ?? false,
  });
}

function resolvers(list: readonly string[]) {
  return list.map((address) => ({ address }));
}

/** `/tailnet/-/users` and `/users/{id}`. */
export async function users(call: ApiCall): ApiResult {
  if (call.method !== 'GET') return notHere(call);
  const may = allowed(call, 'users:read');
  if (!may.ok) return may;
  const listed = await call.engine.listUsers();
  if (!listed.ok) return listed;
  const views = listed.value.map((user) => userView(user));
  const [, id] = call.path;
  if (id !== undefined) {
    const found = views.find((user) => user.id === id);
    return found === undefined
      ? refuse('not_found', `There is no user ${id}.`)
      : ok({ json: found });
  }
  const [type, role] = [call.query.get('type'), call.query.get('role')];
  const kept = views.filter(
    (user) => (type ?? user.type) === user.type && (role ?? user.role) === user.role,
  );
  return ok({ json: { users: kept } });
}

function userView(user: EngineUser) {
  return {
    id: user.id,
    displayName: user.displayName,
    loginName: user.login,
    profilePicUrl: '',
    tailnetId: '-',
    created: timeText(user.createdAtMs),
    type: 'member',
    role: user.role ?? 'member',
    status: 'active',
    deviceCount: user.devices,
    lastSeen: timeText(user.createdAtMs),
    currentlyConnected: false,
  };
}

/** `/tailnet/-/settings`. What the engine keeps elsewhere may be written as it is, and not otherwise. */
export async function settings(call: ApiCall): ApiResult {
  const isWrite = call.method === 'PATCH';
  if (!isWrite && call.method !== 'GET') return notHere(call);
  const may = allowed(call, isWrite ? 'feature_settings' : 'feature_settings:read');
  if (!may.ok) return may;
  const got = await call.engine.getSettings();
  if (!got.ok) return got;
  const now = settingsView(got.value);
  if (!isWrite) return ok({ json: now });
  const body = bodyOf(call.text);
  if (!body.ok) return body;
  const differs = Object.entries(body.value).filter(
    ([name, value]) => value !== null && value !== Reflect.get(now, name),
  );
  if (differs.length === 0) return ok({ json: now });
  const unknown = differs.find(([name]) => !(name in written));
  if (unknown !== undefined) {
    return refuse('conflict', `${unknown[0]}: this engine has no such setting to change.`, {
      param: 'unsupported',
    });
  }
  const wanted = Object.fromEntries(
    differs.map(([name, value]) => [Reflect.get(written, name), value]),
  );
  const set = await call.engine.setSettings(wanted);
  return set.ok ? ok({ json: { ...now, ...body.value } }) : set;
}

const written = {
  devicesApprovalOn: 'deviceApproval',
  devicesKeyDurationDays: 'keyDays',
  usersApprovalOn: 'userApproval',
  networkFlowLoggingOn: 'flowLogs',
  httpsEnabled: 'https',
} as const satisfies Record<string, keyof EngineSettings>;

function settingsView(now: EngineSettings) {
  return {
    aclsExternallyManagedOn: false,
    aclsExternalLink: '',
    devicesApprovalOn: now.deviceApproval ?? false,
    devicesAutoUpdatesOn: false,
    devicesKeyDurationDays: now.keyDays ?? 0,
    usersApprovalOn: now.userApproval ?? false,
    usersRoleAllowedToJoinExternalTailnets: 'none',
    networkFlowLoggingOn: now.flowLogs ?? false,
    regionalRoutingOn: false,
    postureIdentityCollectionOn: false,
    httpsEnabled: now.https ?? false,
  };
}
