import type { z } from '@hono/zod-openapi';
import { OpenAPIHono } from '@hono/zod-openapi';
import { errorRow } from '@postern/core/errors';
import type { ErrorCode } from '@postern/core/errors';
import type { AnyOperation } from './operation.ts';
import { apiPrefix, operations } from './operations.ts';
import { errorSchema } from './schemas.ts';

type Registry = OpenAPIHono['openAPIRegistry'];

export function registerOperations(registry: Registry): void {
  for (const operation of operations) register(registry, operation);
}

/** The refusals that any operation may meet, besides its own. */
const anyRefusal: readonly ErrorCode[] = [
  'invalid_request',
  'credential_missing',
  'access_denied',
  'not_found',
  'conflict',
  'internal',
  'state_unavailable',
];

function register(registry: Registry, operation: AnyOperation): void {
  const { name, summary, method, path, status, params, query, body, output } = operation;
  registry.registerPath({
    method,
    path: apiPrefix + path,
    operationId: name,
    summary,
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body: { content: json(body) } }),
    },
    responses: {
      [status]: { description: 'Done.', content: json(output) },
      ...Object.fromEntries(
        anyRefusal.map((code) => {
          const row = errorRow(code);
          return [row.status, { description: row.meaning, content: json(errorSchema) }];
        }),
      ),
    },
  });
}

function json(schema: z.ZodType): { readonly 'application/json': { readonly schema: z.ZodType } } {
  return { 'application/json': { schema } };
}

/** The OpenAPI 3.1 description of the admin API, as docs/reference/openapi.json has it. */
export function openApiDocument(): Record<string, unknown> {
  const app = new OpenAPIHono();
  registerOperations(app.openAPIRegistry);
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Postern admin API',
      version: '1',
      description:
        'Served on the control socket to the owner of the process, and on the admin listener to callers with the admin capability. Fields are only ever added.',
    },
  });
  // A plain copy: the file and the answer have exactly what JSON has.
  return JSON.parse(JSON.stringify(document)) as Record<string, unknown>;
}
