import type { JsonObject, Result } from '@postern/core/base';
import { isJsonObject, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { KeyRecord } from '@postern/core/state';
import type { AuthKeyFacts } from '../engine/index.ts';
import { createKey, listKeys, revokeKey } from '../keys.ts';
import { allowed } from './access.ts';
import { bodyOf, flagOf, notHere, textsOf, timeText } from './body.ts';
import type { ApiCall, ApiResult } from './ports.ts';
import { knownScopes } from './scopes.ts';

/** As long as at Tailscale, where a request does not say. */
const lifeSDefault = 90 * 86_400;
const lifeSMax = 366 * 86_400;
const descriptionCharsMax = 200;

/** `/tailnet/-/keys`: keys by which machines join, and OAuth clients. */
export async function keys(call: ApiCall): ApiResult {
  const [, id] = call.path;
  if (id !== undefined) return oneKey(call, id);
  if (call.method === 'GET') return list(call);
  if (call.method !== 'POST') return notHere(call);
  const body = bodyOf(call.text);
  if (!body.ok) return body;
  const { keyType = 'auth', description = '' } = body.value;
  if (typeof description !== 'string' || description.length > descriptionCharsMax) {
    return refuse('invalid_request', `description: a text of at most ${descriptionCharsMax}`);
  }
  if (keyType === 'auth') return createAuthKey(call, body.value, description);
  if (keyType === 'client') return createClient(call, body.value, description);
  return refuse('invalid_request', `keyType: auth or client, not ${JSON.stringify(keyType)}`);
}

async function list(call: ApiCall): ApiResult {
  const may = [allowed(call, 'auth_keys:read'), allowed(call, 'oauth_keys:read')];
  const [auth, oauth] = may;
  if (auth?.ok !== true && oauth?.ok !== true) return auth ?? ok({});
  const listed = auth?.ok === true ? await call.engine.listAuthKeys() : ok([]);
  if (!listed.ok) return listed;
  const clients = oauth?.ok === true ? clientsOf(call) : [];
  const kept = listed.value.filter(({ invalid }) => !invalid);
  return ok({ json: { keys: [...kept.map(authView), ...clients.map(clientView)] } });
}

function clientsOf({ control }: ApiCall): readonly KeyRecord[] {
  return listKeys(control).filter(
    ({ scope, revokedAtMs }) => scope.network !== undefined && revokedAtMs === undefined,
  );
}

async function oneKey(call: ApiCall, id: string): ApiResult {
  const client = clientsOf(call).find((each) => each.id === id);
  const isRead = call.method === 'GET';
  const scope = client === undefined ? 'auth_keys' : 'oauth_keys';
  const may = allowed(call, isRead ? `${scope}:read` : scope);
  if (!may.ok) return may;
  switch (call.method) {
    case 'GET': {
      if (client !== undefined) return ok({ json: clientView(client) });
      const got = await call.engine.getAuthKey(id);
      return got.ok ? ok({ json: authView(got.value) }) : got;
    }
    case 'DELETE': {
      const gone =
        client === undefined
          ? await call.engine.revokeAuthKey(id)
          : await revokeKey(call.control, { key: id, withChildren: false }, call.by);
      return gone.ok ? ok({}) : gone;
    }
    case 'PUT':
      return refuse(
        'conflict',
        'What an OAuth client may do is settled when it is made: make another, and delete this one.',
        { param: 'unsupported' },
      );
    default:
      return notHere(call);
  }
}

async function createAuthKey(call: ApiCall, body: JsonObject, description: string): ApiResult {
  const may = allowed(call, 'auth_keys');
  if (!may.ok) return may;
  const create = createOf(body);
  const tags = textsOf(create, 'tags');
  if (!tags.ok) return tags;
  const lifeS = lifeOf(body['expirySeconds']);
  if (!lifeS.ok) return lifeS;
  const owned = mayCarry(call, tags.value);
  if (!owned.ok) return owned;
  const made = await call.engine.createAuthKey({
    reusable: flagOf(create, 'reusable') ?? false,
    ephemeral: flagOf(create, 'ephemeral') ?? false,
    preauthorized: flagOf(create, 'preauthorized') ?? false,
    tags: tags.value,
    lifeMs: lifeS.value * 1_000,
    ...(description === '' ? {} : { description }),
  });
  if (!made.ok) return made;
  const facts = await call.engine.getAuthKey(made.value.id);
  if (!facts.ok) return facts;
  const key = made.value.key.reveal();
  return ok({ json: { ...authView(facts.value), key, expirySeconds: lifeS.value } });
}

function createOf(body: JsonObject): JsonObject {
  const inner = (value: unknown, name: string): JsonObject => {
    const found: unknown =
      typeof value === 'object' && value !== null ? Reflect.get(value, name) : {};
    return typeof found === 'object' && found !== null && !Array.isArray(found)
      ? // Parts of what JSON.parse gave are JSON.
        (found as JsonObject)
      : {};
  };
  const devices = inner(inner(body, 'capabilities'), 'devices');
  const create = inner(devices, 'create');
  return isJsonObject(create) ? create : {};
}

/** The Go client sends 0 for "as usual". */
function lifeOf(value: unknown): Result<number, Refusal> {
  if (value === undefined || value === 0) return ok(lifeSDefault);
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= lifeSMax) {
    return ok(value);
  }
  return refuse('invalid_request', `expirySeconds: 1 to ${lifeSMax}`, { param: 'expirySeconds' });
}

