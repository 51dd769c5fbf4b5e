/** What the tests of the way out share: servers that count, upstreams written by hand, and one call. */
import { createServer, type Server, type Socket } from 'node:net';
import {
  createEgress,
  type EgressHandle,
  type EgressOptions,
} from '@postern/server/adapters/egress-socket';
import type { OutboundAnswer, OutboundRequest, OutboundTimeouts } from '@postern/server/http';
import { afterEach } from 'vitest';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

export function exits(options: EgressOptions = {}): EgressHandle {
  const handle = createEgress(options);
  closing.push(() => handle.close());
  return handle;
}

/** Counts what arrives; a canary must count nothing. */
export interface Counted {
  readonly port: number;
  connections: number;
  /** Sockets open now. */
  readonly sockets: Set<Socket>;
  received: string;
}

export async function listen(server: Server, host = '127.0.0.1'): Promise<Counted> {
  const sockets = new Set<Socket>();
  const counted = { port: 0, connections: 0, sockets, received: '' };
  server.on('connection', (socket) => {
    counted.connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, host, () => resolve());
  });
  const address = server.address();
  counted.port = typeof address === 'object' && address !== null ? address.port : 0;
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return counted;
}

/** An upstream that answers each request head with what `answer` writes. */
export async function upstream(
  answer: (socket: Socket, request: string, index: number) => void,
): Promise<Counted> {
  let requests = 0;
  let received = '';
  const server = createServer((socket) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      received += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return;
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (text.length < end + 4 + length) return;
      const request = text;
      text = '';
      requests += 1;
      answer(socket, request, requests);
    });
  });
  const counted = await listen(server);
  return Object.defineProperty(counted, 'received', { get: () => received });
}

export async function canary(): Promise<Counted> {
  return await upstream((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
}

export const timeouts: OutboundTimeouts = {
  connectMs: 1_000,
  firstByteMs: 1_000,
  idleMs: 1_000,
  totalMs: 3_000,
};

export function requestTo(url: string, changed: Partial<OutboundRequest> = {}): OutboundRequest {
  return {
    method: 'POST',
    url: new URL(url),
    headers: { 'content-type': 'application/json', 'x-api-key': 'sk-canary' },
    body: '{}',
    signal: new AbortController().signal,
    timeouts,
    permission: { internal: true },
    ...changed,
  };
}

/** What became of a call, in one line. */
export async function outcome(handle: EgressHandle, request: OutboundRequest): Promise<string> {
  const result = await handle.egress(request);
  if (!result.ok) return result.error.code;
  return await bodyOutcome(result.value);
}

export async function bodyOutcome(answer: OutboundAnswer): Promise<string> {
  const body = await answer.readAll(1_000_000);
  return body.ok ? `${answer.status} ${Buffer.from(body.value).toString()}` : body.error.code;
}
