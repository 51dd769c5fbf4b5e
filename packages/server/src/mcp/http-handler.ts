import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { parseJson, requestJsonLimits } from '@postern/core/base/json';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import { principalKey } from '@postern/core/identity';
import type { AdminGate, Permit } from '../control/api/index.ts';
import { envelopeOf, permitted } from '../control/api/index.ts';
import type { HttpHandler, HttpReply, HttpRequest } from '../http/index.ts';
import type { Desk } from './desk.ts';
import { handoffPrefix } from './handoff.ts';
import { mcpLimits } from './limits.ts';
import type { Visitor } from './ports.ts';
import type { ProtocolHttp } from './protocol/index.ts';

export const mcpPath = '/mcp';
/** Where a client that has no token learns which issuers count (RFC 9728), with or without the path after it. */
export const metadataPath = '/.well-known/oauth-protected-resource';

export interface McpHttpOptions {
  readonly desk: Desk;
  readonly protocol: ProtocolHttp;
  readonly identify: AdminGate['identify'];
  readonly permit: Permit;
  /** Issuers whose tokens identify callers; empty where none is configured. */
  readonly issuers: () => readonly string[];
  /** Whether this listener has TLS, for the links that people are given. */
  readonly scheme: (request: HttpRequest) => 'http' | 'https';
}

/** `/mcp` of the admin listener, and the secrets that wait for people under it. Host and Origin were judged before. */
export function mcpHttpHandler(options: McpHttpOptions): HttpHandler {
  return async (request, reply) => {
    if (request.path.startsWith(metadataPath)) return tellIssuers(options, request, reply);
    const caller = await options.identify(request);
    if (!caller.ok) return unidentified(options, { request, reply, why: caller.error });
    if (request.path.startsWith(handoffPrefix)) {
      return handOver(options, { request, reply, caller: caller.value });
    }
    if (request.path !== mcpPath) {
      return refused(reply, notHere.error, request.id);
    }
    // Before a body is read: who may not use a single tool has no business here.
    const visitor = visitorOf(options, request, caller.value);
    if (options.desk.list(visitor).length === 0) return refused(reply, noTool.error, request.id);
    const sent = await webRequest(request);
    if (!sent.ok) return refused(reply, sent.error, request.id);
    const principal = principalKey(caller.value.subject);
    try {
      const response = await options.protocol.answer(sent.value.request, visitor, principal);
      await pass(response, reply, { request, isLast: sent.value.isLast });
    } catch (fault) {
      // A client that left has no answer coming; anything else is ours.
      if (!request.signal.aborted) throw fault;
    }
  };
}

const notHere = refuse('not_found', 'There is no such page here.');
const noTool = refuse(
  'access_denied',
  'You may not use any tool here. A grant of postern.dev/cap/admin in the policy names operations.',
);

function visitorOf(
  { permit, scheme }: McpHttpOptions,
  request: HttpRequest,
  caller: Caller,
): Visitor {
  return {
    requestId: request.id,
    caller,
    permit,
    connection: request.peer,
    isReadOnly: request.headers.get('postern-mcp-read-only') === 'true',
    place: { kind: 'network', origin: originOf(scheme, request) },
  };
}

function originOf(scheme: McpHttpOptions['scheme'], request: HttpRequest): string {
  return `${scheme(request)}://${request.headers.get('host') ?? 'localhost'}`;
}

/**
 * Tokens say who somebody is and nothing about what they may do, which the policy says: there are no scopes to ask for,
 * and so none that could be too wide.
 */
function tellIssuers(options: McpHttpOptions, request: HttpRequest, reply: HttpReply): void {
  const issuers = options.issuers();
  const isOurs = request.path === metadataPath || request.path === `${metadataPath}${mcpPath}`;
  if (!isOurs || issuers.length === 0) return refused(reply, notHere.error, request.id);
  const metadata = {
    resource: `${originOf(options.scheme, request)}${mcpPath}`,
    authorization_servers: issuers,
    bearer_methods_supported: ['header'],
    scopes_supported: [],
  };
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  reply.send(200, headers, `${JSON.stringify(metadata)}\n`);
}

function unidentified(
  options: McpHttpOptions,
  {
    request,
    reply,
    why,
  }: { readonly request: HttpRequest; readonly reply: HttpReply; readonly why: Refusal },
): void {
  const { status, headers, body } = envelopeOf(why, request.id);
  if (status !== 401 || options.issuers().length === 0) return reply.send(status, headers, body);
  const where = `${originOf(options.scheme, request)}${metadataPath}${mcpPath}`;
  reply.send(
    status,
    { ...headers, 'www-authenticate': `Bearer resource_metadata="${where}"` },
    body,
  );
}

/** What the protocol reads of a request; nothing else of it is passed on. */
const passedHeaders = [
  'accept',
  'content-type',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
] as const;

