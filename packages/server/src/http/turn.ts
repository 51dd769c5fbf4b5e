import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert, type Result } from '@postern/core/base';
import { errorRow, type Refusal } from '@postern/core/errors';
import { BodyReader } from './body.ts';
import { type Connection, cutConnection, type Turn } from './connection.ts';
import type { HttpRequest, Peer } from './exchange.ts';
import { allowedMethods, type HeadFault, type JudgedHead } from './head.ts';
import type { HttpLimits } from './limits.ts';
import type { ListenerOptions } from './listener.ts';
import { rawAnswer, refusalAnswer, wholeHeaders } from './refusal-answer.ts';
import { NodeReply } from './reply.ts';

/** What every turn of a listener shares. */
export interface TurnContext {
  readonly options: ListenerOptions;
  readonly limits: HttpLimits;
  readonly draining: () => boolean;
}

/** A request and its answer as node:http hands them over. */
export interface NodeExchange {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

const malformedBody: HeadFault = {
  code: 'malformed_http',
  message: 'the request body is not well-formed',
};

/** The turn of a request whose head was accepted. */
export function handlerTurn(
  context: TurnContext,
  connection: Connection,
  exchange: NodeExchange,
  head: JudgedHead,
): Turn {
  const { message, response } = exchange;
  const { options, limits } = context;
  const id = options.newRequestId();
  const closes = (): boolean => head.closes || context.draining() || !message.complete;
  const reply = new NodeReply(response, {
    limits,
    requestId: id,
    closes: () => {
      const last = closes();
      if (last) connection.closing = true;
      return last;
    },
  });
  let spoilt = false;
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    if (spoilt) return answerFault(context, connection, exchange, malformedBody);
    const done = closed(response);
    const request = requestOf(context, connection, exchange, head, id);
    try {
      if (head.path === '*') reply.send(204, { allow: allowedMethods }, '');
      else await options.handler(request, reply);
      assert(reply.started && reply.ended, 'a handler returns after the end of its answer');
    } catch (cause) {
      options.onFault?.(cause, id);
      failInternally(reply, response, connection, id);
    }
    await done;
    // An answer whose head went out before the end was near did not tell its client: the connection would be kept.
    if (context.draining() && connection.waiting.length === 0) connection.socket.destroySoon();
  };
  const spoil = (): void => {
    spoilt = true;
    if (!running) return;
    if (reply.started) cutConnection(connection.socket);
    else {
      reply.abandon();
      endRaw(connection, rawAnswer(malformedBody, id, options.nowMs()));
    }
  };
  return { complete: () => message.complete, run, spoil };
}

/** The turn of a request that was refused: only its answer is left to write. */
export function refusalTurn(
  context: TurnContext,
  connection: Connection,
  exchange: NodeExchange,
  fault: HeadFault,
): Turn {
  return {
    complete: () => exchange.message.complete,
    run: () => answerFault(context, connection, exchange, fault),
    spoil: () => undefined,
  };
}

/** The turn of bytes that are no request at all: the parser has given up, so the answer is written by hand. */
export function garbageTurn(context: TurnContext, connection: Connection, fault: HeadFault): Turn {
  const { newRequestId, nowMs } = context.options;
  return {
    complete: () => true,
    run: async () => {
      const id = newRequestId();
      tellRefused(context.options, { fault, id, peer: connection.peer, message: undefined });
      endRaw(connection, rawAnswer(fault, id, nowMs()));
    },
    spoil: () => undefined,
  };
}

/** Tells the owner of the listener about a request that no handler will see. */
export function tellRefused(
  options: ListenerOptions,
  refused: {
    readonly fault: HeadFault;
    readonly id: string;
    readonly peer: Peer;
    readonly message: IncomingMessage | undefined;
  },
): void {
  const { fault, id, peer, message } = refused;
  options.onRefused?.({
    requestId: id,
    listener: options.kind,
    code: fault.code,
    status: fault.status ?? errorRow(fault.code).status,
    method: message?.method,
    target: message?.url,
    peerAddress: peer.address,
    atMs: options.nowMs(),
  });
}

async function answerFault(
  context: TurnContext,
  connection: Connection,
  exchange: NodeExchange,
  fault: HeadFault,
): Promise<void> {
  connection.closing = true;
  const { message, response } = exchange;
  const id = context.options.newRequestId();
  tellRefused(context.options, { fault, id, peer: connection.peer, message });
  const answer = refusalAnswer(fault, id);
  const done = closed(response);
  response.writeHead(answer.status, wholeHeaders(answer, id));
  response.end(answer.body);
  await done;
}

function endRaw(connection: Connection, bytes: string): void {
  connection.closing = true;
  const { socket } = connection;
  if (socket.destroyed || socket.writableEnded) return;
  socket.write(bytes);
  socket.destroySoon();
}

function failInternally(
  reply: NodeReply,
  response: ServerResponse,
  connection: Connection,
  id: string,
): void {
  if (reply.started) {
    if (!response.writableFinished) cutConnection(connection.socket);
    return;
  }
  connection.closing = true;
  const answer = refusalAnswer({ code: 'internal', message: 'the gateway failed' }, id);
  reply.send(answer.status, answer.headers, answer.body);
}

function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.closed) resolve();
    else response.once('close', () => resolve());
  });
}

/** What a handler sees. */
export function requestOf(
  context: TurnContext,
  connection: Connection,
  exchange: { readonly message: IncomingMessage; readonly response: ServerResponse | undefined },
  head: JudgedHead,
  id: string,
): HttpRequest {
  const { message, response } = exchange;
  const abort = new AbortController();
  const gone = (): void => {
    if (response?.writableFinished !== true) abort.abort();
  };
  if (response === undefined) connection.socket.once('close', gone);
  else if (response.closed || connection.socket.destroyed) gone();
  else response.once('close', gone);
  const body = new BodyReader(message, context.limits);
  const readBody = (bytesMax: number): Promise<Result<Uint8Array, Refusal>> => {
    if (head.expectsContinue && !message.complete && message.readableLength === 0) {
      response?.writeContinue();
    }
    return body.read(bytesMax);
  };
  return {
    id,
    listener: context.options.kind,
    method: head.method,
    path: head.path,
    query: head.query,
    headers: head.headers,
    peer: connection.peer,
    clientAddress: head.clientAddress,
    sawForwarding: head.sawForwarding,
    sawIdentityHeaders: head.sawIdentityHeaders,
    evidence: connection.evidence,
    receivedAtMs: context.options.nowMs(),
    signal: abort.signal,
    readBody,
  };
}
