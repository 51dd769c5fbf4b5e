import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Connection, enqueue, type Turn } from './connection.ts';
import { type HeadFault, type HeadRules, judgeHead } from './head.ts';
import { garbageTurn, handlerTurn, refusalTurn, requestOf, type TurnContext } from './turn.ts';

/**
 * Puts our judgement between node:http and the handlers. llhttp finds messages and refuses broken framing; what it
 * leaves open is decided here, before a handler runs.
 */
export class NodeFront {
  readonly #context: TurnContext;
  readonly #rules: HeadRules;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #latest = new WeakMap<Connection, Turn>();

  constructor(context: TurnContext, rules: HeadRules) {
    this.#context = context;
    this.#rules = rules;
  }

  attach(server: Server): void {
    server.on('request', (message, response) => this.#onRequest(message, response));
    server.on('checkContinue', (message, response) => this.#onRequest(message, response));
    server.on('checkExpectation', (message, response) => this.#onRequest(message, response));
    server.on('connect', (message, socket) => this.#onConnect(message, socket));
    server.on('clientError', (cause, socket) => this.#onClientError(cause, socket));
    if (this.#context.options.upgrade !== undefined) {
      server.on('upgrade', (message, socket, head) => this.#onUpgrade(message, socket, head));
    }
  }

  adopt(connection: Connection): void {
    this.#connections.set(connection.socket, connection);
  }

  #onRequest(message: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(message.socket);
    if (connection === undefined || connection.closing) return;
    const judged = this.#judge(message, connection);
    const exchange = { message, response };
    if (!judged.ok) {
      connection.closing = true;
      this.#take(connection, refusalTurn(this.#context, connection, exchange, judged.error));
      return;
    }
    connection.taken += 1;
    const last = connection.taken >= this.#context.limits.requestsPerConnectionMax;
    const head = { ...judged.value, closes: judged.value.closes || last };
    if (head.closes) connection.closing = true;
    const turn = handlerTurn(this.#context, connection, exchange, head);
    this.#take(connection, turn);
  }

  #judge(message: IncomingMessage, connection: Connection): ReturnType<typeof judgeHead> {
    const head = {
      method: message.method ?? '',
      target: message.url ?? '',
      version: message.httpVersion,
      rawHeaders: message.rawHeaders,
    };
    return judgeHead(head, connection.peer.address, this.#rules);
  }

  #take(connection: Connection, turn: Turn): void {
    this.#latest.set(connection, turn);
    enqueue(connection, turn, this.#context.limits);
  }

  /** No tunnels: CONNECT is answered like any method that is not served. */
  #onConnect(message: IncomingMessage, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.closing) return;
    const judged = this.#judge(message, connection);
    connection.closing = true;
    if (!judged.ok) this.#take(connection, garbageTurn(this.#context, connection, judged.error));
    else socket.destroy();
  }

  #onUpgrade(message: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.closing) return;
    connection.closing = true;
    const judged = this.#judge(message, connection);
    if (!judged.ok) {
      this.#take(connection, garbageTurn(this.#context, connection, judged.error));
      return;
    }
    // A switch behind an unanswered request would mix two protocols on one stream.
    if (connection.active !== undefined) {
      socket.destroy();
      return;
    }
    const { options } = this.#context;
    const exchange = { message, response: undefined };
    const id = options.newRequestId();
    const request = requestOf(this.#context, connection, exchange, judged.value, id);
    options.upgrade?.(request, socket, head);
  }

  #onClientError(cause: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    const code = cause.code ?? '';
    const ours = code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT';
    if (connection === undefined || !ours) {
      socket.destroy();
      return;
    }
    const latest = this.#latest.get(connection);
    if (latest !== undefined && !latest.complete()) {
      // What is broken is the body of a request that we already took.
      connection.closing = true;
      this.#latest.delete(connection);
      latest.spoil();
    } else if (!connection.closing) {
      connection.closing = true;
      const fault = faultOf(code, cause);
      this.#take(connection, garbageTurn(this.#context, connection, fault));
    }
  }
}

const requestLineOnly = /^[A-Z]{1,16} [^\r\n ]*$/;

/** llhttp does not say whether a target or a header was too long: the bytes at hand do, when they are the first. */
function faultOf(code: string, cause: object): HeadFault {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { code: 'request_timeout', message: 'the request head did not arrive in time' };
  }
  if (code !== 'HPE_HEADER_OVERFLOW') {
    return { code: 'malformed_http', message: 'the request is not well-formed HTTP/1.1' };
  }
  const packet: unknown = 'rawPacket' in cause ? cause.rawPacket : undefined;
  const start = packet instanceof Uint8Array ? Buffer.from(packet).toString('latin1') : '';
  return requestLineOnly.test(start)
    ? { code: 'uri_too_long', message: 'the request target is too long' }
    : { code: 'headers_too_large', message: 'the request head is too large' };
}
