import type { Result, Soon } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { Leaving } from '../call-signal.ts';
import type { Connection } from '../connection.ts';
import type { ConnectionEvidence, HttpRequest, ListenerKind, Peer } from '../exchange.ts';
import type { JudgedHead } from '../head.ts';
import type { FastBody } from './fast-body.ts';

/** What a handler sees of one request on the short way. */
export class FastRequest implements HttpRequest {
  readonly id: string;
  readonly listener: ListenerKind;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: HttpRequest['headers'];
  readonly peer: Peer;
  readonly clientAddress: string | undefined;
  readonly sawForwarding: boolean;
  readonly sawIdentityHeaders: boolean;
  readonly evidence: ConnectionEvidence | undefined;
  readonly receivedAtMs: number;
  readonly signal = new Leaving();
  readonly #body: FastBody;

  constructor(
    head: JudgedHead,
    connection: Connection,
    own: {
      readonly id: string;
      readonly listener: ListenerKind;
      readonly receivedAtMs: number;
      readonly body: FastBody;
    },
  ) {
    this.id = own.id;
    this.listener = own.listener;
    this.method = head.method;
    this.path = head.path;
    this.query = head.query;
    this.headers = head.headers;
    this.peer = connection.peer;
    this.clientAddress = head.clientAddress;
    this.sawForwarding = head.sawForwarding;
    this.sawIdentityHeaders = head.sawIdentityHeaders;
    this.evidence = connection.evidence;
    this.receivedAtMs = own.receivedAtMs;
    this.#body = own.body;
  }

  readBody(bytesMax: number): Soon<Result<Uint8Array, Refusal>> {
    return this.#body.read(bytesMax);
  }
}
