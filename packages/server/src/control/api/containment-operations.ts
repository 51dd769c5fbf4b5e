import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import type { Block } from '@postern/core/state';
import { stateLimits } from '@postern/core/state';
import { addressTarget, blockTarget, listBlocks, rotateKey } from '../containment.ts';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import { createdKeySchema, pageOf, pageQuerySchema } from './schemas.ts';
import { isoTime, keyView, pageAfter } from './views.ts';

const reason = z
  .string()
  .min(1)
  .max(stateLimits.reasonCharsMax)
  .optional()
  .describe('What people read next to the change.');
const time = z.iso.datetime({ offset: true });

const blockSchema = z
  .strictObject({
    id: z.string(),
    address: z.string().optional().describe('The prefix that is kept out.'),
    principal: z.string().optional().describe('The principal that is kept out.'),
    at: time,
    created_by: z.string(),
    expires_at: time.optional().describe('Absent: until somebody lifts it.'),
    reason: z.string().optional(),
  })
  .openapi('Block');

const blockCreateSchema = z
  .strictObject({
    address: z
      .string()
      .max(64)
      .optional()
      .describe('An address or a prefix, such as 203.0.113.7 or 203.0.113.0/24.'),
    principal: z
      .string()
      .min(1)
      .max(stateLimits.identifierCharsMax)
      .optional()
      .describe('A principal as records name it, such as tailnet:eve@example.com.'),
    expires_at: time.optional().describe('Absent: until somebody lifts it.'),
    reason,
  })
  .refine(({ address, principal }) => (address === undefined) !== (principal === undefined), {
    error: 'names an address or a principal, one of them',
  })
  .openapi('BlockCreate');

function blockView(block: Block): z.input<typeof blockSchema> {
  const { id, target, atMs, createdBy, expiresAtMs, reason: why } = block;
  return {
    id,
    ...(target.by === 'address' ? { address: target.prefix } : { principal: target.principal }),
    at: isoTime(atMs),
    created_by: createdBy,
    ...(expiresAtMs === undefined ? {} : { expires_at: isoTime(expiresAtMs) }),
    ...(why === undefined ? {} : { reason: why }),
  };
}

export const containmentOperations: readonly AnyOperation[] = [
  operation({
    name: 'block.list',
    summary: 'List who is kept out: addresses and principals.',
    changes: false,
    method: 'get',
    path: '/blocks',
    status: 200,
    query: pageQuerySchema,
    output: pageOf(blockSchema).openapi('BlockPage'),
    run: ({ control }, { query }) =>
      Promise.resolve(pageAfter(listBlocks(control), query, blockView)),
  }),
  operation({
    name: 'block.create',
    summary: 'Keep an address or a principal out, and cut what it has open.',
    changes: true,
    method: 'post',
    path: '/blocks',
    status: 201,
    body: blockCreateSchema,
    output: blockSchema,
    run: async ({ control }, { body }, by) => {
      const { address, principal, expires_at: end, reason: why } = body;
      const target =
        address === undefined
          ? ok({ by: 'principal' as const, principal: principal ?? '' })
          : addressTarget(address);
      if (!target.ok) return target;
      const request = {
        target: target.value,
        ...(end === undefined ? {} : { expiresAtMs: Date.parse(end) }),
        ...(why === undefined ? {} : { reason: why }),
      };
      const done = await blockTarget(control, request, by);
      return done.ok ? ok(blockView(done.value)) : done;
    },
  }),
  operation({
    name: 'block.lift',
    summary: 'Let an address or a principal in again.',
    changes: true,
    method: 'delete',
    path: '/blocks/{id}',
    status: 200,
    params: z.strictObject({ id: z.string() }),
    output: z.strictObject({ id: z.string() }).openapi('LiftedBlock'),
    run: async ({ control }, { params }, by) => {
      const done = await control.execute({ kind: 'block.lift', id: params.id }, by);
      return done.ok ? ok({ id: params.id }) : done;
    },
  }),
  operation({
    name: 'key.rotate',
    summary: 'Replace the secret of a key; the old one counts no more at once.',
    changes: true,
    method: 'post',
    path: '/keys/{key}/rotate',
    status: 201,
    params: z.strictObject({ key: z.string() }),
    body: z.strictObject({ reason }).openapi('KeyRotate'),
    output: createdKeySchema,
    run: async ({ control }, { params, body }, by) => {
      const why = body.reason === undefined ? {} : { reason: body.reason };
      const done = await rotateKey(control, { key: params.key, ...why }, by);
      if (!done.ok) return done;
      const { key, secret } = done.value;
      return ok({ key: keyView(key, control.system.nowMs()), secret: secret.reveal() });
    },
  }),
  operation({
    name: 'isolation.lift',
    summary: 'End an isolation: listeners open again where they were.',
    changes: true,
    method: 'delete',
    path: '/isolation',
    status: 200,
    output: z.strictObject({ isolated: z.literal(false) }).openapi('IsolationLifted'),
    run: async ({ control }, _input, by) => {
      const done = await control.execute({ kind: 'isolation.lift' }, by);
      return done.ok ? ok({ isolated: false as const }) : done;
    },
  }),
];
