import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { err, ok, type Result } from '@postern/core/base';
import { errorRow } from '@postern/core/errors';
import { type JudgedHead, judgeHead } from '../http/head.ts';
import { type OwnAnswer, refusedField } from './answer.ts';
import { requestFields, trailerFields } from './fields.ts';
import { headRules } from './front.ts';
import type { MeshLimits } from './limits.ts';
import type { MeshSpan } from './spans.ts';

/** A stream that may go on: what it says besides, and the connection that it shares. */
export interface Http2Way {
  /** Set over whatever the caller wrote. */
  readonly fields: Readonly<Record<string, string>>;
  /** Streams of one key share a connection. */
  readonly key: string;
  /** Undefined: not traced. */
  readonly span?: MeshSpan | undefined;
  open(): Promise<Result<Duplex, OwnAnswer>>;
}

export interface Http2Plan {
  readonly limits: MeshLimits;
  readonly hosts: readonly string[] | undefined;
  readonly sessions: Http2Sessions;
  /** The connections onwards belong to this one and end with it. */
  readonly endsSessions: boolean;
  readonly admit: (
    head: JudgedHead,
    raw: readonly string[],
  ) => Promise<Result<Http2Way, OwnAnswer>>;
}

/** Connections onwards, each shared by many streams. */
export class Http2Sessions {
  readonly #limits: MeshLimits;
  readonly #sessions = new Map<string, Promise<Result<ClientHttp2Session, OwnAnswer>>>();

  constructor(limits: MeshLimits) {
    this.#limits = limits;
  }

