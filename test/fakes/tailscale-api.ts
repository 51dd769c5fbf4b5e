/**
 * A server in the recorded shape of the Tailscale API v2: paths, names, statuses and odd corners as its public
 * documents and the public Go client's own tests have them (empty dates as "", `lastSeen` only for machines that are
 * away, ids beside node ids, 200 with a message where a policy is refused, 412, 429 with Retry-After). It knows nothing
 * of our own code: the public Go client drives it as well as ours.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { parseDocument } from '../../packages/core/src/base/hujson/index.ts';

export interface TailscaleApi {
  readonly url: string;
  readonly key: string;
  readonly client: { readonly id: string; readonly secret: string };
  /** Requests so far, as `METHOD path`. */
  readonly seen: string[];
  /** Answers every request so until it is undefined again. */
  fail: { readonly status: number; readonly headers?: Record<string, string> } | undefined;
  /** Of tokens made from now on. */
  tokenSeconds: number;
  revokeTokens(): void;
  /** A machine joins by a key; its id. */
  join(
    key: string,
    machine: { hostname: string; routes?: string[]; os?: string; addresses?: string[] },
  ): string;
  /** Somebody edits the policy in the admin console. */
  edit(text: string): void;
  listen(port?: number): Promise<void>;
  close(): Promise<void>;
}

interface FakeDevice {
  id: string;
  nodeId: string;
  hostname: string;
  name: string;
  user: string;
  tags: string[];
  addresses: string[];
  authorized: boolean;
  isEphemeral: boolean;
  keyExpiryDisabled: boolean;
  expires: string;
  created: string;
  os: string;
  online: boolean;
  advertised: string[];
  enabled: string[];
  nodeKey: string;
  machineKey: string;
}

interface FakeKey {
  id: string;
  secret: string;
  keyType: 'auth' | 'client';
  description: string;
  created: string;
  expires: string;
  revoked: string;
  create?: { reusable: boolean; ephemeral: boolean; preauthorized: boolean; tags: string[] };
  scopes?: string[];
  tags?: string[];
}

const suffix = 'tail1234.ts.net';
const defaultPolicy = `// Example/default ACLs for unrestricted connections.
{
  "grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}],
}
`;

type Json = Record<string, unknown>;

class ApiError extends Error {
  readonly status: number;
  readonly data: unknown;
  constructor(status: number, message: string, data?: unknown) {
    super(message);
    this.status = status;
    this.data = data;
  }
}

interface Call {
  readonly method: string;
  readonly rest: string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly scopes: readonly string[];
}

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly text?: string;
}

export async function startTailscaleApi(): Promise<TailscaleApi> {
  const api = new FakeApi();
  await api.listen();
  return api;
}

