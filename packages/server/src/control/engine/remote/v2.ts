import type { Result } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { userRoles } from '@postern/core/state';
import type { z } from 'zod';
import type { AuthKeyFacts, Device, EngineSettings, EngineUser, NetworkEngine } from '../ports.ts';
import type { RemoteAnswer, RemoteApi } from './api.ts';
import { errorsOf } from './api.ts';
import {
  deviceShape,
  devicesShape,
  dnsShape,
  keyShape,
  keysShape,
  previewShape,
  settingsShape,
  usersShape,
  verdictShape,
} from './shapes.ts';

export type V2Calls = Omit<NetworkEngine, 'kind' | 'url' | 'capabilities' | 'look'>;

/** The etag of a policy that nobody has written yet: what API v2 takes in `If-Match` for it. */
export const untouched = 'ts-default';

const tailnet = '/api/v2/tailnet/-';
const hujson = 'application/hujson';
/** The API refuses longer ones, and all but letters, digits, spaces and hyphens. */
const descriptionCharsMax = 50;
/** Questions about keys at once, where a list gives nothing but their ids. */
const keysAtOnce = 8;

/** The Tailscale API v2: `api.tailscale.com`, Headscale from 0.30, and the embedded engine itself speak it. */
export function apiV2(api: RemoteApi): V2Calls {
  return { ...keyCalls(api), ...deviceCalls(api), ...policyCalls(api), ...settingCalls(api) };
}

/** Reads a body by its shape; what does not fit is the engine's fault. */
export async function read<T extends z.ZodType>(
  api: RemoteApi,
  shape: T,
  calling: Promise<Result<RemoteAnswer, Refusal>>,
): Promise<Result<z.output<T>, Refusal>> {
  const answered = await calling;
  if (!answered.ok) return answered;
  try {
    const parsed = shape.safeParse(JSON.parse(answered.value.text));
    if (parsed.success) return ok(parsed.data);
    const [issue] = parsed.error.issues;
    return api.odd(`without what is needed (${issue?.path.join('.') ?? ''}: ${issue?.message})`);
  } catch {
    return api.odd('something that is not JSON');
  }
}

export async function done(
  calling: Promise<Result<unknown, Refusal>>,
): Promise<Result<void, Refusal>> {
  const answered = await calling;
  return answered.ok ? ok(undefined) : answered;
}

function deviceCalls(api: RemoteApi) {
  const at = (id: string, rest = ''): string => `/api/v2/device/${encodeURIComponent(id)}${rest}`;
  const post = (path: string, json: unknown) => done(api.call({ method: 'POST', path, json }));
  return {
    listDevices: async () => {
      const path = `${tailnet}/devices?fields=all`;
      const listed = await read(api, devicesShape, api.call({ method: 'GET', path }));
      // Machines that others share into the network are not of it.
      return listed.ok
        ? ok(listed.value.devices.filter(({ isExternal }) => !isExternal).map(deviceOf))
        : listed;
    },
    getDevice: async (id) => {
      const path = at(id, '?fields=all');
      const got = await read(api, deviceShape, api.call({ method: 'GET', path }));
      return got.ok ? ok(deviceOf(got.value)) : got;
    },
    deleteDevice: (id) => done(api.call({ method: 'DELETE', path: at(id) })),
    setTags: (id, tags) => post(at(id, '/tags'), { tags }),
    authorize: (id) => post(at(id, '/authorized'), { authorized: true }),
    rename: (id, name) => post(at(id, '/name'), { name }),
    setRoutes: (id, routes) => post(at(id, '/routes'), { routes }),
    expireKey: (id) => done(api.call({ method: 'POST', path: at(id, '/expire') })),
  } satisfies Partial<NetworkEngine>;
}

function deviceOf(device: z.output<typeof deviceShape>): Device {
  const { lastSeen, expires, user, tags, connectedToControl: online } = device;
  const fqdn = device.name.replace(/\.$/, '');
  const expiresAtMs = device.keyExpiryDisabled ? undefined : expires;
  return {
    id: device.nodeId === '' ? device.id : device.nodeId,
    name: fqdn.split('.')[0] ?? '',
    ...(fqdn.includes('.') ? { fqdn } : {}),
    hostname: device.hostname,
    addresses: device.addresses,
    ...(tags.length > 0 || user === '' ? {} : { user }),
    tags,
    online,
    authorized: device.authorized,
    ephemeral: device.isEphemeral,
    nodeKey: device.nodeKey,
    machineKey: device.machineKey,
    os: device.os,
    clientVersion: device.clientVersion,
    createdAtMs: device.created ?? 0,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(online || lastSeen === undefined ? {} : { lastSeenMs: lastSeen }),
    enabledRoutes: device.enabledRoutes,
    advertisedRoutes: device.advertisedRoutes,
  };
}

