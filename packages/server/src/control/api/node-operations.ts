import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { NetworkNode } from '@postern/core/state';
import type { AdmitAs } from '../network/index.ts';
import { approveNode, changeNode, deleteNode, listNodes, showNode } from '../network/index.ts';
import {
  nodeApproveSchema,
  nodeRenameSchema,
  nodeRoutesSchema,
  nodeSchema,
  nodeTagSchema,
} from './network-schemas.ts';
import { nodeView } from './network-views.ts';
import { changed, deviceView, findDevice } from './outside-views.ts';
import type { AnyOperation, OperationContext } from './operation.ts';
import { operation } from './operation.ts';
import { pageOf, pageQuerySchema } from './schemas.ts';
import { pageAfter } from './views.ts';

const nodeParams = z.strictObject({
  node: z.string().describe('Id, name or address of a node.'),
});

function viewed(
  { control, network }: OperationContext,
  node: Result<NetworkNode, Refusal>,
): Result<z.input<typeof nodeSchema>, Refusal> {
  if (!node.ok) return node;
  return ok(nodeView(node.value, control.snapshot().network, network?.(), control.system.nowMs()));
}

/** What the machine calls itself now, else the name that it has. */
function hostnameOf({ control, network }: OperationContext, text: string): string {
  const node = showNode(control, text);
  if (!node.ok) return text;
  const { id, name } = node.value;
  const reported = network?.()?.facts(id)?.hostname ?? '';
  return reported === '' ? name : reported;
}

function admitAs({ user, tags = [] }: z.output<typeof nodeApproveSchema>): AdmitAs | undefined {
  if (user !== undefined) return { login: user };
  return tags.length === 0 ? undefined : { tags };
}

export const nodeOperations: readonly AnyOperation[] = [
  operation({
    name: 'node.list',
    summary: 'List the machines of the network, oldest first.',
    changes: false,
    method: 'get',
    path: '/nodes',
    status: 200,
    query: pageQuerySchema,
    output: pageOf(nodeSchema).openapi('NodePage'),
    run: ({ control, network }, { query }) => {
      const nowMs = control.system.nowMs();
      const state = control.snapshot().network;
      const view = (node: NetworkNode): z.input<typeof nodeSchema> =>
        nodeView(node, state, network?.(), nowMs);
      return Promise.resolve(pageAfter(listNodes(control), query, view));
    },
    outside: async (engine, { query }, { control }) => {
      const listed = await engine.listDevices();
      const nowMs = control.system.nowMs();
      return listed.ok
        ? pageAfter(listed.value, query, (device) => deviceView(device, nowMs))
        : listed;
    },
  }),
  operation({
    name: 'node.show',
    summary: 'Show one machine.',
    changes: false,
    method: 'get',
    path: '/nodes/{node}',
    status: 200,
    params: nodeParams,
    output: nodeSchema,
    run: (context, { params }) =>
      Promise.resolve(viewed(context, showNode(context.control, params.node))),
    outside: async (engine, { params }, { control }) => {
      const found = await findDevice(engine, params.node);
      return found.ok ? ok(deviceView(found.value, control.system.nowMs())) : found;
    },
  }),
  operation({
    name: 'node.approve',
    summary: 'Approve a machine that joined, or let in one that waits at its sign-in page.',
    changes: true,
    method: 'post',
    path: '/nodes/{node}/approve',
    status: 200,
    params: z.strictObject({
      node: z.string().describe('A node, or the id at the end of a sign-in link.'),
    }),
    body: nodeApproveSchema,
    output: nodeSchema,
    run: async (context, { params, body }, by) => {
      const request = { id: params.node, as: admitAs(body) };
      const { control, network } = context;
      return viewed(context, await approveNode(control, network?.(), request, by));
    },
    outside: (engine, { params }, { control }) =>
      changed(engine, params.node, (id) => engine.authorize(id), control.system.nowMs()),
  }),
  operation({
    name: 'node.expire',
    summary: 'End the key of a machine now: it has to sign in again.',
    changes: true,
    method: 'post',
    path: '/nodes/{node}/expire',
    status: 200,
    params: nodeParams,
    output: nodeSchema,
    run: async (context, { params }, by) => {
      const command = { kind: 'node.expire', id: params.node, isLogout: false } as const;
      return viewed(context, await changeNode(context.control, command, by));
    },
    outside: (engine, { params }, { control }) =>
      changed(engine, params.node, (id) => engine.expireKey(id), control.system.nowMs()),
  }),
  operation({
    name: 'node.delete',
    summary: 'Forget a machine: its name and addresses are free, its keys unknown.',
    changes: true,
    method: 'delete',
    path: '/nodes/{node}',
    status: 200,
    params: nodeParams,
    output: nodeSchema,
    run: async (context, { params }, by) =>
      viewed(context, await deleteNode(context.control, params.node, by)),
    outside: async (engine, { params }, { control }) => {
      const found = await findDevice(engine, params.node);
      if (!found.ok) return found;
      const gone = await engine.deleteDevice(found.value.id);
      return gone.ok ? ok(deviceView(found.value, control.system.nowMs())) : gone;
    },
  }),
  operation({
    name: 'node.rename',
    summary: 'Give a machine a name of its own, or let it follow its host name again.',
    changes: true,
    method: 'post',
    path: '/nodes/{node}/rename',
    status: 200,
    params: nodeParams,
    body: nodeRenameSchema,
    output: nodeSchema,
    run: async (context, { params, body }, by) => {
      const id = params.node;
      const command =
        body.name === undefined
          ? ({ kind: 'node.rename', id, name: hostnameOf(context, id), from: 'host' } as const)
          : ({ kind: 'node.rename', id, name: body.name, from: 'chosen' } as const);
      return viewed(context, await changeNode(context.control, command, by));
    },
    outside: async (engine, { params, body }, { control }) => {
      const found = await findDevice(engine, params.node);
      if (!found.ok) return found;
      const name = body.name ?? found.value.hostname.toLowerCase();
      return changed(
        engine,
        found.value.id,
        (id) => engine.rename(id, name),
        control.system.nowMs(),
      );
    },
  }),
  operation({
    name: 'node.tag',
    summary: 'Replace the tags of a machine.',
    changes: true,
    method: 'post',
    path: '/nodes/{node}/tags',
    status: 200,
    params: nodeParams,
    body: nodeTagSchema,
    output: nodeSchema,
    run: async (context, { params, body }, by) => {
      const command = { kind: 'node.tag', id: params.node, tags: body.tags } as const;
      return viewed(context, await changeNode(context.control, command, by));
    },
    outside: (engine, { params, body }, { control }) =>
      changed(engine, params.node, (id) => engine.setTags(id, body.tags), control.system.nowMs()),
  }),
  operation({
    name: 'node.routes',
    summary: 'Replace the prefixes that a machine may route.',
    changes: true,
    method: 'post',
    path: '/nodes/{node}/routes',
    status: 200,
    params: nodeParams,
    body: nodeRoutesSchema,
    output: nodeSchema,
    run: async (context, { params, body }, by) => {
      const command = { kind: 'node.routes', id: params.node, approved: body.approved } as const;
      return viewed(context, await changeNode(context.control, command, by));
    },
    outside: (engine, { params, body }, { control }) =>
      changed(
        engine,
        params.node,
        (id) => engine.setRoutes(id, body.approved),
        control.system.nowMs(),
      ),
  }),
];
