import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';

const time = z.string();

export const statusSchema = z
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

export const peerSchema = z
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

export const keysSchema = z
  .strictObject({ keys: z.array(z.record(z.string(), z.unknown())) })
  .openapi('MeshKeys');

export const forwardSchema = z.strictObject({
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
