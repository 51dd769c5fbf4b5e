import { z } from '@hono/zod-openapi';
import { ok, present } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import { currentPolicy, isNodeExpired, noPolicy } from '@postern/core/state';
import { cannot, capabilitiesOf } from '../engine/capabilities.ts';
import { adoptNodes, createPreAuthKey, listNodes, listPreAuthKeys } from '../network/index.ts';
import {
  adoptedSchema,
  adoptSchema,
  createdPreAuthKeySchema,
  dnsSchema,
  enginePolicySchema,
  networkStatusSchema,
  networkUserSchema,
  preAuthKeyCreateSchema,
  preAuthKeySchema,
  userRoleSchema,
} from './network-schemas.ts';
import {
  dnsOf,
  dnsView,
  knownNodeOf,
  networkUserView,
  preAuthKeyView,
  waitingView,
} from './network-views.ts';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import {
  authKeyView,
  engineDnsOf,
  engineDnsView,
  engineUserView,
  engineView,
  syncView,
} from './outside-views.ts';
import { pageOf, pageQuerySchema } from './schemas.ts';
import { pageAfter } from './views.ts';

const preAuthKeyOperations: readonly AnyOperation[] = [
  operation({
    name: 'preauthkey.list',
    summary: 'List the pre-auth keys, oldest first.',
    changes: false,
    method: 'get',
    path: '/network/keys',
    status: 200,
    query: pageQuerySchema,
    output: pageOf(preAuthKeySchema).openapi('PreAuthKeyPage'),
    run: ({ control }, { query }) => {
      const nowMs = control.system.nowMs();
      const { network } = control.snapshot();
      return Promise.resolve(
        pageAfter(listPreAuthKeys(control), query, (key) => preAuthKeyView(key, network, nowMs)),
      );
    },
    outside: async (engine, { query }, { control }) => {
      const listed = await engine.listAuthKeys();
      const nowMs = control.system.nowMs();
      return listed.ok
        ? pageAfter(listed.value, query, (key) => authKeyView(key, engine.kind, nowMs))
        : listed;
    },
  }),
  operation({
    name: 'preauthkey.create',
    summary: 'Make a key by which machines join. Its secret is in this answer and nowhere else.',
    changes: true,
    method: 'post',
    path: '/network/keys',
    status: 201,
    body: preAuthKeyCreateSchema,
    output: createdPreAuthKeySchema,
    run: async ({ control, network }, { body }, by) => {
      const created = await createPreAuthKey(
        control,
        {
          ...(body.user === undefined ? {} : { login: body.user }),
          tags: body.tags,
          reusable: body.reusable,
          ephemeral: body.ephemeral,
          preApproved: body.pre_approved,
          lifeMs: body.lifetime_seconds * 1_000,
          ...(body.description === undefined ? {} : { description: body.description }),
        },
        by,
      );
      if (!created.ok) return created;
      const { key, secret } = created.value;
      const desk = network?.();
      const text = secret.reveal();
      return ok({
        key: preAuthKeyView(key, control.snapshot().network, control.system.nowMs()),
        secret: text,
        ...(desk === undefined
          ? {}
          : { command: `tailscale up --login-server=${desk.url} --auth-key=${text}` }),
      });
    },
    outside: async (engine, { body }, { control }) => {
      const made = await engine.createAuthKey({
        reusable: body.reusable,
        ephemeral: body.ephemeral,
        preauthorized: body.pre_approved,
        tags: body.tags,
        lifeMs: body.lifetime_seconds * 1_000,
        ...(body.description === undefined ? {} : { description: body.description }),
        ...(body.user === undefined ? {} : { login: body.user }),
      });
      if (!made.ok) return made;
      const facts = await engine.getAuthKey(made.value.id);
      if (!facts.ok) return facts;
      const text = made.value.key.reveal();
      return ok({
        key: authKeyView(facts.value, engine.kind, control.system.nowMs()),
        secret: text,
        command: `tailscale up --login-server=${engine.url} --auth-key=${text}`,
      });
    },
  }),
  operation({
    name: 'preauthkey.revoke',
    summary: 'Revoke a pre-auth key. Machines that joined by it stay.',
    changes: true,
    method: 'post',
    path: '/network/keys/{key}/revoke',
    status: 200,
    params: z.strictObject({ key: z.string() }),
    output: preAuthKeySchema,
    run: async ({ control }, { params }, by) => {
      const done = await control.execute({ kind: 'preauthkey.revoke', id: params.key }, by);
      if (!done.ok) return done;
      const { network } = done.value.snapshot;
      const key = present(network.preAuthKeysById.get(params.key), 'the key just revoked');
      return ok(preAuthKeyView(key, network, control.system.nowMs()));
    },
    outside: async (engine, { params }, { control }) => {
      const before = await engine.getAuthKey(params.key);
      if (!before.ok) return before;
      const gone = await engine.revokeAuthKey(params.key);
      const nowMs = control.system.nowMs();
      return gone.ok
        ? ok({ ...authKeyView(before.value, engine.kind, nowMs), standing: 'revoked' as const })
        : gone;
    },
  }),
];

