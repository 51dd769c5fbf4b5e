import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { err, ok, type Result } from '@postern/core/base';
import { createMetaCertificate } from './certificate.ts';
import { acceptDerpUpgrade, answerDerp, type DerpRequest, isDerpUpgrade } from './http.ts';
import type { DerpRelay } from './relay.ts';

export interface DerpListenerOptions {
  readonly relay: DerpRelay;
  readonly host: string;
  readonly port: number;
  /** PEM texts: a chain that clients trust, or a pinned self-signed certificate. */
  readonly certificate: { readonly certificatePem: string; readonly keyPem: string };
  readonly nowMs: () => number;
  readonly connectionsMax?: number;
}

export interface DerpListener {
  readonly host: string;
  readonly port: number;
  /** Serves another certificate from the next connection on; those that are open stay. */
  renew(certificate: DerpListenerOptions['certificate']): void;
  close(): Promise<void>;
}

const connectionsMaxDefault = 10_000;
const headersMsMax = 10_000;
const keepAliveProbeMs = 30_000;

/**
 * A TLS listener for relay traffic alone, for networks whose control URL is plain HTTP or behind a proxy that cannot
 * upgrade. Clients offer no ALPN here and speak HTTP/1.1.
 */
export function openDerpListener(
  options: DerpListenerOptions,
): Promise<Result<DerpListener, NodeJS.ErrnoException>> {
  const { relay, host, port } = options;
  const server = createServer({
    ...context(options),
    minVersion: 'TLSv1.2',
    handshakeTimeout: headersMsMax,
    headersTimeout: headersMsMax,
    requestTimeout: headersMsMax,
    maxHeaderSize: 8_192,
  });
  server.maxConnections = options.connectionsMax ?? connectionsMaxDefault;
  server.on('request', answer);
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    const request = requestOf(incoming);
    if (!isDerpUpgrade(request)) return void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    tune(socket);
    const address = incoming.socket.remoteAddress ?? '';
    // The relay refuses by ending the socket and never rejects.
    void acceptDerpUpgrade(relay, { request, socket, head, address });
  });
  return new Promise((resolve) => {
    server.once('error', (cause) => resolve(err(cause)));
    server.listen({ host, port }, () => resolve(ok(listener(server, options))));
  });
}

function context({ relay, certificate, nowMs }: DerpListenerOptions): {
  cert: string;
  key: string;
} {
  const meta = createMetaCertificate(relay.publicKey, nowMs());
  return { cert: `${certificate.certificatePem.trim()}\n${meta}`, key: certificate.keyPem };
}

function listener(server: Server, options: DerpListenerOptions): DerpListener {
  // A TCP listener's address is always an object.
  const address = server.address() as AddressInfo;
  return {
    host: address.address,
    port: address.port,
    renew: (certificate) => server.setSecureContext(context({ ...options, certificate })),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(incoming: IncomingMessage, response: ServerResponse): void {
  const { status, headers, body } = answerDerp(requestOf(incoming)) ?? notFound;
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(incoming.method === 'HEAD' ? '' : body);
  // Nothing here reads a body.
  if (incoming.headers['content-length'] !== undefined) incoming.socket.destroySoon();
}

const notFound = { status: 404, headers: {}, body: 'not found\n' };

function requestOf({ method = '', url = '', headers }: IncomingMessage): DerpRequest {
  return { method, path: url.split('?', 1)[0] ?? '', headers };
}

function tune(socket: Duplex): void {
  if (!(socket instanceof TLSSocket)) return;
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveProbeMs);
  socket.setTimeout(0);
}
