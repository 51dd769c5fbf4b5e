import type { z } from '@hono/zod-openapi';
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { JsonLimits } from '@postern/core/base/json';
import { parseJson, requestJsonLimits } from '@postern/core/base/json';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import { principalKey } from '@postern/core/identity';
import type { Channel } from '@postern/core/state';
import type { Context } from 'hono';
import type { ControlLine } from '../audit.ts';
import { outcomeOf } from '../audit.ts';
import type { Requester } from '../control.ts';
import { controlLimits } from '../limits.ts';
import { commonHeaders, envelopeOf } from './envelope.ts';
import { registerOperations } from './openapi.ts';
import type { AnyOperation, OperationContext, OperationName } from './operation.ts';
import { apiPrefix, operations } from './operations.ts';

/** Whether a caller may do this. Asked before anything of the request is read. */
export type Permit = (caller: Caller, operation: OperationName) => Result<void, Refusal>;

/** What the listener knows about a request: the bridge passes it, never the request itself. */
export interface RequestFacts {
  readonly requestId: string;
  readonly caller: Caller;
  readonly channel: Channel;
  readonly permit: Permit;
  /** The same object for all requests of one connection. */
  readonly connection?: object;
}

export interface ApiEnv {
  Bindings: RequestFacts;
}

export type AdminApp = OpenAPIHono<ApiEnv>;

export interface AdminApiOptions extends OperationContext {
  /** Told of a defect, which the caller sees only as an id. */
  readonly onFault: (fault: unknown, requestId: string) => void;
}

/** The admin API as an app. It opens nothing: `honoHandler` mounts it behind a listener. */
export function createAdminApi(options: AdminApiOptions): AdminApp {
  const app: AdminApp = new OpenAPIHono<ApiEnv>();
  registerOperations(app.openAPIRegistry);
  for (const operation of operations) {
    const path = apiPrefix + operation.path.replaceAll(/\{(\w+)\}/g, ':$1');
    app.on(operation.method.toUpperCase(), path, (context) =>
      answerOperation(operation, options, context),
    );
  }
  app.notFound((context) => unrouted(context));
  app.onError((fault, context) => {
    const { requestId } = context.env;
    options.onFault(fault, requestId);
    return refused(refusal('internal', 'Postern met a defect.'), requestId);
  });
  return app;
}

async function answerOperation(
  operation: AnyOperation,
  options: AdminApiOptions,
  context: Context<ApiEnv>,
): Promise<Response> {
  const facts = context.env;
  const by = requesterOf(facts);
  const allowed = permitted(operation.name, facts);
  const input = allowed.ok ? await inputOf(operation, context) : allowed;
  const { control } = options;
  const line = { operation: operation.name, actor: by.actor, requestId: facts.requestId };
  if (!input.ok) {
    const { code } = input.error;
    control.record({ ...line, atMs: control.system.nowMs(), outcome: 'refused', code });
    return refused(input.error, facts.requestId);
  }
  const result = await operation.run(options, input.value, by);
  // What changes the state has its line from the journal's writer, with the record's index.
  if (!operation.changes) control.record({ ...line, ...outcome(result, control.system.nowMs()) });
  if (!result.ok) return refused(result.error, facts.requestId);
  return new Response(`${JSON.stringify(result.value)}\n`, {
    status: operation.status,
    headers: {
      ...commonHeaders,
      'content-type': 'application/json',
      'x-request-id': facts.requestId,
    },
  });
}

function outcome(
  result: Result<unknown, Refusal>,
  atMs: number,
): Pick<ControlLine, 'atMs' | 'outcome' | 'code'> {
  if (result.ok) return { atMs, outcome: 'allowed' };
  const { code } = result.error;
  return { atMs, outcome: outcomeOf(code), code };
}

function requesterOf({ caller, channel, requestId, connection }: RequestFacts): Requester {
  const { subject, via, scope } = caller;
  return {
    actor: {
      principal: principalKey(subject),
      ...(via === undefined ? {} : { via: principalKey(via) }),
      channel,
    },
    ...(scope === undefined ? {} : { scope }),
    requestId,
    caller,
    ...(connection === undefined ? {} : { connection }),
  };
}

