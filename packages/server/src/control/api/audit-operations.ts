import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { err } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { AnyOperation, OperationContext } from './operation.ts';
import { operation } from './operation.ts';
import type { AuditTools } from './audit-desk.ts';
import {
  recordSchema,
  limitSchema,
  filterSchema,
  checkpointSchema,
  verdictSchema,
} from './audit-desk.ts';

type Answer<T> = Promise<Result<T, Refusal>>;

function asked<T>({ audit }: OperationContext, ask: (tools: AuditTools) => Answer<T>): Answer<T> {
  if (audit !== undefined) return ask(audit);
  return Promise.resolve(err(refusal('not_found', 'There is no audit log here.')));
}

export const auditOperations: readonly AnyOperation[] = [
  operation({
    name: 'audit.tail',
    summary: 'Show the last records of the audit log.',
    changes: false,
    method: 'get',
    path: '/audit/tail',
    status: 200,
    query: z.strictObject({ limit: limitSchema }),
    output: z.strictObject({ items: z.array(recordSchema) }).openapi('AuditTail'),
    run: (context, { query }) => asked(context, (audit) => audit.tail(query.limit)),
  }),
  operation({
    name: 'audit.query',
    summary: 'List records of the audit log that match, oldest first, page by page.',
    changes: false,
    method: 'get',
    path: '/audit/records',
    status: 200,
    query: filterSchema,
    output: z
      .strictObject({
        items: z.array(recordSchema),
        next: z
          .int()
          .optional()
          .describe('`after` of the next page; absent at the end of the log.'),
      })
      .openapi('AuditPage'),
    run: (context, { query }) => asked(context, (audit) => audit.query(query)),
  }),
  operation({
    name: 'audit.verify',
    summary:
      'Recompute every hash of the audit log, and compare it with its checkpoints and the state. Of a long log: `postern audit verify`.',
    changes: false,
    method: 'post',
    path: '/audit/verify',
    status: 200,
    output: verdictSchema,
    run: (context) => asked(context, (audit) => audit.verify()),
  }),
  operation({
    name: 'audit.checkpoint',
    summary: 'Sign where the audit log is now.',
    changes: false,
    method: 'post',
    path: '/audit/checkpoint',
    status: 200,
    output: checkpointSchema,
    run: (context) => asked(context, (audit) => audit.checkpoint()),
  }),
];
