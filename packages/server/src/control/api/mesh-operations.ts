import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { AnyOperation, OperationContext } from './operation.ts';
import { operation } from './operation.ts';

const time = z.string();

const statusSchema = z
  .strictObject({
    identity: z.strictObject({
      source: z.string().describe('Who certifies our keys.'),
      not_before: time,
      not_after: time,
      renewals: z.int(),
      problem: z.string().nullable().describe('Why the last renewal failed.'),
    }),
    listeners: z.array(
      z.strictObject({ kind: z.string(), address: z.string(), connections: z.int() }),
    ),
    counters: z.record(z.string(), z.int()),
    ejected: z.array(z.string()).describe('Addresses that failed lately and are left out.'),
  })
  .openapi('MeshStatus');

const peerSchema = z
  .strictObject({
    edge: z.enum(['inbound', 'outbound']),
    verified_by: z.enum(['ra-tls', 'kms', 'svid']),
    app_id: z.string().nullable(),
    instance_id: z.string().nullable(),
    spiffe_id: z.string().nullable(),
    device_id: z.string().nullable(),
    tcb_status: z.string().nullable(),
    serial: z.string().describe('Of its certificate, hex.'),
    port: z.int(),
    since: time,
    expires_at: time,
  })
  .openapi('MeshPeer');

const keysSchema = z
  .strictObject({ keys: z.array(z.record(z.string(), z.unknown())) })
  .openapi('MeshKeys');

const forwardSchema = z.strictObject({
  listen: z.int().min(0).max(65_535).describe('Port on loopback; 0 for a free one.'),
  app: z.string().regex(/^[0-9a-fA-F]{40}$/),
  port: z.int().min(1).max(65_535),
  instance: z
    .string()
    .regex(/^[0-9a-fA-F]{1,64}$/)
    .optional(),
});

/** The running mesh, as operations ask it. */
export interface MeshDesk {
  status(): Promise<z.input<typeof statusSchema>>;
  peers(): z.input<typeof peerSchema>[];
  keys(): z.input<typeof keysSchema>;
  forward(ask: z.output<typeof forwardSchema>): Promise<Result<string, string>>;
}

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