class FakeApi implements TailscaleApi {
  url = '';
  readonly key = `tskey-api-k${token(6)}CNTRL-${token(16)}`;
  readonly client = {
    id: `k${token(6)}CNTRL`,
    secret: `tskey-client-k${token(6)}CNTRL-${token(16)}`,
  };
  readonly seen: string[] = [];
  fail: TailscaleApi['fail'];
  tokenSeconds = 3_600;
  #server: Server | undefined;
  #port = 0;
  #tokens = new Map<string, { untilMs: number; scopes: readonly string[] }>();
  readonly #devices: FakeDevice[] = [];
  readonly #keys: FakeKey[] = [];
  #policy = defaultPolicy;
  #isTouched = false;
  #next = 1;
  #dns = {
    nameservers: [] as { address: string; useWithExitNode?: boolean }[],
    splitDNS: {} as Record<string, { address: string }[]>,
    searchPaths: [] as string[],
    preferences: { magicDNS: true, overrideLocalDNS: false },
  };
  readonly #settings: Json = {
    aclsExternallyManagedOn: false,
    aclsExternalLink: '',
    devicesApprovalOn: true,
    devicesAutoUpdatesOn: false,
    devicesKeyDurationDays: 180,
    usersApprovalOn: false,
    usersRoleAllowedToJoinExternalTailnets: 'admin',
    networkFlowLoggingOn: false,
    regionalRoutingOn: false,
    postureIdentityCollectionOn: false,
    httpsEnabled: true,
  };

  async listen(port = this.#port): Promise<void> {
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    await Promise.resolve();
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }

  edit(text: string): void {
    this.#policy = text;
    this.#isTouched = true;
  }

  join(
    text: string,
    {
      hostname,
      routes = [],
      os = 'linux',
      addresses,
    }: { hostname: string; routes?: string[]; os?: string; addresses?: string[] },
  ): string {
    const key = this.#keys.find((each) => each.secret === text && each.keyType === 'auth');
    if (key?.create === undefined || key.revoked !== '') throw new Error('invalid key');
    const number = this.#next++;
    const { tags, ephemeral, preauthorized, reusable } = key.create;
    if (!reusable) key.revoked = new Date().toISOString();
    const nodeId = `n${token(6)}CNTRL`;
    this.#devices.push({
      id: String(92_960_230_385 + number),
      nodeId,
      hostname,
      name: `${hostname}.${suffix}`,
      user: 'alice@example.com',
      tags,
      addresses: addresses ?? [`100.70.0.${number}`, `fd7a:115c:a1e0::${number.toString(16)}`],
      authorized: preauthorized || this.#settings['devicesApprovalOn'] !== true,
      isEphemeral: ephemeral,
      keyExpiryDisabled: tags.length > 0,
      expires: new Date(Date.now() + 180 * 86_400_000).toISOString(),
      created: new Date().toISOString(),
      os,
      online: true,
      advertised: routes,
      enabled: [],
      nodeKey: `nodekey:${randomBytes(32).toString('hex')}`,
      machineKey: `mkey:${randomBytes(32).toString('hex')}`,
    });
    return nodeId;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api.invalid');
    this.seen.push(`${request.method} ${url.pathname}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    try {
      if (this.fail !== undefined) {
        const { status, headers = {} } = this.fail;
        response.writeHead(status, headers).end(JSON.stringify({ message: 'not now' }));
        return;
      }
      const answer = this.#answer(request, url, text);
      const { status = 200, headers = {}, json } = answer;
      const type = answer.text === undefined ? 'application/json' : 'application/hujson';
      response.writeHead(status, { 'content-type': type, ...headers });
      response.end(answer.text ?? JSON.stringify(json ?? {}));
    } catch (error) {
      const { status, data } = error instanceof ApiError ? error : { status: 500, data: undefined };
      const message = error instanceof Error ? error.message : 'internal';
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ message, ...(data === undefined ? {} : { data }) }));
    }
  }

  #answer(request: IncomingMessage, url: URL, text: string): Answer {
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const [api, version, first = '', ...rest] = parts;
    if (api !== 'api' || version !== 'v2') throw new ApiError(404, 'not found');
    if (first === 'oauth' && rest[0] === 'token') return this.#token(text, request);
    const call: Call = {
      method: request.method ?? 'GET',
      rest: rest.slice(1),
      query: url.searchParams,
      headers: request.headers,
      text,
      scopes: this.#authorize(request.headers.authorization ?? ''),
    };
    if (first === 'device') return this.#device(rest[0] ?? '', call);
    if (first === 'users') {
      const user = this.#users().find(({ id }) => id === rest[0]);
      if (user === undefined) throw new ApiError(404, 'user not found');
      return { json: user };
    }
    if (first !== 'tailnet' || rest[0] !== '-') throw new ApiError(404, 'tailnet not found');
    const [section] = call.rest;
    const tail: Call = { ...call, rest: call.rest.slice(1) };
    switch (section ?? '') {
      case 'devices':
        this.#may(call, 'devices:core:read');
        return { json: { devices: this.#devices.map((each) => view(each, call.query)) } };
      case 'keys':
        return this.#keyCalls(tail);
      case 'acl':
        return this.#acl(tail);
      case 'dns':
        return this.#dnsCalls(tail);
      case 'users':
        return { json: { users: this.#users() } };
      case 'settings':
        if (call.method === 'PATCH') Object.assign(this.#settings, JSON.parse(text));
        return { json: this.#settings };
      default:
        throw new ApiError(404, 'not found');
    }
  }

  /** Bearer, or Basic with the key as the user and no password. */
  #authorize(header: string): readonly string[] {
    const [kind = '', value = ''] = header.split(' ');
    const given =
      kind.toLowerCase() === 'basic'
        ? Buffer.from(value, 'base64').toString().split(':')[0]
        : value;
    if (given === this.key) return ['all'];
    const held = this.#tokens.get(given ?? '');
    if (held === undefined || held.untilMs < Date.now()) {
      throw new ApiError(401, 'API token invalid');
    }
    return held.scopes;
  }

  #may({ scopes }: Call, wanted: string): void {
    const base = wanted.replace(/:read$/, '');
    const isRead = wanted.endsWith(':read');
    const enough = ['all', base, ...(isRead ? ['all:read', wanted] : [])];
    if (scopes.some((scope) => enough.includes(scope))) return;
    throw new ApiError(
      403,
      'calling actor does not have enough permissions to perform this function',
    );
  }

  #token(text: string, request: IncomingMessage): Answer {
    const form = new URLSearchParams(text);
    const [, basic = ''] = (request.headers.authorization ?? '').split(' ');
    const [basicId, basicSecret] = Buffer.from(basic, 'base64').toString().split(':');
    const id = form.get('client_id') ?? decodeURIComponent(basicId ?? '');
    const secret = form.get('client_secret') ?? decodeURIComponent(basicSecret ?? '');
    const own = this.#keys.find((each) => each.keyType === 'client' && each.id === id);
    const scopes =
      id === this.client.id && secret === this.client.secret
        ? ['all']
        : own !== undefined && own.secret === secret && own.revoked === ''
          ? own.scopes
          : undefined;
    if (scopes === undefined) throw new ApiError(401, 'API token invalid');
    if (form.get('grant_type') !== 'client_credentials') throw new ApiError(400, 'bad grant_type');
    const made = `tskey-api-k${token(6)}CNTRL-${token(16)}`;
    this.#tokens.set(made, { untilMs: Date.now() + this.tokenSeconds * 1_000, scopes });
    const json = { access_token: made, token_type: 'Bearer', expires_in: this.tokenSeconds };
    return { json: { ...json, scope: scopes.join(' ') } };
  }

  #device(id: string, call: Call): Answer {
    const at = this.#devices.findIndex((each) => each.id === id || each.nodeId === id);
    const device = this.#devices[at];
    if (device === undefined) throw new ApiError(404, 'device not found');
    const [what] = call.rest;
    if (call.method === 'GET') {
      this.#may(call, 'devices:core:read');
      if (what === undefined) return { json: view(device, call.query) };
      if (what === 'routes') return { json: routesOf(device) };
      throw new ApiError(404, 'not found');
    }
    this.#may(call, what === 'routes' ? 'devices:routes' : 'devices:core');
    if (call.method === 'DELETE') {
      this.#devices.splice(at, 1);
      return {};
    }
    const body = call.text === '' ? {} : (JSON.parse(call.text) as Json);
    switch (what ?? '') {
      case 'authorized':
        device.authorized = body['authorized'] === true;
        return {};
      case 'name':
        device.name = `${String(body['name']).split('.')[0]}.${suffix}`;
        return {};
      case 'tags': {
        const tags = body['tags'] as string[];
        const bad = tags.find((tag) => !this.#policy.includes(`"${tag}"`));
        if (bad !== undefined) {
          throw new ApiError(400, `requested tags [${bad}] are invalid or not permitted`);
        }
        device.tags = tags;
        return {};
      }
      case 'key':
        device.keyExpiryDisabled = body['keyExpiryDisabled'] === true;
        return {};
      case 'expire':
        device.expires = new Date().toISOString();
        device.keyExpiryDisabled = false;
        device.online = false;
        return {};
      case 'routes':
        device.enabled = body['routes'] as string[];
        return { json: routesOf(device) };
      default:
        throw new ApiError(404, 'not found');
    }
  }

  #keyCalls(call: Call): Answer {
    const [id] = call.rest;
    if (call.method === 'POST') return { json: this.#createKey(call) };
    if (id === undefined) return { json: { keys: this.#keys.filter(isListed).map(keyView) } };
    const key = this.#keys.find((each) => each.id === id);
    if (key === undefined) throw new ApiError(404, 'key not found');
    if (call.method === 'DELETE') {
      key.revoked = new Date().toISOString();
      return {};
    }
    if (call.method === 'PUT') {
      const { scopes, tags, description } = JSON.parse(call.text) as Json;
      Object.assign(key, { scopes, tags, description });
    }
    return { json: keyView(key) };
  }

  #createKey(call: Call): unknown {
    const body = JSON.parse(call.text) as {
      keyType?: string;
      description?: string;
      expirySeconds?: number;
      scopes?: string[];
      tags?: string[];
      capabilities?: { devices?: { create?: FakeKey['create'] } };
    };
    const { description = '', keyType = 'auth', expirySeconds } = body;
    this.#may(call, keyType === 'auth' ? 'auth_keys' : 'oauth_keys');
    if (description.length > 50) throw new ApiError(400, 'description too long');
    const created = new Date();
    const seconds = expirySeconds === undefined || expirySeconds === 0 ? 7_776_000 : expirySeconds;
    const id = `k${token(6)}CNTRL`;
    const base = {
      id,
      description,
      created: created.toISOString(),
      expires: new Date(created.getTime() + seconds * 1_000).toISOString(),
      revoked: '',
    };
    if (keyType === 'client') {
      const secret = `tskey-client-${id}-${token(16)}`;
      const { scopes = [], tags = [] } = body;
      const key: FakeKey = { ...base, keyType, secret, scopes, tags };
      this.#keys.push(key);
      return { ...keyView(key), key: secret };
    }
    const create = body.capabilities?.devices?.create;
    if (create === undefined) throw new ApiError(400, 'capabilities are required');
    const tags = create.tags ?? [];
    const secret = `tskey-auth-${id}-${token(16)}`;
    const key: FakeKey = {
      ...base,
      keyType: 'auth',
      secret,
      create: {
        reusable: create.reusable,
        ephemeral: create.ephemeral,
        preauthorized: create.preauthorized,
        tags,
      },
    };
    this.#keys.push(key);
    return { ...keyView(key), key: secret };
  }

  #acl(call: Call): Answer {
    const [what] = call.rest;
    if (what === 'validate') return { json: problemOf(call.text) ?? {} };
    if (what === 'preview') return { json: previewOf(call) };
    this.#may(call, call.method === 'GET' ? 'policy_file:read' : 'policy_file');
    if (call.method === 'POST') {
      const wanted = (call.headers['if-match'] ?? '').replaceAll('"', '');
      const isMatch =
        wanted === '' ||
        wanted === etagOf(this.#policy) ||
        (wanted === 'ts-default' && !this.#isTouched);
      if (!isMatch) throw new ApiError(412, 'precondition failed, invalid old hash');
      const problem = problemOf(call.text);
      if (problem !== undefined) throw new ApiError(400, problem.message, problem.data);
      this.edit(call.text);
    }
    const headers = { etag: `"${etagOf(this.#policy)}"` };
    if ((call.headers.accept ?? '').includes('hujson')) return { headers, text: this.#policy };
    const parsed = parseDocument(this.#policy);
    return { headers, json: parsed.ok ? parsed.value.plain.value : {} };
  }

  #dnsCalls(call: Call): Answer {
    const [what] = call.rest;
    const body = call.text === '' ? {} : (JSON.parse(call.text) as Json);
    const isWrite = call.method !== 'GET';
    this.#may(call, isWrite ? 'dns' : 'dns:read');
    const dns = this.#dns;
    switch (what ?? '') {
      case 'nameservers':
        if (isWrite) dns.nameservers = (body['dns'] as string[]).map((address) => ({ address }));
        return { json: { dns: dns.nameservers.map(({ address }) => address) } };
      case 'searchpaths':
        if (isWrite) dns.searchPaths = body['searchPaths'] as string[];
        return { json: { searchPaths: dns.searchPaths } };
      case 'preferences':
        if (isWrite) dns.preferences.magicDNS = body['magicDNS'] === true;
        return { json: { magicDNS: dns.preferences.magicDNS } };
      case 'split-dns': {
        if (call.method === 'PUT') dns.splitDNS = {};
        if (isWrite) {
          for (const [domain, list] of Object.entries(body as Record<string, string[] | null>)) {
            if (list === null) delete dns.splitDNS[domain];
            else dns.splitDNS[domain] = list.map((address) => ({ address }));
          }
        }
        const entries = Object.entries(dns.splitDNS);
        return {
          json: Object.fromEntries(
            entries.map(([domain, list]) => [domain, list.map(({ address }) => address)]),
          ),
        };
      }
      case 'configuration':
        if (isWrite) this.#dns = { ...dns, ...(body as typeof dns) };
        return { json: this.#dns };
      default:
        throw new ApiError(404, 'not found');
    }
  }

  #users() {
    const login = 'alice@example.com';
    return [
      {
        id: 'u123456CNTRL',
        displayName: 'Alice',
        loginName: login,
        profilePicUrl: '',
        tailnetId: 'T123456CNTRL',
        created: '2022-12-01T05:23:30Z',
        type: 'member',
        role: 'admin',
        status: 'active',
        deviceCount: this.#devices.filter(({ user, tags }) => user === login && tags.length === 0)
          .length,
        lastSeen: '2022-12-01T05:23:30Z',
        currentlyConnected: false,
      },
    ];
  }
}

function token(length: number): string {
  return randomBytes(length).toString('base64url').replaceAll(/[-_]/g, 'x').slice(0, length);
}

function etagOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function isListed({ revoked }: FakeKey): boolean {
  return revoked === '';
}

function keyView(key: FakeKey): Json {
  const { id, keyType, description, created, expires, revoked, create, scopes, tags } = key;
  return {
    id,
    keyType,
    description,
    created,
    ...(keyType === 'auth' ? { expires, capabilities: { devices: { create } } } : { scopes, tags }),
    ...(revoked === '' ? {} : { revoked, invalid: true }),
    userId: 'u123456CNTRL',
  };
}

function routesOf({ advertised, enabled }: FakeDevice): Json {
  return { advertisedRoutes: advertised, enabledRoutes: enabled };
}

function view(device: FakeDevice, query: URLSearchParams): Json {
  const { online, advertised, enabled, ...rest } = device;
  return {
    ...rest,
    blocksIncomingConnections: false,
    clientVersion: '1.102.3-t0-g0',
    connectedToControl: online,
    isExternal: false,
    tailnetLockError: '',
    tailnetLockKey: '',
    updateAvailable: false,
    ...(online ? {} : { lastSeen: new Date().toISOString() }),
    ...(query.get('fields') === 'all'
      ? { advertisedRoutes: advertised, enabledRoutes: enabled, sshEnabled: false }
      : {}),
  };
}

/** What is wrong with a policy: its syntax, or a test that no rule satisfies. */
function problemOf(text: string): { message: string; data?: unknown } | undefined {
  const parsed = parseDocument(text);
  if (!parsed.ok) return { message: 'error parsing policy file: line 1, column 1: invalid' };
  const policy = parsed.value.plain.value as {
    tests?: { src?: string; accept?: string[] }[];
    grants?: { src?: string[] }[];
    acls?: { src?: string[] }[];
    [name: string]: unknown;
  };
  const unknown = Object.keys(policy).find((name) => !sections.has(name.toLowerCase()));
  if (unknown !== undefined) return { message: `unknown field "${unknown}"` };
  const named = [...(policy.grants ?? []), ...(policy.acls ?? [])].flatMap(({ src = [] }) => src);
  const failed = (policy.tests ?? []).filter(
    ({ src = '', accept = [] }) =>
      accept.length > 0 && !named.includes(src) && !named.includes('*'),
  );
  if (failed.length === 0) return undefined;
  return {
    message: 'test(s) failed',
    data: failed.map(({ src, accept = [] }) => ({
      user: src,
      errors: accept.map((each) => `address "${each}": want: Accept, got: Drop`),
    })),
  };
}

const sections = new Set(
  'acls grants groups hosts tagowners autoapprovers nodeattrs ssh tests sshtests postures defaultsrcposture ipsets derpmap attrconfig disableipv4 onecgnatroute randomizeclientport'.split(
    ' ',
  ),
);

function previewOf({ text, query }: Call): Json {
  const subject = query.get('previewFor') ?? '';
  const parsed = parseDocument(text);
  const policy = (parsed.ok ? parsed.value.plain.value : {}) as {
    grants?: { src: string[]; dst: string[]; ip?: string[] }[];
  };
  const matches = (policy.grants ?? []).flatMap(({ src, dst, ip = [] }, i) => {
    if (!src.includes(subject) && !src.includes('*')) return [];
    const lineNumber = parsed.ok ? (parsed.value.positionOf(`/grants/${i}`)?.line ?? 0) : 0;
    return [{ users: src, ports: dst.map((each) => `${each}:${ip.join(',')}`), lineNumber }];
  });
  return { matches, type: query.get('type'), previewFor: subject };
}