function keyCalls(api: RemoteApi) {
  const path = `${tailnet}/keys`;
  const at = (id: string): string => `${path}/${encodeURIComponent(id)}`;
  const get = (id: string) => read(api, keyShape, api.call({ method: 'GET', path: at(id) }));
  return {
    createAuthKey: async ({ lifeMs, description = '', login, ...create }) => {
      if (login !== undefined) {
        return refuse('conflict', 'Keys of this engine belong to tags, not to a person.', {
          param: 'login',
        });
      }
      const json = {
        keyType: 'auth',
        description: description.replaceAll(/[^A-Za-z0-9 -]/g, ' ').slice(0, descriptionCharsMax),
        expirySeconds: Math.ceil(lifeMs / 1_000),
        capabilities: { devices: { create } },
      };
      const made = await read(api, keyShape, api.call({ method: 'POST', path, json }));
      if (!made.ok) return made;
      const { id, key, expires } = made.value;
      if (key === undefined || expires === undefined) return api.odd('with a key that is none');
      return ok({ id, key: new Secret(key), expiresAtMs: expires });
    },
    listAuthKeys: async () => {
      const call = api.call({ method: 'GET', path: `${path}?all=true` });
      const listed = await read(api, keysShape, call);
      if (!listed.ok) return listed;
      const found: z.output<typeof keyShape>[] = [];
      const waiting = [...listed.value.keys];
      for (;;) {
        const batch = waiting.splice(0, keysAtOnce);
        if (batch.length === 0) break;
        const whole = await Promise.all(
          batch.map((key) => (isWhole(key) ? Promise.resolve(ok(key)) : get(key.id))),
        );
        for (const key of whole) {
          if (key.ok) found.push(key.value);
          // It may be gone since the list was made.
          else if (key.error.code !== 'not_found') return key;
        }
      }
      return ok(found.flatMap((key) => keyFacts(key) ?? []));
    },
    getAuthKey: async (id) => {
      const got = await get(id);
      if (!got.ok) return got;
      const facts = keyFacts(got.value);
      return facts === undefined
        ? refuse('not_found', `${api.name}: ${id} is no key by which machines join.`)
        : ok(facts);
    },
    revokeAuthKey: (id) => done(api.call({ method: 'DELETE', path: at(id) })),
  } satisfies Partial<NetworkEngine>;
}

function isWhole({ capabilities, keyType }: z.output<typeof keyShape>): boolean {
  return (capabilities ?? undefined) !== undefined || (keyType ?? 'auth') !== 'auth';
}

/** Undefined for keys of other kinds: of the API, of OAuth clients. */
function keyFacts(key: z.output<typeof keyShape>): AuthKeyFacts | undefined {
  const create = key.capabilities?.devices?.create;
  if (create === undefined) return undefined;
  return {
    id: key.id,
    ...create,
    ...(key.description === '' ? {} : { description: key.description }),
    createdAtMs: key.created ?? 0,
    expiresAtMs: key.expires ?? 0,
    invalid: key.invalid || key.revoked !== undefined,
  };
}

