import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { errorRow, refuse } from '@postern/core/errors';
import type { Instance } from '@postern/core/registry';
import { isInstanceId, isNodeType, registryLimits } from '@postern/core/registry';
import type { HttpHandler, HttpReply, HttpRequest } from '../../http/index.ts';
import type { Requester } from '../control.ts';
import type { Registry } from './registry.ts';

export interface VpcRoutesOptions {
  readonly registry: Registry;
  /** Who is asking. A plain header is never an answer to that. */
  readonly identify: (request: HttpRequest) => Promise<Result<Requester, Refusal>>;
  /** What is none of these routes. */
  readonly otherwise: HttpHandler;
}

/** Clients of the original send no heartbeats: an update counts for a day. */
const vpcLeaseMs = 86_400_000;
const noStore = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

interface Call {
  readonly registry: Registry;
  readonly query: URLSearchParams;
  readonly by: Requester;
  /** What follows the route's own path. */
  readonly rest: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Route {
  readonly methods: readonly string[];
  readonly path: string;
  readonly run: (call: Call) => Promise<Result<Answer, Refusal>>;
}

const routes: readonly Route[] = [
  { methods: ['GET', 'POST'], path: '/api/register', run: register },
  { methods: ['POST'], path: '/api/nodes/update', run: update },
  { methods: ['GET'], path: '/api/nodes', run: nodes },
  { methods: ['GET'], path: '/api/discover/', run: discover },
];

/** The routes of the DStack VPC server, with its shapes and its errors. */
export function vpcRoutes(options: VpcRoutesOptions): HttpHandler {
  return async (request, reply) => {
    const { method, path } = request;
    if (path === '/health' || path === '/api/ping') {
      if (method !== 'GET' && method !== 'HEAD')
        return refused(reply, 405, 'GET only', 'GET, HEAD');
      const text = path === '/health' ? 'OK' : 'pong';
      return reply.send(200, { ...noStore, 'content-type': 'text/plain' }, text);
    }
    const route = routes.find((each) =>
      each.path.endsWith('/') ? path.startsWith(each.path) : path === each.path,
    );
    if (route === undefined) return options.otherwise(request, reply);
    if (!route.methods.includes(method)) {
      const allow = route.methods.join(', ');
      return refused(reply, 405, `${route.path} takes ${allow}`, allow);
    }
    const by = await options.identify(request);
    if (!by.ok) return refuseAs(reply, by.error);
    const { registry } = options;
    const rights = registry.rights(by.value);
    if (!rights.ok) return refuseAs(reply, rights.error);
    const query = new URLSearchParams(request.query);
    if (new Set(query.keys()).size !== query.size) {
      return refused(reply, 400, 'A query parameter stands twice.');
    }
    const rest = path.slice(route.path.length);
    const answer = await route.run({ registry, query, by: by.value, rest });
    if (!answer.ok) return refuseAs(reply, answer.error);
    send(reply, answer.value.status, answer.value.body);
  };
}

function ok(body: unknown, status = 200): Result<Answer, Refusal> {
  return { ok: true, value: { status, body } };
}

/** The machine is known from here on, and owned; what it serves it says with its first update. */
async function register({ registry, query, by }: Call): Promise<Result<Answer, Refusal>> {
  const uuid = query.get('instance_id') ?? '';
  if (!isInstanceId(uuid)) return invalid('instance_id');
  const name = query.get('node_name') ?? '';
  const known = registry.find(uuid);
  const nodeType = query.get('node_type') ?? known?.nodeType ?? '';
  const { port } = known ?? {};
  const done = await registry.register(
    {
      uuid,
      nodeType,
      hostname: name === '' ? (known?.hostname ?? 'node') : name,
      addresses: known?.addresses ?? [],
      ...(port === undefined ? {} : { port }),
      metadata: known?.metadata ?? {},
      leaseMs: known?.leaseMs ?? vpcLeaseMs,
    },
    by,
  );
  if (!done.ok) return done;
  const shared = await registry.groupKey(nodeType);
  if (!shared.ok) return shared;
  const key = await registry.joinKey(name === '' ? uuid : name);
  if (!key.ok) return key;
  return ok({
    pre_auth_key: key.value.key.reveal(),
    shared_key: shared.value.reveal(),
    server_url: key.value.url,
  });
}

async function update({ registry, query, by }: Call): Promise<Result<Answer, Refusal>> {
  const uuid = query.get('uuid') ?? '';
  const nodeType = query.get('node_type') ?? '';
  if (!isInstanceId(uuid)) return invalid('uuid');
  if (!isNodeType(nodeType)) return invalid('node_type');
  const known = registry.find(uuid);
  const address = query.get('tailscale_ip') ?? known?.addresses[0];
  if (address === undefined) return invalid('tailscale_ip');
  const port = query.has('port') ? Number(query.get('port')) : known?.port;
  const leaseMs = query.has('lease_seconds')
    ? Number(query.get('lease_seconds')) * 1_000
    : (known?.leaseMs ?? vpcLeaseMs);
  const done = await registry.register(
    {
      uuid,
      nodeType,
      hostname: query.get('hostname') ?? known?.hostname ?? '',
      addresses: [address, ...(known?.addresses.slice(1) ?? []).filter((each) => each !== address)],
      ...(port === undefined ? {} : { port }),
      metadata: known?.metadata ?? {},
      leaseMs,
    },
    by,
  );
  if (!done.ok) return done;
  const { instance, isNew } = done.value;
  return ok({
    message: 'Node information updated successfully',
    node: { ...viewOf(instance), node_type: instance.nodeType },
    status: isNew ? 'created' : 'updated',
  });
}

function discover({ registry, query, rest }: Call): Promise<Result<Answer, Refusal>> {
  if (!isNodeType(rest)) return Promise.resolve(invalid('node_type'));
  const limit = limitOf(query);
  if (limit === undefined) return Promise.resolve(invalid('limit'));
  const page = registry.discover(rest, { limit, after: query.get('after') ?? undefined });
  const list = page.members.map((each) => ({
    ...viewOf(each),
    ...(each.port === undefined ? {} : { hostname_with_port: `${each.hostname}:${each.port}` }),
  }));
  if (list.length === 0 && query.get('compat') === 'original') {
    return Promise.resolve(ok({ error: `No ${rest} nodes found` }, 404));
  }
  const next = page.next === undefined ? {} : { next: page.next };
  return Promise.resolve(ok({ nodes: list, count: list.length, node_type: rest, ...next }));
}

function nodes({ registry, query }: Call): Promise<Result<Answer, Refusal>> {
  const limit = limitOf(query);
  if (limit === undefined) return Promise.resolve(invalid('limit'));
  const page = registry.list({ limit, after: query.get('after') ?? undefined });
  const list = page.members.map((each) => ({ ...viewOf(each), node_type: each.nodeType }));
  const next = page.next === undefined ? {} : { next: page.next };
  return Promise.resolve(ok({ nodes: list, count: list.length, ...next }));
}

function limitOf(query: URLSearchParams): number | undefined {
  const text = query.get('limit') ?? String(registryLimits.pageMax);
  const limit = Number(text);
  return /^\d{1,4}$/.test(text) && limit >= 1 && limit <= registryLimits.pageMax
    ? limit
    : undefined;
}

function viewOf({ uuid, hostname, addresses }: Instance) {
  return { uuid, hostname, tailscale_ip: addresses[0] ?? '' };
}

function invalid(param: string): Result<never, Refusal> {
  return refuse('invalid_request', `${param} is missing or malformed`, { param });
}

function refuseAs(reply: HttpReply, why: Refusal): void {
  const { status } = errorRow(why.code);
  // The original's own words where it has some.
  if (status === 401) return refused(reply, 401, 'Unauthorized');
  if (why.code === 'access_denied' && why.param === undefined)
    return refused(reply, 403, 'Forbidden');
  refused(reply, status, why.message);
}

function refused(reply: HttpReply, status: number, error: string, allow?: string): void {
  send(reply, status, { error }, allow === undefined ? {} : { allow });
}

function send(
  reply: HttpReply,
  status: number,
  body: unknown,
  more: Readonly<Record<string, string>> = {},
): void {
  const headers = { ...noStore, 'content-type': 'application/json', ...more };
  reply.send(status, headers, `${JSON.stringify(body)}\n`);
}
