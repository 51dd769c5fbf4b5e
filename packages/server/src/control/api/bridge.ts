import type { Result, Soon } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { Channel } from '@postern/core/state';
import type { HttpHandler, HttpReply, HttpRequest } from '../../http/exchange.ts';
import { controlLimits } from '../limits.ts';
import type { AdminApp } from './app.ts';
import { envelopeOf } from './envelope.ts';
import type { Permit } from './perform.ts';

/** Who stands before the API on one listener, and what they may do there. */
export interface AdminGate {
  readonly channel: Channel;
  /** Who is asking, or why nobody is believed to be. */
  identify(request: HttpRequest): Soon<Result<Caller, Refusal>>;
  readonly permit: Permit;
}

/**
 * The app behind one of our listeners. Caller, channel and request id reach it beside the request, where nothing that
 * a caller sends can be; the body is read only once the caller is known.
 */
export function honoHandler(app: AdminApp, gate: AdminGate): HttpHandler {
  return async (request, reply) => {
    const caller = await gate.identify(request);
    if (!caller.ok) return refuse(reply, caller.error, request.id);
    const body = hasBody(request) ? await request.readBody(controlLimits.bodyBytesMax) : undefined;
    if (body?.ok === false) return refuse(reply, body.error, request.id);
    const response = await app.fetch(webRequest(request, body?.value), {
      requestId: request.id,
      caller: caller.value,
      channel: gate.channel,
      permit: gate.permit,
      connection: request.peer,
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    reply.send(response.status, Object.fromEntries(response.headers), bytes);
  };
}

function hasBody({ method }: HttpRequest): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

/** Headers stay behind: the API reads none, so none can change what it does. */
function webRequest(request: HttpRequest, body: Uint8Array | undefined): Request {
  const query = request.query === '' ? '' : `?${request.query}`;
  return new Request(`http://admin${request.path}${query}`, {
    method: request.method,
    // A copy on a buffer of its own, which is what the type of a request body asks for.
    ...(body === undefined || body.length === 0 ? {} : { body: new Uint8Array(body) }),
  });
}

function refuse(reply: HttpReply, why: Refusal, requestId: string): void {
  const { status, headers, body } = envelopeOf(why, requestId);
  reply.send(status, headers, body);
}
