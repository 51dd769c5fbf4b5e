import { OpenAPIHono } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { JsonLimits } from '@postern/core/base/json';
import { parseJson, requestJsonLimits } from '@postern/core/base/json';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Context } from 'hono';
import { controlLimits } from '../limits.ts';
import { commonHeaders, envelopeOf } from './envelope.ts';
import { registerOperations } from './openapi.ts';
import type { AnyOperation, OperationContext } from './operation.ts';
import { apiPrefix, operations } from './operations.ts';
import type { RawInput, RequestFacts } from './perform.ts';
import { performOperation } from './perform.ts';

export interface ApiEnv {
  Bindings: RequestFacts;
}

export type AdminApp = OpenAPIHono<ApiEnv>;

export interface AdminApiOptions extends OperationContext {
  /** The same with the machines of an engine that others run: asked for before operations on the policy alone, since it takes a call. */
  readonly withMachines?: () => Promise<OperationContext>;
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
  const isOfPolicy = operation.name.startsWith('policy.');
  const operands = isOfPolicy ? ((await options.withMachines?.()) ?? options) : options;
  const result = await performOperation(operation, operands, facts, () =>
    sentInput(operation, context),
  );
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

async function sentInput(
  operation: AnyOperation,
  context: Context<ApiEnv>,
): Promise<Result<RawInput, Refusal>> {
  const query = queryOf(operation, new URL(context.req.url).searchParams);
  if (!query.ok) return query;
  const bytes = new Uint8Array(await context.req.arrayBuffer());
  const body = jsonOf(bytes, operation.body !== undefined);
  if (!body.ok) return body;
  return ok({ params: context.req.param(), query: query.value, body: body.value });
}

function queryOf({ query, name }: AnyOperation, sent: URLSearchParams): Result<unknown, Refusal> {
  const names = [...sent.keys()];
  if (new Set(names).size !== names.length) {
    return refuse('invalid_request', 'A query parameter stands twice.');
  }
  if (query === undefined && names.length > 0) {
    return refuse('invalid_request', `${name} takes no query parameters.`);
  }
  return ok(Object.fromEntries(sent));
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
