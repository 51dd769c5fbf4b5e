import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { AnyOperation, OperationContext } from './operation.ts';
import { operation } from './operation.ts';
import type { MeshDesk } from './mesh-desk.ts';
import { statusSchema, peerSchema, keysSchema, forwardSchema } from './mesh-desk.ts';

function deskOf({ mesh }: OperationContext): Result<MeshDesk, Refusal> {
  const desk = mesh?.();
  return desk === undefined
    ? err(refusal('not_found', 'No mesh runs here: the configuration has no `mesh`.'))
    : ok(desk);
}

export const meshOperations: readonly AnyOperation[] = [
  operation({
    name: 'mesh.status',
    summary: 'Show our certificate in the mesh, its doors and what happened at them.',
    changes: false,
    method: 'get',
    path: '/mesh',
    status: 200,
    output: statusSchema,
    run: async (context) => {
      const desk = deskOf(context);
      return desk.ok ? ok(await desk.value.status()) : desk;
    },
  }),
  operation({
    name: 'mesh.peers',
    summary: 'List open connections with peers, and by what each was verified.',
    changes: false,
    method: 'get',
    path: '/mesh/peers',
    status: 200,
    output: z.strictObject({ peers: z.array(peerSchema) }).openapi('MeshPeers'),
    run: async (context) => {
      const desk = deskOf(context);
      return desk.ok ? ok({ peers: desk.value.peers() }) : desk;
    },
  }),
  operation({
    name: 'mesh.keys',
    summary: 'Show the keys with which backends check who is calling (a JWK set).',
    changes: false,
    method: 'get',
    path: '/mesh/keys',
    status: 200,
    output: keysSchema,
    run: async (context) => {
      const desk = deskOf(context);
      return desk.ok ? ok(desk.value.keys()) : desk;
    },
  }),
  operation({
    name: 'mesh.forward',
    summary: 'Open a local port that leads to one port of one app, until the process ends.',
    // Nothing of it outlives the process; who asked is in the line of this operation.
    changes: false,
    method: 'post',
    path: '/mesh/forwards',
    status: 201,
    body: forwardSchema,
    output: z.strictObject({ address: z.string() }).openapi('MeshForward'),
    run: async (context, { body }) => {
      const desk = deskOf(context);
      if (!desk.ok) return desk;
      const opened = await desk.value.forward(body);
      return opened.ok
        ? ok({ address: opened.value })
        : err(refusal('conflict', `The port was not opened: ${opened.error}.`));
    },
  }),
];
