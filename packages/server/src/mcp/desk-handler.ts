import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { parseJson, requestJsonLimits } from '@postern/core/base/json';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { z } from 'zod';
import type { AdminGate, Permit } from '../control/api/index.ts';
import { envelopeOf } from '../control/api/index.ts';
import type { HttpHandler, HttpRequest } from '../http/index.ts';
import type { Desk } from './desk.ts';
import { mcpLimits } from './limits.ts';
import type { Visitor } from './ports.ts';

/** Where `postern mcp` reaches the desk: the control socket alone. */
export const deskPath = '/mcp/desk';

/** What goes over the control socket for one request of an agent. */
export const deskRequest = z.discriminatedUnion('ask', [
  z.strictObject({ ask: z.literal('list'), read_only: z.boolean(), client: z.string().optional() }),
  z.strictObject({
    ask: z.literal('read'),
    read_only: z.boolean(),
    client: z.string().optional(),
    uri: z.string(),
  }),
  z.strictObject({
    ask: z.literal('call'),
    read_only: z.boolean(),
    client: z.string().optional(),
    tool: z.string(),
    args: z.unknown(),
    can_ask: z.boolean(),
    state: z.string().optional(),
    answer: z.unknown().optional(),
  }),
]);

export type DeskRequest = z.input<typeof deskRequest>;

export interface DeskHandlerOptions {
  readonly desk: Desk;
  readonly identify: AdminGate['identify'];
  readonly permit: Permit;
}

/**
 * The desk over the control socket, for `postern mcp` on pipes. Whoever can open that file could use the admin API as
 * the owner; an agent that speaks through this door cannot.
 */
export function deskHandler({ desk, identify, permit }: DeskHandlerOptions): HttpHandler {
  return async (request, reply) => {
    const caller = await identify(request);
    const asked = caller.ok ? await readRequest(request) : caller;
    if (!caller.ok || !asked.ok) {
      // One of the two is a refusal.
      const why = caller.ok ? (asked as { readonly error: Refusal }).error : caller.error;
      const { status, headers, body } = envelopeOf(why, request.id);
      reply.send(status, headers, body);
      return;
    }
    const { read_only: isReadOnly, client } = asked.value;
    const visitor: Visitor = {
      requestId: request.id,
      caller: caller.value,
      permit,
      connection: request.peer,
      isReadOnly,
      ...(client === undefined ? {} : { client }),
      place: { kind: 'local' },
    };
    const answer = await answerTo(desk, visitor, asked.value);
    reply.send(200, { 'content-type': 'application/json' }, `${JSON.stringify({ answer })}\n`);
  };
}

async function readRequest(
  request: HttpRequest,
): Promise<Result<z.output<typeof deskRequest>, Refusal>> {
  if (request.path !== deskPath) return refuse('not_found', 'There is no such page here.');
  if (request.method !== 'POST') return refuse('method_not_allowed', `${deskPath} takes POST.`);
  const body = await request.readBody(mcpLimits.bodyBytesMax);
  if (!body.ok) return body;
  const document = parseJson(body.value, { ...requestJsonLimits, depthMax: mcpLimits.depthMax });
  if (!document.ok) return refuse('invalid_json', document.error.message);
  const read = deskRequest.safeParse(document.value.value);
  return read.success
    ? ok(read.data)
    : refuse('invalid_request', 'This is no request of an agent.');
}

async function answerTo(
  desk: Desk,
  visitor: Visitor,
  asked: z.output<typeof deskRequest>,
): Promise<unknown> {
  switch (asked.ask) {
    case 'list':
      return desk.list(visitor);
    case 'read':
      return (await desk.read(visitor, asked.uri)) ?? null;
    case 'call': {
      const { tool, args, can_ask: canAsk, state, answer } = asked;
      return desk.call(visitor, { tool, args, canAsk, state, answer });
    }
  }
}