const dnsOperations: readonly AnyOperation[] = [
  operation({
    name: 'dns.show',
    summary: 'Show the DNS settings of the network.',
    changes: false,
    method: 'get',
    path: '/network/dns',
    status: 200,
    output: dnsSchema,
    run: ({ control }) => Promise.resolve(ok(dnsView(control.snapshot().network.dns))),
    outside: async (engine) => {
      const dns = await engine.getDns();
      return dns.ok ? ok(engineDnsView(dns.value)) : dns;
    },
  }),
  operation({
    name: 'dns.set',
    summary: 'Replace the DNS settings of the network.',
    changes: true,
    method: 'post',
    path: '/network/dns',
    status: 200,
    body: dnsSchema,
    output: dnsSchema,
    run: async ({ control }, { body }, by) => {
      const done = await control.execute({ kind: 'dns.set', dns: dnsOf(body) }, by);
      return done.ok ? ok(dnsView(done.value.snapshot.network.dns)) : done;
    },
    outside: async (engine, { body }) => {
      const dns = engineDnsOf(body);
      if (!dns.ok) return dns;
      const set = await engine.setDns(dns.value);
      return set.ok ? ok(engineDnsView(dns.value)) : set;
    },
  }),
];

export const networkOperations: readonly AnyOperation[] = [
  ...preAuthKeyOperations,
  ...dnsOperations,
  operation({
    name: 'user.list',
    summary: 'List the people of the network.',
    changes: false,
    method: 'get',
    path: '/network/users',
    status: 200,
    query: pageQuerySchema,
    output: pageOf(networkUserSchema).openapi('NetworkUserPage'),
    run: ({ control }, { query }) => {
      const { usersById } = control.snapshot().network;
      const counts = Map.groupBy(listNodes(control), ({ userId }) => userId);
      const users = [...usersById.values()].toSorted((a, b) => a.number - b.number);
      return Promise.resolve(
        pageAfter(users, query, (user) => networkUserView(user, counts.get(user.id)?.length ?? 0)),
      );
    },
    outside: async (engine, { query }) => {
      const listed = await engine.listUsers();
      return listed.ok
        ? pageAfter(listed.value, query, (user) => engineUserView(user, engine.kind))
        : listed;
    },
  }),
  operation({
    name: 'user.role',
    summary: 'Give a person of the network a role that policies name, or take it back.',
    changes: true,
    method: 'post',
    path: '/network/users/{user}/role',
    status: 200,
    params: z.strictObject({ user: z.string().describe('Login, such as alice@example.com.') }),
    body: userRoleSchema,
    output: networkUserSchema,
    run: async ({ control }, { params, body }, by) => {
      const { role } = body;
      const done = await control.execute(
        { kind: 'user.role', login: params.user, ...(role === undefined ? {} : { role }) },
        by,
      );
      if (!done.ok) return done;
      const { usersByLogin } = done.value.snapshot.network;
      const user = present(usersByLogin.get(params.user.toLowerCase()), 'the user just changed');
      const nodes = listNodes(control).filter(({ userId }) => userId === user.id);
      return ok(networkUserView(user, nodes.length));
    },
    outside: (engine) =>
      Promise.resolve(cannot(engine.kind, 'roles', 'Roles are given where the people are kept.')),
  }),
  operation({
    name: 'network.adopt',
    summary:
      'Take over machines of a lost server from an inventory; they come back without a sign-in.',
    changes: true,
    method: 'post',
    path: '/network/adopt',
    status: 200,
    body: adoptSchema,
    output: adoptedSchema,
    run: async ({ control }, { body }, by) =>
      ok(await adoptNodes(control, body.nodes.map(knownNodeOf(control.system.nowMs())), by)),
    outside: () =>
      Promise.resolve(
        refuse(
          'conflict',
          'Machines are taken over by the embedded engine; this one is run by others.',
        ),
      ),
  }),
  operation({
    name: 'network.status',
    summary: 'Show the engine of the network and what waits for somebody.',
    changes: false,
    method: 'get',
    path: '/network',
    status: 200,
    output: networkStatusSchema,
    run: ({ control, network }) => {
      const desk = network?.();
      const nowMs = control.system.nowMs();
      const { policy, network: state } = control.snapshot();
      const gateway = desk?.gateway();
      const nodes = listNodes(control);
      const isWaiting = nodes.filter((node) => !node.approved && !isNodeExpired(node, nowMs));
      return Promise.resolve(
        ok({
          running: desk !== undefined,
          ...(desk === undefined
            ? {}
            : {
                url: desk.url,
                control_key: desk.publicKey,
                base_domain: desk.baseDomain,
                ipv4: desk.ipv4Pool,
                ipv6: desk.ipv6Pool,
                ...(desk.relay === undefined ? {} : { relay: desk.relay }),
                serves: desk.serves(),
                streams: desk.streams(),
              }),
          nodes: nodes.length,
          online: nodes.filter(({ id }) => desk?.facts(id)?.online === true).length,
          waiting_for_approval: isWaiting.length,
          waiting_for_sign_in: (desk?.waiting() ?? []).map(waitingView),
          users: state.usersById.size,
          policy_version: policy.versions[0]?.number ?? 0,
          ...(gateway === undefined
            ? {}
            : { gateway: { ...gateway, addresses: [...gateway.addresses] } }),
          ...(desk === undefined
            ? {}
            : { engine: engineView('embedded', desk.url, capabilitiesOf.embedded) }),
        }),
      );
    },
    outside: async (engine, _, { control, outside }) => {
      const looked = await engine.look();
      const listed = looked.ok ? await engine.listDevices() : looked;
      const users =
        listed.ok && engine.capabilities.has('users') ? await engine.listUsers() : ok([]);
      const devices = listed.ok ? listed.value : [];
      const { kind, url, capabilities } = engine;
      const desk = outside?.();
      const sync = looked.ok ? await desk?.look() : desk?.sync();
      const gateway = desk?.gateway();
      return ok({
        running: looked.ok,
        url,
        nodes: devices.length,
        online: devices.filter(({ online }) => online).length,
        waiting_for_approval: devices.filter(({ authorized }) => !authorized).length,
        waiting_for_sign_in: [],
        users: users.ok ? users.value.length : 0,
        policy_version: control.snapshot().policy.versions[0]?.number ?? 0,
        engine: {
          ...engineView(kind, url, capabilities),
          ...(looked.ok
            ? { version: looked.value.version, api: looked.value.api }
            : { problem: looked.error.message }),
          policy: syncView(sync ?? { state: 'none' }),
        },
        ...(gateway === undefined
          ? {}
          : { gateway: { ...gateway, addresses: [...gateway.addresses] } }),
      });
    },
  }),
  operation({
    name: 'network.policy',
    summary: 'Show the policy as the engine has it, whoever wrote it there.',
    changes: false,
    method: 'get',
    path: '/network/policy',
    status: 200,
    output: enginePolicySchema,
    run: ({ control }) => {
      const policy = currentPolicy(control.snapshot().policy);
      const etag = policy?.digest ?? noPolicy;
      return Promise.resolve(ok({ text: policy?.text ?? '', etag, state: 'same' }));
    },
    outside: async (engine, _, { outside }) => {
      const got = await engine.getPolicy();
      if (!got.ok) return got;
      const sync = await outside?.()?.look();
      return ok({ ...got.value, state: sync?.state ?? 'none' });
    },
  }),
];
