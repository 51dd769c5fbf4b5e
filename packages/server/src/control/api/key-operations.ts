import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import { createKey, listKeys, revokeKey, showKey } from '../keys.ts';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import {
  createdKeySchema,
  keyCreateSchema,
  keyRevokeSchema,
  keySchema,
  pageOf,
  pageQuerySchema,
} from './schemas.ts';
import { keyView, pageAfter } from './views.ts';

const keyParams = z.strictObject({ key: z.string().describe('Id, or name of a live key.') });

export const keyOperations: readonly AnyOperation[] = [
  operation({
    name: 'key.list',
    summary: 'List the keys, oldest first.',
    changes: false,
    method: 'get',
    path: '/keys',
    status: 200,
    query: pageQuerySchema,
    output: pageOf(keySchema).openapi('KeyPage'),
    run: ({ control }, { query }) => {
      const nowMs = control.system.nowMs();
      return Promise.resolve(pageAfter(listKeys(control), query, (key) => keyView(key, nowMs)));
    },
  }),
  operation({
    name: 'key.show',
    summary: 'Show one key.',
    changes: false,
    method: 'get',
    path: '/keys/{key}',
    status: 200,
    params: keyParams,
    output: keySchema,
    run: ({ control }, { params }) => {
      const key = showKey(control, params.key);
      return Promise.resolve(key.ok ? ok(keyView(key.value, control.system.nowMs())) : key);
    },
  }),
  operation({
    name: 'key.create',
    summary: 'Make a key. Its secret is in this answer and nowhere else.',
    changes: true,
    method: 'post',
    path: '/keys',
    status: 201,
    body: keyCreateSchema,
    output: createdKeySchema,
    run: async ({ control }, { body }, by) => {
      const { models, dialects, join, network, admin } = body.scope;
      const created = await createKey(
        control,
        {
          name: body.name,
          scope: {
            ...(models === undefined ? {} : { models }),
            ...(dialects === undefined ? {} : { dialects }),
            ...(join === undefined ? {} : { join }),
            ...(network === undefined ? {} : { network }),
            ...(admin === undefined ? {} : { admin }),
          },
          boundTo: body.bound_to,
          ...(body.expires_at === undefined ? {} : { expiresAtMs: Date.parse(body.expires_at) }),
        },
        by,
      );
      if (!created.ok) return created;
      const { key, secret } = created.value;
      return ok({ key: keyView(key, control.system.nowMs()), secret: secret.reveal() });
    },
  }),
  operation({
    name: 'key.revoke',
    summary: 'Revoke a key, at once and for good.',
    changes: true,
    method: 'post',
    path: '/keys/{key}/revoke',
    status: 200,
    params: keyParams,
    body: keyRevokeSchema,
    output: z
      .strictObject({ revoked: z.array(keySchema).describe('Those that were revoked now.') })
      .openapi('RevokedKeys'),
    run: async ({ control }, { params, body }, by) => {
      const done = await revokeKey(
        control,
        {
          key: params.key,
          withChildren: body.with_children,
          ...(body.reason === undefined ? {} : { reason: body.reason }),
        },
        by,
      );
      const nowMs = control.system.nowMs();
      return done.ok ? ok({ revoked: done.value.map((key) => keyView(key, nowMs)) }) : done;
    },
  }),
];
