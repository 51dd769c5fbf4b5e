import type { HttpReply, HttpStream, ResponseHeaders } from './exchange.ts';
import type { HeaderLines } from './header-lines.ts';

/**
 * A reply that passes everything on, for those that do one thing more. A class: each literal with accessors has a hidden class of its
 * own in V8, which outlives the request with all that it holds.
 */
export class PassingReply implements HttpReply {
  readonly #reply: HttpReply;

  constructor(reply: HttpReply) {
    this.#reply = reply;
  }

  get started(): boolean {
    return this.#reply.started;
  }

  get sent(): HttpReply['sent'] {
    return this.#reply.sent;
  }

  add(lines: HeaderLines): void {
    this.#reply.add(lines);
  }

  send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    this.#reply.send(status, headers, body);
  }

  start(status: number, headers: ResponseHeaders): HttpStream {
    return this.#reply.start(status, headers);
  }
}