const bodyLimits = {
  ...requestJsonLimits,
  bytesMax: mcpLimits.bodyBytesMax,
  stringBytesMax: mcpLimits.bodyBytesMax,
  depthMax: mcpLimits.depthMax,
  valuesMax: 100_000,
};

interface Sent {
  readonly request: Request;
  /** The connection ends with the answer: a policy is not confirmed over the one that applied it. */
  readonly isLast: boolean;
}

async function webRequest(request: HttpRequest): Promise<Result<Sent, Refusal>> {
  const headers = new Headers();
  for (const name of passedHeaders) {
    const value = request.headers.get(name);
    if (value !== undefined) headers.set(name, value);
  }
  for (const [name, value] of request.headers.entries()) {
    if (name.startsWith('mcp-param-')) headers.set(name, value);
  }
  const { method } = request;
  const signal = leaving(request);
  if (method === 'GET' || method === 'DELETE') {
    const bare = new Request(`http://admin${mcpPath}`, { method, headers, signal });
    return ok({ request: bare, isLast: false });
  }
  if (method !== 'POST') return refuse('method_not_allowed', `${mcpPath} takes POST.`);
  const body = await request.readBody(mcpLimits.bodyBytesMax);
  if (!body.ok) return body;
  const document = parseJson(body.value, bodyLimits);
  // What is no JSON is answered in the words of the protocol; what is too much of it, here.
  if (!document.ok && document.error.reason === 'too_large') {
    return refuse('body_too_large', document.error.message);
  }
  if (!document.ok && document.error.reason !== 'syntax') {
    return refuse('invalid_json', document.error.message);
  }
  return ok({
    request: new Request(`http://admin${mcpPath}`, {
      method,
      headers,
      signal,
      body: new Uint8Array(body.value),
    }),
    isLast: document.ok && applies(document.value.value),
  });
}

/** The platform's own signal, which is all that its requests take. */
function leaving({ signal }: HttpRequest): AbortSignal {
  const abort = new AbortController();
  if (signal.aborted) abort.abort();
  else signal.addEventListener('abort', () => abort.abort(), { once: true });
  return abort.signal;
}

function applies(message: unknown): boolean {
  return JSON.stringify(message).includes('"update_acl_policy"');
}

/** Headers of the protocol's answers that go out; the connection is ours. */
const answerHeaders = [
  'allow',
  'cache-control',
  'content-type',
  'mcp-session-id',
  'x-accel-buffering',
] as const;

async function pass(
  response: Response,
  reply: HttpReply,
  { request, isLast }: { readonly request: HttpRequest; readonly isLast: boolean },
): Promise<void> {
  const headers: Record<string, string> = {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': request.id,
    ...(isLast ? { connection: 'close' } : {}),
  };
  for (const name of answerHeaders) {
    const value = response.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (!isStream || response.body === null) {
    reply.send(response.status, headers, new Uint8Array(await response.arrayBuffer()));
    return;
  }
  const stream = reply.start(response.status, headers);
  const reader = response.body.getReader();
  const leave = (): void => void reader.cancel().catch(() => undefined);
  request.signal.addEventListener('abort', leave, { once: true });
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- a stream is read in its order
    const { done, value } = await reader.read();
    if (done) break;
    // oxlint-disable-next-line no-await-in-loop -- back-pressure
    if (!(await stream.write(value))) return leave();
  }
  if (request.signal.aborted) stream.destroy();
  else stream.end();
}

interface Fetching {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  readonly caller: Caller;
}

/** Gives a waiting secret to a person, once. A program, a key or an app is no person. */
async function handOver(
  options: McpHttpOptions,
  { request, reply, caller }: Fetching,
): Promise<void> {
  const { kind } = caller.subject;
  const isPerson = kind === 'user' || kind === 'operator';
  const may = permitted('preauthkey.create', { caller, permit: options.permit });
  if (request.method !== 'GET') {
    const why = refuse('method_not_allowed', `${request.path} takes GET.`);
    return refused(reply, why.error, request.id);
  }
  if (!isPerson || !may.ok) {
    const why = refuse('access_denied', 'This is fetched by a person who may make such keys.');
    return refused(reply, why.error, request.id);
  }
  const visitor = visitorOf(options, request, caller);
  const secret = await options.desk.handOver(visitor, request.path.slice(handoffPrefix.length));
  if (secret === undefined) return refused(reply, gone.error, request.id);
  reply.send(
    200,
    {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
    `${secret}\n`,
  );
}

const gone = refuse('not_found', 'It was fetched already, or it waited too long.');

function refused(reply: HttpReply, why: Refusal, requestId: string): void {
  const { status, headers, body } = envelopeOf(why, requestId);
  reply.send(status, headers, body);
}
