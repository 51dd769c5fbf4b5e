import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ipSetOfPrefixes } from '@postern/core/base/netip';
import { type HeadFault, type HeadRules, type JudgedHead, judgeHead } from '../http/head.ts';
import { canonicalHost } from '../http/host.ts';
import { httpLimits } from '../http/limits.ts';
import { sendOwn, sendOwnRaw } from './answer.ts';
import type { MeshLimits } from './limits.ts';

/** One request whose head has one meaning. */
export interface FrontRequest {
  readonly message: IncomingMessage;
  readonly head: JudgedHead;
}

export interface FrontOptions {
  readonly limits: MeshLimits;
  /** Names that `Host` may have; undefined where identity is not ambient. */
  readonly hosts: readonly string[] | undefined;
  readonly onRequest: (request: FrontRequest, response: ServerResponse) => void;
  /** Owns the socket from here on. */
  readonly onUpgrade: (request: FrontRequest, socket: Duplex, head: Buffer) => void;
  readonly onRefused?: (fault: HeadFault) => void;
}

const nobody = ipSetOfPrefixes([]);

/** How heads are judged at the mesh's listeners, whichever version of HTTP they came in. */
export function headRules(limits: MeshLimits, hosts: readonly string[] | undefined): HeadRules {
  return {
    limits: {
      ...httpLimits,
      headBytesMax: limits.headBytesMax,
      headersMax: limits.headersMax,
      targetBytesMax: limits.targetBytesMax,
    },
    hosts: hosts === undefined ? undefined : new Set(hosts.map(canonicalHost)),
    believed: new Set(),
    trustedProxies: nobody,
    encodedSlashUnder: [],
    upgrades: true,
  };
}

/**
 * node:http with our judgement of every head before anything else sees it. It listens nowhere by itself: whoever owns the
 * connections hands them in by `emit('connection')`, or lets it listen.
 */
export function createFront(options: FrontOptions): Server {
  const { limits } = options;
  const rules = headRules(limits, options.hosts);
  const server = createServer({
    maxHeaderSize: limits.headBytesMax,
    headersTimeout: httpLimits.headMs,
    // Bodies are streams here, and some never end.
    requestTimeout: 0,
    keepAliveTimeout: httpLimits.keepAliveMs,
    connectionsCheckingInterval: httpLimits.checkMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: httpLimits.probeMs,
    insecureHTTPParser: false,
    requireHostHeader: false,
    joinDuplicateHeaders: false,
  });
  // Headers beyond node's own limit would be dropped in silence; the number is judged with the head instead.
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = limits.requestsPerConnectionMax;
  const answering = new WeakSet<Duplex>();
  const onRequest = (message: IncomingMessage, response: ServerResponse): void => {
    const { socket } = message;
    answering.add(socket);
    response.once('close', () => answering.delete(socket));
    response.on('error', () => undefined);
    const judged = judge(message, rules);
    if (judged.ok) {
      options.onRequest({ message, head: judged.value }, response);
      return;
    }
    options.onRefused?.(judged.error);
    message.resume();
    sendOwn(response, ownOf(judged.error));
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('connect', (_message, socket) => {
    sendOwnRaw(socket, { code: 'method_not_allowed', message: 'There is no CONNECT here.' });
  });
  server.on('upgrade', (message, socket, bytes) => {
    socket.on('error', () => undefined);
    const judged = judge(message, rules);
    if (judged.ok) options.onUpgrade({ message, head: judged.value }, socket, bytes);
    else sendOwnRaw(socket, ownOf(judged.error));
  });
  server.on('clientError', (cause: NodeJS.ErrnoException, socket: Duplex) => {
    const isSyntax = cause.code?.startsWith('HPE_') ?? false;
    // What broke may be the body of a request that is being answered: words of ours would stand in that answer.
    if (!isSyntax || !socket.writable || answering.has(socket)) {
      socket.destroy();
      return;
    }
    const isTooLarge = cause.code === 'HPE_HEADER_OVERFLOW';
    const code = isTooLarge ? 'headers_too_large' : 'malformed_http';
    sendOwnRaw(socket, { code, message: 'The request is not well-formed HTTP/1.1.' });
  });
  return server;
}

function judge(message: IncomingMessage, rules: HeadRules): ReturnType<typeof judgeHead> {
  const head = {
    method: message.method ?? '',
    target: message.url ?? '',
    version: message.httpVersion,
    rawHeaders: message.rawHeaders,
  };
  return judgeHead(head, message.socket.remoteAddress, rules);
}

function ownOf({ code, message, status }: HeadFault): Parameters<typeof sendOwn>[1] {
  return { code, message: `${message}.`, ...(status === undefined ? {} : { status }) };
}
