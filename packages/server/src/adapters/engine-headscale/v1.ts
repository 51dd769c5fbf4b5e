import { createHash } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { z } from 'zod';
import type {
  AuthKeyFacts,
  Device,
  EnginePolicy,
  EngineUser,
  NetworkEngine,
} from '../../control/engine/index.ts';
import { cannot } from '../../control/engine/index.ts';
import type { RemoteApi } from '../../control/engine/remote/index.ts';
import {
  changedMeanwhile,
  done,
  messageOf,
  read,
  untouched,
} from '../../control/engine/remote/index.ts';
import {
  createdKeyShape,
  keysShape,
  type keyShape,
  nodesShape,
  type nodeShape,
  oneNodeShape,
  policyShape,
  usersShape,
  type userShape,
} from './shapes.ts';

type Calls = Omit<NetworkEngine, 'kind' | 'url' | 'capabilities' | 'look'>;

/** Whom tagged machines belong to in its answers. */
const taggedDevices = 'tagged-devices';

/** Headscale's own API, from 0.26 to 0.29; later releases keep its paths. */
export function apiV1(api: RemoteApi, nowMs: () => number): Calls {
  return { ...keyCalls(api, nowMs), ...nodeCalls(api), ...policyCalls(api), ...otherCalls(api) };
}

/**
 * Many an unknown user or node is a 500 with code 2 in these releases: what its words say it is. Status 400 with a
 * sentence about what is missing is the same.
 */
function clear<T>(result: Result<T, Refusal>): Result<T, Refusal> {
  if (result.ok) return result;
  const { code, message } = result.error;
  const isMissing = /\b(?:not found|no such|record not found|unknown)\b/i.test(message);
  return isMissing && (code === 'upstream_error' || code === 'invalid_request')
    ? err(refusal('not_found', message))
    : result;
}

function keyCalls(api: RemoteApi, nowMs: () => number) {
  const path = '/api/v1/preauthkey';
  const list = async (): Promise<Result<readonly AuthKeyFacts[], Refusal>> => {
    const listed = await read(api, keysShape, api.call({ method: 'GET', path }));
    return listed.ok ? ok(listed.value.preAuthKeys.map((key) => keyFacts(key, nowMs()))) : listed;
  };
  return {
    createAuthKey: async (request) => {
      const { reusable, ephemeral, preauthorized, tags, lifeMs, login } = request;
      if (!preauthorized) {
        return cannot('headscale', 'approval', 'A key that needs approval would need none there.');
      }
      const user = login === undefined ? ok(undefined) : await userIdOf(api, login);
      if (!user.ok) return user;
      const json = {
        ...(user.value === undefined ? {} : { user: user.value }),
        reusable,
        ephemeral,
        // Without one it would have ended in the year 1.
        expiration: new Date(nowMs() + lifeMs).toISOString(),
        aclTags: tags,
      };
      const made = await read(api, createdKeyShape, api.call({ method: 'POST', path, json }));
      if (!made.ok) return clear(made);
      const { id, key, expiration } = made.value.preAuthKey;
      if (key === '') return api.odd('with a key that is none');
      return ok({ id, key: new Secret(key), expiresAtMs: expiration ?? nowMs() + lifeMs });
    },
    listAuthKeys: list,
    getAuthKey: async (id) => {
      const listed = await list();
      if (!listed.ok) return listed;
      const key = listed.value.find((each) => each.id === id);
      return key === undefined ? refuse('not_found', `${api.name} has no key ${id}.`) : ok(key);
    },
    revokeAuthKey: async (id) => {
      if (!/^\d+$/.test(id)) return refuse('not_found', `${api.name} has no key ${id}.`);
      const call = { method: 'POST', path: `${path}/expire`, json: { id } } as const;
      return clear(await done(api.call(call)));
    },
  } satisfies Partial<NetworkEngine>;
}

function keyFacts(key: z.output<typeof keyShape>, nowMs: number): AuthKeyFacts {
  const { id, reusable, ephemeral, aclTags: tags, expiration = 0 } = key;
  const login = tags.length > 0 ? '' : loginOf(key.user ?? undefined);
  return {
    id,
    reusable,
    ephemeral,
    preauthorized: true,
    tags,
    ...(login === '' ? {} : { login }),
    createdAtMs: key.createdAt ?? 0,
    expiresAtMs: expiration,
    invalid: nowMs >= expiration || (key.used && !reusable),
  };
}

