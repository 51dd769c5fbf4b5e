import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Instance, PageQuery, RosterPage } from '@postern/core/registry';
import type { Requester } from '../../control.ts';
import * as shapes from './schemas.ts';
import { instanceText, WrittenJson } from '../instance-text.ts';
import { instanceView } from '../instance-view.ts';
import type { Registry } from '../registry.ts';
import { mayRegister } from '../rights.ts';

type Fields = z.ZodObject;

interface Call<P extends Fields, Q extends Fields, B extends Fields> {
  readonly registry: Registry;
  readonly params: z.output<P>;
  readonly query: z.output<Q>;
  readonly body: z.output<B>;
  readonly by: Requester;
}

interface Definition<
  P extends Fields = Fields,
  Q extends Fields = Fields,
  B extends Fields = Fields,
  O extends z.ZodType = z.ZodType,
> {
  readonly name: string;
  readonly summary: string;
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** After `/api/v1/registry`, with `{parameters}`. */
  readonly path: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly output: O;
  run(call: Call<P, Q, B>): Promise<Result<z.input<O> | WrittenJson, Refusal>>;
}

/** One operation of the registry's API: its route, its shapes and what it does. */
export interface RegistryOperation extends Omit<Definition, 'run'> {
  run(call: {
    readonly registry: Registry;
    readonly params: unknown;
    readonly query: unknown;
    readonly body: unknown;
    readonly by: Requester;
  }): Promise<Result<unknown, Refusal>>;
}

function operation<P extends Fields, Q extends Fields, B extends Fields, O extends z.ZodType>(
  definition: Definition<P, Q, B, O>,
): RegistryOperation {
  // Each part is parsed with the schema beside `run` before it is called, so the types fit again there.
  return definition;
}

export const registryApiPrefix = '/api/v1/registry';

export const registryOperations: readonly RegistryOperation[] = [
  operation({
    name: 'registry.heartbeat',
    summary: 'Renew the lease of a node. 404: it is over; register again.',
    method: 'POST',
    path: '/nodes/{uuid}/heartbeat',
    params: shapes.uuidParams,
    body: shapes.heartbeatSchema,
    output: shapes.renewedSchema,
    run: async ({ registry, params, body: { healthy, why }, by }) => {
      const health =
        healthy === undefined
          ? undefined
          : healthy
            ? ({ state: 'passing' } as const)
            : { state: 'failing' as const, why: why ?? 'the node says so' };
      const done = await registry.heartbeat(params.uuid, by, health);
      if (!done.ok) return done;
      const { instance, leaseEndsAtMs } = done.value;
      return ok({ uuid: instance.uuid, lease_ends_at: new Date(leaseEndsAtMs).toISOString() });
    },
  }),
  operation({
    name: 'registry.discover',
    summary: 'Live nodes of a type, in the order of their ids. Nobody there is an empty list.',
    method: 'GET',
    path: '/discover/{type}',
    params: shapes.typeParams,
    query: shapes.discoverQuery,
    output: shapes.nodePageSchema,
    run: ({ registry, params: { type }, query: { limit, after, health } }) =>
      done(discovered(registry, type, { limit, after }, health === 'passing')),
  }),
  operation({
    name: 'registry.list',
    summary: 'Live nodes of all types, by type and id.',
    method: 'GET',
    path: '/nodes',
    query: shapes.pageQuery,
    output: shapes.nodePageSchema,
    run: ({ registry, query }) => done(pageView(registry.list(query), registry)),
  }),
  operation({
    name: 'registry.show',
    summary: 'Show one live node.',
    method: 'GET',
    path: '/nodes/{uuid}',
    params: shapes.uuidParams,
    output: shapes.nodeSchema,
    run: ({ registry, params: { uuid } }) => {
      const instance = registry.find(uuid);
      return Promise.resolve(
        instance === undefined
          ? refuse('not_found', `There is no live node ${uuid}.`)
          : ok(view(instance, registry)),
      );
    },
  }),
  operation({
    name: 'registry.register',
    summary: 'Register a node or change it, and begin a lease. Only its owner may.',
    method: 'PUT',
    path: '/nodes/{uuid}',
    params: shapes.uuidParams,
    body: shapes.nodePutSchema,
    output: shapes.registeredSchema,
    run: async ({ registry, params: { uuid }, body, by }) => {
      const registered = await registry.register(
        {
          uuid,
          nodeType: body.node_type,
          hostname: body.hostname,
          addresses: body.addresses,
          ...(body.port === undefined ? {} : { port: body.port }),
          metadata: body.metadata,
          leaseMs: Math.round(body.lease_seconds * 1_000),
        },
        by,
      );
      if (!registered.ok) return registered;
      const { instance, isNew } = registered.value;
      return ok({ node: view(instance, registry), created: isNew });
    },
  }),
  operation({
    name: 'registry.leave',
    summary:
      'Forget a node at once. Only its owner may. With the `leave_token` of its join, the engine forgets the machine, too.',
    method: 'DELETE',
    path: '/nodes/{uuid}',
    params: shapes.uuidParams,
    body: shapes.leaveSchema,
    output: shapes.doneSchema,
    run: async ({ registry, params: { uuid }, body, by }) => {
      const left = await registry.leave(uuid, by, body.leave_token);
      return left.ok ? ok({ left: true as const, ...left.value }) : left;
    },
  }),
  operation({
    name: 'registry.types',
    summary: 'The types that have live nodes, and how many.',
    method: 'GET',
    path: '/types',
    output: shapes.typesSchema,
    run: ({ registry }) =>
      done({
        types: registry
          .types()
          .map((type) => ({ node_type: type, nodes: registry.count(type) }))
          .filter(({ nodes }) => nodes > 0),
      }),
  }),
  operation({
    name: 'registry.group-key',
    summary: 'The key that the members of a type share. For whoever may register that type.',
    method: 'GET',
    path: '/types/{type}/key',
    params: shapes.typeParams,
    output: shapes.groupKeySchema,
    run: ({ registry, params: { type }, by }) => groupKey(registry, type, by),
  }),
  operation({
    name: 'registry.join',
    summary: 'Ask for what a machine needs to come onto the network: where, a key, the group key.',
    method: 'POST',
    path: '/join',
    body: shapes.joinSchema,
    output: shapes.joinedSchema,
    run: async ({ registry, body, by }) => {
      const shared = await groupKey(registry, body.node_type, by);
      if (!shared.ok) return shared;
      const none = { auth_key: null, auth_key_expires_at: null, group_key: shared.value };
      const url = registry.loginServer() ?? null;
      if (!body.with_key || url === null) {
        return ok({
          ...none,
          login_server: url,
          ...(url === null ? { why_no_key: 'No network engine runs behind this registry.' } : {}),
        });
      }
      const key = await registry.joinKey(body.node_name);
      if (!key.ok) return ok({ ...none, login_server: url, why_no_key: key.error.message });
      const token = await registry.leaveToken(body.uuid, key.value.id, by);
      if (!token.ok) return token;
      return ok({
        login_server: key.value.url,
        leave_token: token.value.reveal(),
        auth_key: key.value.key.reveal(),
        auth_key_expires_at: new Date(key.value.expiresAtMs).toISOString(),
        group_key: shared.value,
      });
    },
  }),
];