/** A key of nobody joins nothing: here keys carry tags, and a client's only those that it was given. */
function mayCarry({ by, scopes }: ApiCall, tags: readonly string[]): Result<void, Refusal> {
  if (tags.length === 0) {
    return refuse(
      'invalid_request',
      'tags: a key made here needs tags; machines of people join by signing in.',
    );
  }
  const held = by.scope?.network;
  if (held === undefined || scopes.includes('all')) return ok(undefined);
  const extra = tags.find((tag) => !held.includes(tag));
  return extra === undefined
    ? ok(undefined)
    : refuse('invalid_request', `requested tags [${extra}] are invalid or not permitted`);
}

async function createClient(call: ApiCall, body: JsonObject, description: string): ApiResult {
  const may = allowed(call, 'oauth_keys');
  if (!may.ok) return may;
  const scopes = textsOf(body, 'scopes');
  if (!scopes.ok) return scopes;
  const tags = textsOf(body, 'tags');
  if (!tags.ok) return tags;
  const unknown = scopes.value.find((scope) => !knownScopes.has(scope));
  if (unknown !== undefined || scopes.value.length === 0) {
    const list = [...knownScopes].join(', ');
    return refuse('invalid_request', `scopes: ${unknown ?? 'none given'}; there are ${list}`);
  }
  const bad = tags.value.find((tag) => !tag.startsWith('tag:'));
  if (bad !== undefined) return refuse('invalid_request', `tags: ${bad} is no tag`);
  const needsTags = scopes.value.some((scope) => scope === 'auth_keys' || scope === 'devices:core');
  if (needsTags && tags.value.length === 0) {
    return refuse('invalid_request', 'tags: the scopes devices:core and auth_keys need tags');
  }
  const { control, by } = call;
  const name = `oauth-${Buffer.from(control.system.randomBytes(6)).toString('hex')}`;
  const made = await createKey(
    control,
    {
      name,
      scope: { network: [...scopes.value, ...tags.value] },
      boundTo: [],
      ...(description === '' ? {} : { description }),
    },
    by,
  );
  if (!made.ok) return made;
  const { key, secret } = made.value;
  return ok({ json: { ...clientView(key), key: secret.reveal() } });
}

function authView(key: AuthKeyFacts) {
  const { reusable, ephemeral, preauthorized, tags } = key;
  return {
    id: key.id,
    keyType: 'auth',
    description: key.description ?? '',
    created: timeText(key.createdAtMs),
    expires: timeText(key.expiresAtMs),
    ...(key.invalid ? { invalid: true } : {}),
    capabilities: { devices: { create: { reusable, ephemeral, preauthorized, tags } } },
  };
}

function clientView(key: KeyRecord) {
  const network = key.scope.network ?? [];
  return {
    id: key.id,
    keyType: 'client',
    description: key.description ?? '',
    created: timeText(key.createdAtMs),
    scopes: network.filter((each) => !each.startsWith('tag:')),
    tags: network.filter((each) => each.startsWith('tag:')),
  };
}
