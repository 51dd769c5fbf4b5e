import { OpenAPIHono } from '@hono/zod-openapi';
import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { parseJson, requestJsonLimits } from '@postern/core/base/json';
import type { Refusal } from '@postern/core/errors';
import { errorRow, refusal, refuse } from '@postern/core/errors';
import type { HttpReply, HttpRequest } from '../../../http/index.ts';
import { commonHeaders, envelopeOf } from '../../api/envelope.ts';
import { errorSchema } from '../../api/schemas.ts';
import type { Requester } from '../../control.ts';
import { WrittenJson } from '../instance-text.ts';
import type { RegistryOperation } from './operations.ts';
import { registryApiPrefix, registryOperations } from './operations.ts';
import type { Registry } from '../registry.ts';

/** A node with all its metadata takes 12 kB. */
const bodyBytesMax = 65_536;
const openApiPath = `${registryApiPrefix}/openapi.json`;

interface Route {
  readonly operation: RegistryOperation;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

const routes: readonly Route[] = registryOperations.map((operation) => {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const path = operation.path.replaceAll(/\{\w+\}/g, '([^/]+)');
  return { operation, names, pattern: new RegExp(`^${registryApiPrefix}${path}$`) };
});

/** The document is made with its first reader. */
let document: string | undefined;

/**
 * The registry's JSON API. Who asks is judged before anything of the request is read; the table of operations is what
 * routes, and what the OpenAPI document is made from.
 */
export async function registryApi(
  request: HttpRequest,
  reply: HttpReply,
  registry: Registry,
  by: Requester,
): Promise<void> {
  const rights = registry.rights(by);
  if (!rights.ok) return refused(reply, rights.error, request.id);
  const { path, method } = request;
  if (path === openApiPath && method === 'GET') {
    document ??= JSON.stringify(registryOpenApi());
    return reply.send(200, { ...commonHeaders, 'content-type': 'application/json' }, document);
  }
  const route = routes.find((each) => each.operation.method === method && each.pattern.test(path));
  if (route === undefined) return unrouted(request, reply);
  const { operation, names, pattern } = route;
  const values = pattern.exec(path)?.slice(1) ?? [];
  const input = await inputOf(operation, request, paramsOf(names, values));
  if (!input.ok) return refused(reply, input.error, request.id);
  const answer = await operation.run({ registry, by, ...input.value });
  if (!answer.ok) return refused(reply, answer.error, request.id);
  reply.send(
    200,
    { ...commonHeaders, 'content-type': 'application/json', 'x-request-id': request.id },
    answer.value instanceof WrittenJson ? answer.value.bytes : `${JSON.stringify(answer.value)}\n`,
  );
}

function paramsOf(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, at) => [name, decoded(values[at] ?? '')]));
}

/** What cannot be decoded is no id of anything. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

const noQuery: ReadonlyMap<string, string> = new Map();

interface Input {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

async function inputOf(
  operation: RegistryOperation,
  request: HttpRequest,
  given: Record<string, string>,
): Promise<Result<Input, Refusal>> {
  const params = parsed(operation.params, given);
  if (!params.ok) return params;
  const sent = request.query === '' ? noQuery : new URLSearchParams(request.query);
  if (new Set(sent.keys()).size !== sent.size) {
    return refuse('invalid_request', 'A query parameter stands twice.');
  }
  if (operation.query === undefined && sent.size > 0) {
    return refuse('invalid_request', `${operation.name} takes no query parameters.`);
  }
  const query = parsed(operation.query, Object.fromEntries(sent));
  if (!query.ok) return query;
  const json = request.method === 'GET' ? ok({}) : await jsonOf(operation, request);
  if (!json.ok) return json;
  const body = parsed(operation.body, json.value);
  return body.ok ? ok({ params: params.value, query: query.value, body: body.value }) : body;
}

async function jsonOf(
  { body }: RegistryOperation,
  request: HttpRequest,
): Promise<Result<unknown, Refusal>> {
  const bytes = await request.readBody(bodyBytesMax);
  if (!bytes.ok) return bytes;
  if (bytes.value.length === 0) return ok({});
  if (body === undefined) return refuse('invalid_request', 'This operation takes no body.');
  const parsedBody = parseJson(bytes.value, { ...requestJsonLimits, bytesMax: bodyBytesMax });
  return parsedBody.ok
    ? ok(parsedBody.value.value)
    : refuse('invalid_json', parsedBody.error.message);
}

function parsed(schema: z.ZodType | undefined, value: unknown): Result<unknown, Refusal> {
  if (schema === undefined) return ok({});
  const result = schema.safeParse(value);
  if (result.success) return ok(result.data);
  const [issue] = result.error.issues;
  const param = issue?.path.map(String).join('.') ?? '';
  const message = issue?.message ?? 'does not fit';
  return param === ''
    ? refuse('invalid_request', message)
    : refuse('invalid_request', `${param}: ${message}`, { param });
}

function unrouted({ path, id }: HttpRequest, reply: HttpReply): void {
  const here = routes.filter(({ pattern }) => pattern.test(path));
  if (here.length === 0)
    return refused(reply, refusal('not_found', `There is no ${path} here.`), id);
  const allow = here
    .map(({ operation }) => operation.method)
    .toSorted()
    .join(', ');
  const { status, headers, body } = envelopeOf(
    refusal('method_not_allowed', `${path} takes ${allow}.`),
    id,
  );
  reply.send(status, { ...headers, allow }, body);
}

function refused(reply: HttpReply, why: Refusal, requestId: string): void {
  const { status, headers, body } = envelopeOf(why, requestId);
  reply.send(status, headers, body);
}

const anyRefusal = [
  'invalid_request',
  'credential_missing',
  'access_denied',
  'not_found',
  'conflict',
  'overloaded',
  'internal',
] as const;

/** The OpenAPI 3.1 description of the registry's API, as docs/reference/registry-openapi.json has it. */
export function registryOpenApi(): Record<string, unknown> {
  const app = new OpenAPIHono();
  for (const operation of registryOperations) {
    const { name, summary, method, path, params, query, body, output } = operation;
    const verb = ({ GET: 'get', PUT: 'put', POST: 'post', DELETE: 'delete' } as const)[method];
    const json = (schema: z.ZodType) => ({ 'application/json': { schema } });
    app.openAPIRegistry.registerPath({
      method: verb,
      path: registryApiPrefix + path,
      operationId: name,
      summary,
      request: {
        ...(params === undefined ? {} : { params }),
        ...(query === undefined ? {} : { query }),
        ...(body === undefined ? {} : { body: { content: json(body) } }),
      },
      responses: {
        200: { description: 'Done.', content: json(output) },
        ...Object.fromEntries(
          anyRefusal.map((code) => {
            const row = errorRow(code);
            return [row.status, { description: row.meaning, content: json(errorSchema) }];
          }),
        ),
      },
    });
  }
  const made = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Postern registry API',
      version: '1',
      description:
        'Served on the control listener (registry.address) to join keys (postern key create NAME --join TYPE), keys of operators and attested apps. GET /api/v1/registry/watch?type=TYPE streams changes as server-sent events: joined, updated, left, and ready once all that is there was said. Fields are only ever added.',
    },
  });
  // A plain copy: the file and the answer have exactly what JSON has.
  return JSON.parse(JSON.stringify(made)) as Record<string, unknown>;
}
