import type { Dialect, DialectName } from '@postern/core/dialect';
import { dialectNamed } from '@postern/core/dialect';
import { refusal } from '@postern/core/errors';
import type { HttpHandler, HttpRequest } from '../http/index.ts';
import { countTokensStep } from './count-tokens.ts';
import { bedrockBase } from './decode.ts';
import type { Health } from './health.ts';
import { healthOperation, sendAlive, sendReady } from './health.ts';
import { modelsStep } from './models.ts';
import type { PipelineOptions, Step } from './pipeline.ts';
import { inference, refuseUnrouted, run } from './pipeline.ts';
import { type ReceiptDesk, receiptStep } from './receipt.ts';
import type { Exchange } from './rescue.ts';
import type { HostFacts } from './whoami.ts';
import { usageStep } from './usage.ts';
import { whoamiStep } from './whoami.ts';

export interface GatewayOptions extends PipelineOptions {
  readonly health: Health;
  readonly host: HostFacts;
  /** Absent, or undefined now: no upstream is attested. */
  readonly receipts?: () => ReceiptDesk | undefined;
}

/** Routes that a model answers: each speaks one format. */
const inferenceRoutes: Readonly<Record<string, DialectName>> = {
  '/ask': 'ask',
  '/v1/chat/completions': 'openai-chat',
  '/v1/completions': 'openai-completions',
  '/v1/responses': 'openai-responses',
  '/v1/embeddings': 'openai-embeddings',
  '/v1/messages': 'anthropic-messages',
};

/** Routes that name the model in their path: `POST /bedrock/model/{id}/converse` and the like. */
const pathDialects: readonly DialectName[] = ['bedrock-converse', 'bedrock-invoke'];
const bedrockOperations = [
  'invoke',
  'invoke-with-response-stream',
  'converse',
  'converse-stream',
] as const;

/** Under these, a segment of the path is an identifier that may hold an encoded slash. */
export const identifierPaths: readonly string[] = ['/v1/models/', `${bedrockBase}/model/`];

const countTokensPath = '/v1/messages/count_tokens';
const modelsPath = '/v1/models';
const usagePath = '/v1/usage';
const attestationPath = '/v1/attestation/';

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
  ...bedrockOperations.map((operation) => ({
    method: 'POST',
    path: `${bedrockBase}/model/{id}/${operation}`,
    identity: true,
  })),
  { method: 'GET', path: usagePath, identity: true },
  { method: 'GET', path: `${attestationPath}{id}`, identity: true },
  { method: 'GET', path: modelsPath, identity: true },
  { method: 'GET', path: `${modelsPath}/{id}`, identity: true },
];

/** The gateway as one handler: finds the route by the exact path and method, then runs its step. */
export function gatewayHandler(options: GatewayOptions): HttpHandler {
  const answered = answeredRoutes(options);
  const whoami = whoamiStep(options.host);
  const usage = usageStep();

  // Not async: what a step returns is already the one promise to wait for.
  return (request, reply) => {
    const { method, path } = request;
    const route = answered.exact.get(path) ?? answered.byPath(path);
    const exchange = { request, reply, dialect: route?.dialect ?? errorDialect(request) };
    if (route !== undefined) {
      if (method !== 'POST') return refuseMethod(options, exchange, 'POST');
      return run(options, exchange, route.step);
    }
    if (isReadRoute(path) && method !== 'GET' && method !== 'HEAD')
      return refuseMethod(options, exchange, 'GET');
    if (path === '/health' || path === '/healthz' || path === '/livez') return sendAlive(reply);
    if (path === '/readyz')
      return isAdministrator(options, request).then((isTold) =>
        sendReady(reply, options.health, isTold),
      );
    if (path === '/whoami') return run(options, exchange, whoami);
    if (path === usagePath) return run(options, exchange, usage);
    if (path.startsWith(attestationPath)) {
      const id = path.slice(attestationPath.length);
      return run(options, exchange, receiptStep(options.receipts?.(), id));
    }
    if (path === modelsPath || path.startsWith(`${modelsPath}/`))
      return run(options, exchange, modelsRoute(options, exchange));
    const error = refusal('not_found', `There is no route ${method} ${path} here.`);
    refuseUnrouted(options, exchange, { error });
  };
}

interface AnsweredRoute {
  readonly dialect: Dialect;
  readonly step: Step;
}

/** Routes that take a conversation, each in its own format. */
function answeredRoutes(options: PipelineOptions): {
  readonly exact: ReadonlyMap<string, AnsweredRoute>;
  readonly byPath: (path: string) => AnsweredRoute | undefined;
} {
  const routes = Object.entries(inferenceRoutes).map(([path, name]) => {
    const dialect = dialectNamed(name);
    return [path, { dialect, step: inference(options, dialect) }] as const;
  });
  const messages = dialectNamed('anthropic-messages');
  const counting = { dialect: messages, step: countTokensStep(options, messages) };
  const named = pathDialects.map((name) => {
    const dialect = dialectNamed(name);
    return { dialect, step: inference(options, dialect) };
  });
  return {
    exact: new Map([...routes, [countTokensPath, counting]]),
    byPath: (path) =>
      path.startsWith(`${bedrockBase}/`)
        ? named.find(
            ({ dialect }) => dialect.readPath?.(path.slice(bedrockBase.length)) !== undefined,
          )
        : undefined,
  };
}

function modelsRoute(options: PipelineOptions, { request, dialect }: Exchange): Step {
  const id =
    request.path === modelsPath ? undefined : decodeId(request.path.slice(modelsPath.length + 1));
  return modelsStep(options, { id, isAnthropic: dialect.name === 'anthropic-messages' });
}

function isReadRoute(path: string): boolean {
  return (
    gatewayRoutes.some((route) => route.method === 'GET' && route.path === path) ||
    path.startsWith(`${modelsPath}/`) ||
    path.startsWith(attestationPath)
  );
}

/** Routes without a format of their own answer in the one that the client shows it speaks. */
function errorDialect(request: HttpRequest): Dialect {
  if (request.path.startsWith(`${bedrockBase}/`)) return dialectNamed('bedrock-converse');
  const isAnthropic =
    request.path.startsWith('/v1/messages') || request.headers.has('anthropic-version');
  return dialectNamed(isAnthropic ? 'anthropic-messages' : 'openai-chat');
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

function refuseMethod(options: GatewayOptions, exchange: Exchange, allow: string): void {
  const { method, path } = exchange.request;
  const error = refusal('method_not_allowed', `${path} takes ${allow}, not ${method}.`);
  refuseUnrouted(options, exchange, { error, headers: { allow } });
}