/** What policies call them: the e-mail of people who signed in, `name@` of those that were made by hand. */
function loginOf(user: z.output<typeof userShape> | undefined): string {
  if (user === undefined || user.name === taggedDevices) return '';
  if (user.email !== '') return user.email;
  return user.name.includes('@') ? user.name : `${user.name}@`;
}

async function userIdOf(api: RemoteApi, login: string): Promise<Result<string, Refusal>> {
  const listed = await read(api, usersShape, api.call({ method: 'GET', path: '/api/v1/user' }));
  if (!listed.ok) return listed;
  const wanted = login.toLowerCase();
  const found = listed.value.users.find((user) =>
    [loginOf(user), user.name, `${user.name}@`].some((each) => each.toLowerCase() === wanted),
  );
  return found === undefined
    ? refuse(
        'not_found',
        `${api.name} knows nobody called ${login}. Make them there: headscale users create NAME`,
        { param: 'login' },
      )
    : ok(found.id);
}

function nodeCalls(api: RemoteApi) {
  const at = (id: string, rest = ''): string => `/api/v1/node/${encodeURIComponent(id)}${rest}`;
  const known = (id: string): Result<void, Refusal> =>
    /^\d+$/.test(id) ? ok(undefined) : refuse('not_found', `${api.name} has no machine ${id}.`);
  const post = async (id: string, rest: string, json: unknown) => {
    const is = known(id);
    if (!is.ok) return is;
    return clear(await done(api.call({ method: 'POST', path: at(id, rest), json })));
  };
  return {
    listDevices: async () => {
      const call = api.call({ method: 'GET', path: '/api/v1/node' });
      const listed = await read(api, nodesShape, call);
      return listed.ok ? ok(listed.value.nodes.map(deviceOf)) : listed;
    },
    getDevice: async (id) => {
      const is = known(id);
      if (!is.ok) return is;
      const got = await read(api, oneNodeShape, api.call({ method: 'GET', path: at(id) }));
      return got.ok ? ok(deviceOf(got.value.node)) : clear(got);
    },
    deleteDevice: async (id) => {
      const is = known(id);
      return is.ok ? clear(await done(api.call({ method: 'DELETE', path: at(id) }))) : is;
    },
    setTags: (id, tags) => post(id, '/tags', { tags }),
    authorize: () =>
      Promise.resolve(
        cannot('headscale', 'approval', 'Machines that ask to join: headscale auth approve'),
      ),
    rename: (id, name) => post(id, `/rename/${encodeURIComponent(name)}`, {}),
    setRoutes: (id, routes) => post(id, '/approve_routes', { routes }),
    expireKey: (id) => post(id, '/expire', {}),
  } satisfies Partial<NetworkEngine>;
}

function deviceOf(node: z.output<typeof nodeShape>): Device {
  const { tags, online, lastSeen, expiry } = node;
  const login = tags.length > 0 ? '' : loginOf(node.user ?? undefined);
  return {
    id: node.id,
    name: node.givenName === '' ? node.name : node.givenName,
    hostname: node.name,
    addresses: node.ipAddresses,
    ...(login === '' ? {} : { user: login }),
    tags,
    online,
    authorized: true,
    ephemeral: node.preAuthKey?.ephemeral ?? false,
    ...(node.preAuthKey === undefined || node.preAuthKey === null
      ? {}
      : { authKeyId: node.preAuthKey.id }),
    nodeKey: node.nodeKey,
    machineKey: node.machineKey,
    os: '',
    clientVersion: '',
    createdAtMs: node.createdAt ?? 0,
    ...(expiry === undefined ? {} : { expiresAtMs: expiry }),
    ...(online || lastSeen === undefined ? {} : { lastSeenMs: lastSeen }),
    enabledRoutes: node.approvedRoutes,
    advertisedRoutes: node.availableRoutes,
  };
}

