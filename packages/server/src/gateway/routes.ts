import type { Dialect, DialectName } from '@postern/core/dialect';
import { dialectNamed } from '@postern/core/dialect';
import { refusal } from '@postern/core/errors';
import type { HttpHandler, HttpReply, HttpRequest } from '../http/index.ts';
import { countTokensStep } from './count-tokens.ts';
import type { Health } from './health.ts';
import { healthOperation, sendAlive, sendReady } from './health.ts';
import { modelsStep } from './models.ts';
import type { PipelineOptions } from './pipeline.ts';
import { inference, run } from './pipeline.ts';
import { rescue } from './rescue.ts';
import type { HostFacts } from './whoami.ts';
import { whoamiStep } from './whoami.ts';

export interface GatewayOptions extends PipelineOptions {
  readonly health: Health;
  readonly host: HostFacts;
}

/** Routes that a model answers: each speaks one format. */
const inferenceRoutes: Readonly<Record<string, DialectName>> = {
  '/ask': 'ask',
  '/v1/chat/completions': 'openai-chat',
  '/v1/completions': 'openai-completions',
  '/v1/messages': 'anthropic-messages',
};

const countTokensPath = '/v1/messages/count_tokens';
const modelsPath = '/v1/models';

/** Every route of the gateway, for the reference page and for tests that walk all of them. */
export const gatewayRoutes: readonly {
  readonly method: string;
  readonly path: string;
  readonly identity: boolean;
}[] = [
  ...['/health', '/healthz', '/livez', '/readyz'].map((path) => ({
    method: 'GET',
    path,
    identity: false,
  })),
  { method: 'GET', path: '/whoami', identity: true },
  ...Object.keys(inferenceRoutes).map((path) => ({ method: 'POST', path, identity: true })),
  { method: 'POST', path: countTokensPath, identity: true },
  { method: 'GET', path: modelsPath, identity: true },
  { method: 'GET', path: `${modelsPath}/{id}`, identity: true },
];

/** The gateway as one handler: finds the route by the exact path and method, then runs its step. */
export function gatewayHandler(options: GatewayOptions): HttpHandler {
  const openai = dialectNamed('openai-chat');
  const steps = new Map(
    Object.entries(inferenceRoutes).map(([path, name]) => {
      const dialect = dialectNamed(name);
      return [path, { dialect, step: inference(options, dialect) }] as const;
    }),
  );
  const whoami = whoamiStep(options.host);

  return async (request, reply) => {
    const { method, path } = request;
    const inferenceRoute = steps.get(path);
    if (inferenceRoute !== undefined) {
      if (method !== 'POST') return refuseMethod(request, reply, inferenceRoute.dialect, 'POST');
      return run(options, { request, reply, dialect: inferenceRoute.dialect }, inferenceRoute.step);
    }
    if (path === countTokensPath) {
      const dialect = dialectNamed('anthropic-messages');
      if (method !== 'POST') return refuseMethod(request, reply, dialect, 'POST');
      return run(options, { request, reply, dialect }, countTokensStep(options));
    }
    const dialect = errorDialect(request, openai);
    if (isReadRoute(path) && method !== 'GET' && method !== 'HEAD')
      return refuseMethod(request, reply, dialect, 'GET');
    if (path === '/health' || path === '/healthz' || path === '/livez') return sendAlive(reply);
    if (path === '/readyz')
      return sendReady(reply, options.health, await isAdministrator(options, request));
    if (path === '/whoami') return run(options, { request, reply, dialect }, whoami);
    if (path === modelsPath || path.startsWith(`${modelsPath}/`)) {
      const id = path === modelsPath ? undefined : decodeId(path.slice(modelsPath.length + 1));
      const isAnthropic = dialect.name === 'anthropic-messages';
      return run(options, { request, reply, dialect }, modelsStep(id, isAnthropic));
    }
    rescue(
      reply,
      request,
      dialect,
      refusal('not_found', `There is no route ${method} ${path} here.`),
    );
  };
}

function isReadRoute(path: string): boolean {
  return (
    gatewayRoutes.some((route) => route.method === 'GET' && route.path === path) ||
    path.startsWith(`${modelsPath}/`)
  );
}

/** Routes without a format of their own answer in the one that the client shows it speaks. */
function errorDialect(request: HttpRequest, openai: Dialect): Dialect {
  const isAnthropic =
    request.path.startsWith('/v1/messages') || request.headers.has('anthropic-version');
  return isAnthropic ? dialectNamed('anthropic-messages') : openai;
}

/** Client libraries percent-encode the id; a name that does not decode matches no model. */
function decodeId(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** `?verbose` shows the checks to administrators; everybody else gets the plain answer, without a refusal. */
async function isAdministrator(options: GatewayOptions, request: HttpRequest): Promise<boolean> {
  if (!new URLSearchParams(request.query).has('verbose')) return false;
  const caller = await options.identify(request);
  return caller.ok && options.view().access.mayAdminister(caller.value, healthOperation);
}

function refuseMethod(
  request: HttpRequest,
  reply: HttpReply,
  dialect: Dialect,
  allow: string,
): void {
  const error = refusal(
    'method_not_allowed',
    `${request.path} takes ${allow}, not ${request.method}.`,
  );
  const wire = dialect.encodeRefusal(error, request.id);
  reply.send(wire.status, { ...wire.headers, 'content-type': wire.contentType, allow }, wire.body);
}