function policyCalls(api: RemoteApi) {
  const path = `${tailnet}/acl`;
  const policyOf = ({ headers, text }: RemoteAnswer) => {
    const etag = (headers['etag'] ?? '').replace(/^W\//, '').replaceAll('"', '');
    return { text, etag: etag === '' ? untouched : etag };
  };
  const text = (body: string) => ({ type: hujson, body });
  return {
    getPolicy: async () => {
      const got = await api.call({ method: 'GET', path, accept: hujson });
      return got.ok ? ok(policyOf(got.value)) : got;
    },
    setPolicy: async (body, etag) => {
      const ifMatch = `"${etag}"`;
      const set = await api.ask({
        method: 'POST',
        path,
        text: text(body),
        accept: hujson,
        ifMatch,
      });
      if (!set.ok) return set;
      if (set.value.status === 412) return changedMeanwhile(api.name);
      const judged = api.judge(set.value);
      if (!judged.ok) return judged;
      return ok({ ...policyOf(set.value), text: body });
    },
    checkPolicy: async (body) => {
      const call = { method: 'POST', path: `${path}/validate`, text: text(body) } as const;
      const answered = await api.ask(call);
      if (!answered.ok) return answered;
      const { status, text: said } = answered.value;
      if (said.trim() === '' && status === 200) return ok([]);
      // A refusal comes as 200 with a message; the same body with 400 is one too.
      const judged = status === 400 ? answered : api.judge(answered.value);
      const verdict = await read(api, verdictShape, Promise.resolve(judged));
      if (!verdict.ok) return verdict;
      const { message, data } = verdict.value;
      if (message === '') return ok([]);
      const details = errorsOf(data);
      return ok(details.length === 0 ? [message] : details.map((each) => `${message}: ${each}`));
    },
    previewPolicy: async ({ text: body, type, for: subject }) => {
      const query = new URLSearchParams({ type, previewFor: subject }).toString();
      const call = { method: 'POST', path: `${path}/preview?${query}`, text: text(body) } as const;
      const got = await read(api, previewShape, api.call(call));
      if (!got.ok) return got;
      return ok(
        got.value.matches.map(({ users, ports, lineNumber }) => ({
          users,
          ports,
          line: lineNumber,
        })),
      );
    },
  } satisfies Partial<NetworkEngine>;
}

export function changedMeanwhile(name: string): Result<never, Refusal> {
  return refuse(
    'conflict',
    `The policy of ${name} is not the one that this change was made from: somebody else changed it meanwhile. Read it again and plan anew.`,
    { param: 'base' },
  );
}

function settingCalls(api: RemoteApi) {
  const at = (rest: string): string => `${tailnet}/${rest}`;
  return {
    getDns: async () => {
      const call = api.call({ method: 'GET', path: at('dns/configuration') });
      const got = await read(api, dnsShape, call);
      if (!got.ok) return got;
      const { nameservers, splitDNS, searchPaths, preferences } = got.value;
      return ok({
        magicDns: preferences?.magicDNS ?? false,
        overrideLocal: preferences?.overrideLocalDNS ?? false,
        nameservers,
        searchDomains: searchPaths,
        splitDns: splitDNS,
      });
    },
    setDns: ({ magicDns, overrideLocal, nameservers, searchDomains, splitDns }) => {
      const resolvers = (list: readonly string[]) => list.map((address) => ({ address }));
      const json = {
        nameservers: resolvers(nameservers),
        splitDNS: Object.fromEntries(
          Object.entries(splitDns).map(([domain, list]) => [domain, resolvers(list)]),
        ),
        searchPaths: searchDomains,
        preferences: { magicDNS: magicDns, overrideLocalDNS: overrideLocal },
      };
      return done(api.call({ method: 'POST', path: at('dns/configuration'), json }));
    },
    listUsers: async () => {
      const listed = await read(api, usersShape, api.call({ method: 'GET', path: at('users') }));
      if (!listed.ok) return listed;
      return ok(
        listed.value.users.map((user): EngineUser => {
          const role = userRoles.find((each) => each === user.role);
          return {
            id: user.id,
            login: user.loginName,
            displayName: user.displayName,
            ...(role === undefined ? {} : { role }),
            createdAtMs: user.created ?? 0,
            devices: user.deviceCount,
          };
        }),
      );
    },
    getSettings: async () => {
      const call = api.call({ method: 'GET', path: at('settings') });
      const got = await read(api, settingsShape, call);
      return got.ok ? ok(settingsOf(got.value)) : got;
    },
    setSettings: (settings) => {
      const json = {
        devicesApprovalOn: settings.deviceApproval,
        devicesKeyDurationDays: settings.keyDays,
        usersApprovalOn: settings.userApproval,
        networkFlowLoggingOn: settings.flowLogs,
        httpsEnabled: settings.https,
      };
      return done(api.call({ method: 'PATCH', path: at('settings'), json }));
    },
  } satisfies Partial<NetworkEngine>;
}

function settingsOf(sent: z.output<typeof settingsShape>): EngineSettings {
  const { devicesApprovalOn, devicesKeyDurationDays, usersApprovalOn } = sent;
  const { networkFlowLoggingOn, httpsEnabled } = sent;
  return {
    ...(devicesApprovalOn === undefined ? {} : { deviceApproval: devicesApprovalOn }),
    ...(devicesKeyDurationDays === undefined ? {} : { keyDays: devicesKeyDurationDays }),
    ...(usersApprovalOn === undefined ? {} : { userApproval: usersApprovalOn }),
    ...(networkFlowLoggingOn === undefined ? {} : { flowLogs: networkFlowLoggingOn }),
    ...(httpsEnabled === undefined ? {} : { https: httpsEnabled }),
  };
}