/**
 * This API has no etag: ours is the SHA-256 of the text, compared with what is read right before it is written. What
 * somebody else writes within these milliseconds is lost, which the page on engines says.
 */
function policyCalls(api: RemoteApi) {
  const path = '/api/v1/policy';
  let writing: Promise<unknown> = Promise.resolve();
  const get = async (): Promise<Result<EnginePolicy, Refusal>> => {
    const asked = await api.ask({ method: 'GET', path });
    if (!asked.ok) return asked;
    const { status, text } = asked.value;
    if (status >= 400 && /policy not found/i.test(messageOf(text))) {
      return ok({ text: '', etag: untouched });
    }
    const judged = api.judge(asked.value);
    const got = await read(api, policyShape, Promise.resolve(judged));
    return got.ok ? ok({ text: got.value.policy, etag: etagOf(got.value.policy) }) : got;
  };
  const put = async (text: string, ifMatch: string): Promise<Result<EnginePolicy, Refusal>> => {
    const before = await get();
    if (!before.ok) return before;
    if (before.value.etag !== ifMatch) return changedMeanwhile(api.name);
    const set = await api.call({ method: 'PUT', path, json: { policy: text } });
    if (set.ok) return ok({ text, etag: etagOf(text) });
    return err(writeRefusal(set.error));
  };
  return {
    getPolicy: get,
    setPolicy: (text, ifMatch) => {
      const mine = writing.then(() => put(text, ifMatch));
      writing = mine.catch(() => undefined);
      return mine;
    },
    checkPolicy: async (policy) => {
      const call = { method: 'POST', path: `${path}/check`, json: { policy } } as const;
      const asked = await api.ask(call);
      if (!asked.ok) return asked;
      const { status, text } = asked.value;
      // Before 0.29 there is no such path: then only writing tells.
      if (status === 404 || status === 405 || (status === 501 && !isWords(text))) return ok([]);
      if (status === 400 || status === 422 || status === 500) return ok([messageOf(text)]);
      const judged = api.judge(asked.value);
      return judged.ok ? ok([]) : judged;
    },
    previewPolicy: () => Promise.resolve(cannot('headscale', 'policy-preview')),
  } satisfies Partial<NetworkEngine>;
}

function isWords(text: string): boolean {
  return messageOf(text).includes(' ');
}

function etagOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function writeRefusal(why: Refusal): Refusal {
  if (/update is disabled/i.test(why.message)) {
    return refusal(
      'conflict',
      `${why.message}. Its configuration has to say policy.mode: database; then restart it.`,
    );
  }
  // What is wrong with the text comes as 500 in these releases.
  return why.code === 'upstream_error' && why.detail?.['status'] === 500
    ? refusal('invalid_request', why.message)
    : why;
}

function otherCalls(api: RemoteApi) {
  const dns = 'DNS is in its configuration file.';
  const settings = 'They are in its configuration file.';
  return {
    getDns: () => Promise.resolve(cannot('headscale', 'dns-read', dns)),
    setDns: () => Promise.resolve(cannot('headscale', 'dns-write', dns)),
    listUsers: async () => {
      const listed = await read(api, usersShape, api.call({ method: 'GET', path: '/api/v1/user' }));
      if (!listed.ok) return listed;
      const nodes = await read(api, nodesShape, api.call({ method: 'GET', path: '/api/v1/node' }));
      if (!nodes.ok) return nodes;
      const owned = nodes.value.nodes.filter(({ tags }) => tags.length === 0);
      const counts = Map.groupBy(owned, ({ user }) => user?.id);
      return ok(
        listed.value.users
          .filter(({ name }) => name !== taggedDevices)
          .map(
            (user): EngineUser => ({
              id: user.id,
              login: loginOf(user),
              displayName: user.displayName === '' ? user.name : user.displayName,
              createdAtMs: user.createdAt ?? 0,
              devices: counts.get(user.id)?.length ?? 0,
            }),
          ),
      );
    },
    getSettings: () => Promise.resolve(cannot('headscale', 'settings', settings)),
    setSettings: () => Promise.resolve(cannot('headscale', 'settings-write', settings)),
  } satisfies Partial<NetworkEngine>;
}