  async get(way: Http2Way): Promise<Result<ClientHttp2Session, OwnAnswer>> {
    const { key } = way;
    const known = await this.#sessions.get(key);
    if (known?.ok === true && !known.value.closed && !known.value.destroyed) return known;
    const opening = this.#open(way);
    this.#sessions.set(key, opening);
    const opened = await opening;
    if (!opened.ok && this.#sessions.get(key) === opening) this.#sessions.delete(key);
    return opened;
  }

  close(): void {
    for (const session of this.#sessions.values()) {
      void session.then((opened) => opened.ok && opened.value.destroy());
    }
    this.#sessions.clear();
  }

  async #open(way: Http2Way): Promise<Result<ClientHttp2Session, OwnAnswer>> {
    const { key } = way;
    const socket = await way.open();
    if (!socket.ok) return socket;
    const { connect } = await import('node:http2');
    const session = connect('http://mesh', {
      createConnection: () => socket.value,
      maxSendHeaderBlockLength: this.#limits.headBytesMax,
      settings: { enablePush: false },
    });
    session.on('error', () => undefined);
    session.once('close', () => this.#sessions.delete(key));
    // A connection that takes no new streams is left to those that it has.
    session.once('goaway', () => this.#sessions.delete(key));
    return ok(session);
  }
}

/** Serves HTTP/2 on a connection and passes every stream on, trailers included. */
export async function relayHttp2(socket: Duplex, plan: Http2Plan): Promise<void> {
  const { performServerHandshake, constants } = await import('node:http2');
  if (socket.destroyed) return;
  const session = performServerHandshake(socket, {
    maxHeaderListPairs: plan.limits.headersMax + 8,
    maxSessionMemory: 64,
    settings: {
      maxConcurrentStreams: plan.limits.streamsPerConnectionMax,
      maxHeaderListSize: plan.limits.headBytesMax,
      enablePush: false,
    },
  });
  session.on('error', () => undefined);
  if (plan.endsSessions) session.once('close', () => plan.sessions.close());
  session.on('stream', (stream, headers, flags, raw) => {
    stream.on('error', () => undefined);
    const isEnded = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    void serve(stream, { headers, raw: flatOf(raw, headers), isEnded }, plan).catch(() =>
      stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    );
  });
}

interface Asked {
  readonly headers: IncomingHttpHeaders;
  /** Without pseudo fields. */
  readonly raw: readonly string[];
  readonly isEnded: boolean;
}

async function serve(stream: ServerHttp2Stream, asked: Asked, plan: Http2Plan): Promise<void> {
  const way = await judge(stream, asked, plan);
  if (!way.ok) {
    answerOwn(stream, asked, way.error);
    return;
  }
  const session = await plan.sessions.get(way.value);
  if (stream.destroyed) return;
  const { span } = way.value;
  if (!session.ok) {
    span?.end(undefined, session.error.code);
    answerOwn(stream, asked, session.error);
    return;
  }
  const { headers, raw, isEnded } = asked;
  const fields = objectOf(requestFields(raw));
  for (const [name, value] of Object.entries(way.value.fields)) fields[name] = value;
  if (headers['te'] === 'trailers') fields['te'] = 'trailers';
  const upstream = session.value.request(
    {
      ':method': headers[':method'],
      ':path': headers[':path'],
      ':scheme': headers[':scheme'] ?? 'http',
      ':authority': headers[':authority'],
      ...fields,
    },
    { endStream: isEnded, waitForTrailers: !isEnded },
  );
  let status: number | undefined;
  upstream.once('response', (answered) => {
    status = answered[':status'];
  });
  stream.once('close', () =>
    span?.end(status, status === undefined ? 'upstream_error' : undefined),
  );
  join(stream, upstream, asked, plan.limits);
}

async function judge(
  stream: ServerHttp2Stream,
  { headers, raw }: Asked,
  { limits, hosts, admit }: Http2Plan,
): Promise<Result<Http2Way, OwnAnswer>> {
  const authority = headers[':authority'] ?? headers.host;
  const own = authority === undefined || headers.host !== undefined ? [] : ['host', authority];
  const head = judgeHead(
    {
      method: headers[':method'] ?? '',
      target: headers[':path'] ?? '',
      version: '1.1',
      rawHeaders: [...raw, ...own],
    },
    stream.session?.socket.remoteAddress,
    headRules(limits, hosts),
  );
  if (!head.ok) return err({ code: head.error.code, message: `${head.error.message}.` });
  return admit(head.value, raw);
}

function join(
  stream: ServerHttp2Stream,
  upstream: ClientHttp2Stream,
  asked: Asked,
  limits: MeshLimits,
): void {
  let trailers: OutgoingHttpHeaders = {};
  let bytes = 0;
  upstream.on('error', () => undefined);
  upstream.setTimeout(limits.firstByteMs, () => upstream.close(8));
  upstream.once('response', (headers, flags) => {
    upstream.setTimeout(limits.idleMs);
    if (stream.destroyed || stream.headersSent) return;
    // NGHTTP2_FLAG_END_STREAM: an answer of nothing but fields, as gRPC's refusals are.
    const isWhole = (flags & 1) !== 0;
    try {
      stream.respond(answerObject(headers), { endStream: isWhole, waitForTrailers: !isWhole });
    } catch {
      upstream.close(8);
      stream.close(2);
      return;
    }
    if (!isWhole) upstream.pipe(stream);
  });
  upstream.once('trailers', (fields) => {
    trailers = objectOf(trailerFields(flatOf(undefined, fields)));
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  upstream.once('close', () => {
    const { rstCode } = upstream;
    if (stream.destroyed) return;
    if (!stream.headersSent) {
      const message = 'The other end failed: it closed the stream.';
      answerOwn(stream, asked, { code: 'upstream_error', message });
    } else if (rstCode !== 0) stream.close(rstCode);
  });
  stream.once('close', () => {
    // NGHTTP2_CANCEL where the caller left.
    if (!upstream.closed) upstream.close(stream.rstCode === 0 ? 0 : 8);
  });
  if (asked.isEnded) return;
  let callers: OutgoingHttpHeaders = {};
  stream.once('trailers', (fields) => {
    callers = objectOf(trailerFields(flatOf(undefined, fields)));
  });
  upstream.on('wantTrailers', () => upstream.sendTrailers(callers));
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > limits.bodyBytesMax) {
      stream.pause();
      upstream.close(8);
      const message = `The request body is larger than ${limits.bodyBytesMax} bytes.`;
      answerOwn(stream, asked, { code: 'body_too_large', message });
    } else if (!upstream.write(piece)) {
      stream.pause();
      upstream.once('drain', () => stream.resume());
    }
  });
  stream.once('end', () => upstream.end());
}

const grpcDenied = '7';
const grpcUnauthenticated = '16';
const grpcUnavailable = '14';
const grpcInvalid = '3';

/** Our own answer: for gRPC in its words (a status in fields alone), for others like everywhere. */
function answerOwn(stream: ServerHttp2Stream, { headers }: Asked, answer: OwnAnswer): void {
  if (stream.destroyed) return;
  if (stream.headersSent) {
    stream.close(2);
    return;
  }
  const row = errorRow(answer.code);
  const status = answer.status ?? row.status;
  if (headers['content-type']?.startsWith('application/grpc') === true) {
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': grpcStatus(status),
        'grpc-message': encodeURIComponent(answer.message),
        [refusedField]: answer.code,
      },
      { endStream: true },
    );
    return;
  }
  const error = {
    message: answer.message,
    type: row.openaiType,
    param: null,
    code: row.openaiCode,
  };
  stream.respond({
    ':status': status,
    'content-type': 'application/json',
    [refusedField]: answer.code,
  });
  stream.end(JSON.stringify({ error }));
}

function grpcStatus(status: number): string {
  if (status === 401) return grpcUnauthenticated;
  if (status === 403) return grpcDenied;
  return status >= 500 ? grpcUnavailable : grpcInvalid;
}

function answerObject(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = { ':status': headers[':status'] };
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(':')) fields[name] = value;
  }
  return fields;
}

/** Fields in turn, without pseudo fields: as received where node:http2 says so, else from the object. */
function flatOf(raw: readonly string[] | undefined, headers: IncomingHttpHeaders): string[] {
  const flat: string[] = [];
  if (raw !== undefined) {
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const name = raw[index] ?? '';
      if (!name.startsWith(':')) flat.push(name, raw[index + 1] ?? '');
    }
    return flat;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) flat.push(name, each);
  }
  return flat;
}

function objectOf(flat: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = (flat[index] ?? '').toLowerCase();
    const value = flat[index + 1] ?? '';
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else fields[name] = [...(Array.isArray(before) ? before : [before]), value];
  }
  return fields;
}