/** A credential that may not administer does not, whatever policy grants its owner. */
function permitted(name: OperationName, facts: RequestFacts): Result<void, Refusal> {
  const { caller, permit } = facts;
  const mayAdminister =
    caller.subject.authority === 'key'
      ? caller.scope?.admin === true
      : caller.scope?.admin !== false;
  if (!mayAdminister) {
    return refuse('access_denied', 'This key is not one for administration (scope.admin).');
  }
  return permit(caller, name);
}

interface ParsedInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

async function inputOf(
  operation: AnyOperation,
  context: Context<ApiEnv>,
): Promise<Result<ParsedInput, Refusal>> {
  const params = parsed(operation.params, context.req.param());
  if (!params.ok) return params;
  const query = queryOf(operation, new URL(context.req.url).searchParams);
  if (!query.ok) return query;
  const bytes = new Uint8Array(await context.req.arrayBuffer());
  const json = jsonOf(bytes, operation.body !== undefined);
  if (!json.ok) return json;
  const body = parsed(operation.body, json.value);
  if (!body.ok) return body;
  return ok({ params: params.value, query: query.value, body: body.value });
}

function queryOf({ query, name }: AnyOperation, sent: URLSearchParams): Result<unknown, Refusal> {
  const names = [...sent.keys()];
  if (new Set(names).size !== names.length) {
    return refuse('invalid_request', 'A query parameter stands twice.');
  }
  if (query === undefined && names.length > 0) {
    return refuse('invalid_request', `${name} takes no query parameters.`);
  }
  return parsed(query, Object.fromEntries(sent));
}

const bodyLimits: JsonLimits = {
  ...requestJsonLimits,
  bytesMax: controlLimits.bodyBytesMax,
  stringBytesMax: controlLimits.bodyBytesMax,
};

/** The body as JSON; none at all counts as an object without members. */
function jsonOf(bytes: Uint8Array, takesBody: boolean): Result<unknown, Refusal> {
  if (bytes.length === 0) return ok({});
  if (!takesBody) return refuse('invalid_request', 'This operation takes no body.');
  const document = parseJson(bytes, bodyLimits);
  if (document.ok) return ok(document.value.value);
  const { reason, message } = document.error;
  return refuse(reason === 'too_large' ? 'body_too_large' : 'invalid_json', message);
}

function parsed(schema: z.ZodType | undefined, value: unknown): Result<unknown, Refusal> {
  if (schema === undefined) return ok({});
  const result = schema.safeParse(value);
  if (result.success) return ok(result.data);
  const issue = result.error.issues[0];
  const param = issue?.path.map(String).join('.') ?? '';
  const message = issue?.message ?? 'does not fit';
  if (param === '') return refuse('invalid_request', message);
  return refuse('invalid_request', `${param}: ${message}`, { param });
}

/** 405 where the path is one of ours under another method, else 404. */
function unrouted(context: Context<ApiEnv>): Response {
  const { requestId } = context.env;
  const { path } = context.req;
  const methods = operations
    .filter((operation) => pathPattern(operation).test(path))
    .map(({ method }) => method.toUpperCase());
  if (methods.length === 0) {
    return refused(refusal('not_found', `There is no ${path} here.`), requestId);
  }
  const allow = methods.toSorted().join(', ');
  const why = refusal('method_not_allowed', `${path} takes ${allow}.`);
  return refused(why, requestId, { allow });
}

function pathPattern({ path }: AnyOperation): RegExp {
  return new RegExp(`^${apiPrefix}${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}

function refused(
  why: Refusal,
  requestId: string,
  more: Readonly<Record<string, string>> = {},
): Response {
  const { status, headers, body } = envelopeOf(why, requestId);
  return new Response(body, { status, headers: { ...headers, ...more } });
}
