import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import { liftRevocation, listRevocations, revokeTokens } from '../revocations.ts';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import { pageOf, pageQuerySchema, revocationCreateSchema, revocationSchema } from './schemas.ts';
import { pageAfter, revocationView, targetOf } from './views.ts';

export const revocationOperations: readonly AnyOperation[] = [
  operation({
    name: 'revocation.list',
    summary: 'List what is revoked of tokens and of peers of the mesh, oldest first.',
    changes: false,
    method: 'get',
    path: '/revocations',
    status: 200,
    query: pageQuerySchema,
    output: pageOf(revocationSchema).openapi('RevocationPage'),
    run: ({ control }, { query }) =>
      Promise.resolve(pageAfter(listRevocations(control), query, revocationView)),
  }),
  operation({
    name: 'revocation.create',
    summary:
      'Revoke one token, a subject, all that an issuer issued before a time, or a peer of the mesh.',
    changes: true,
    method: 'post',
    path: '/revocations',
    status: 201,
    body: revocationCreateSchema,
    output: revocationSchema,
    run: async ({ control }, { body }, by) => {
      const { target, reason } = body;
      const request = {
        target: targetOf(target),
        ...(reason === undefined ? {} : { reason }),
      };
      const done = await revokeTokens(control, request, by);
      return done.ok ? ok(revocationView(done.value)) : done;
    },
  }),
  operation({
    name: 'revocation.lift',
    summary: 'Take back the revocation of a token, a subject or a peer.',
    changes: true,
    method: 'delete',
    path: '/revocations/{id}',
    status: 200,
    params: z.strictObject({ id: z.string() }),
    output: z.strictObject({ id: z.string() }).openapi('LiftedRevocation'),
    run: async ({ control }, { params }, by) => {
      const done = await liftRevocation(control, params.id, by);
      return done.ok ? ok({ id: params.id }) : done;
    },
  }),
];