async function groupKey(
  registry: Registry,
  type: string,
  by: Requester,
): Promise<Result<{ node_type: string; epoch: number; key: string }, Refusal>> {
  const rights = registry.rights(by);
  if (!rights.ok) return rights;
  if (!mayRegister(rights.value, type)) {
    return refuse('access_denied', `You may not register nodes of type ${type}.`);
  }
  const key = await registry.groupKey(type);
  if (!key.ok) return key;
  return ok({ node_type: type, epoch: registry.epoch(type), key: key.value.reveal() });
}

function done<T>(value: T): Promise<Result<T, Refusal>> {
  return Promise.resolve(ok(value));
}

function view(instance: Instance, registry: Registry) {
  return instanceView(instance, registry);
}

/** A page of a type, which most who ask find written. */
function discovered(
  registry: Registry,
  type: string,
  query: PageQuery,
  passing: boolean,
): WrittenJson {
  const { pages, nowMs } = registry;
  const version = registry.version(type);
  const key = JSON.stringify([type, query.limit, query.after, passing]);
  const kept = pages.get(key, version, nowMs);
  if (kept !== undefined) return new WrittenJson(kept);
  const page = registry.discover(type, query, { passing });
  const written = pageView(page, registry);
  const ends = page.members.map((each) => registry.leaseEndsAtMs(each));
  const untilMs = ends.reduce((first, at) => Math.min(first, at), Number.POSITIVE_INFINITY);
  // Nobody pages through a registry by cursors that somebody made up to fill our memory.
  if (query.after === undefined && page.members.length > 0)
    pages.put(key, { version, untilMs, bytes: written.bytes });
  return written;
}

/** As `nodePageSchema` has it. */
function pageView({ members, next }: RosterPage, registry: Registry): WrittenJson {
  const nodes = members.map((each) => instanceText(each, registry)).join();
  const rest = JSON.stringify({ count: members.length, ...(next === undefined ? {} : { next }) });
  return new WrittenJson(Buffer.from(`{"nodes":[${nodes}],${rest.slice(1)}\n`));
}
