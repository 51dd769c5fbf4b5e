/** What the tests of listeners share: one to open, clients to dial, requests to write. */
import {
  type Bind,
  type HttpHandler,
  type Listener,
  type ListenerOptions,
  openListener,
} from '@postern/server/http';
import { afterEach } from 'vitest';
import { type Door, RawClient } from '../harness/http-framing/client.ts';

export const loopback: Extract<Bind, { kind: 'tcp' }> = { kind: 'tcp', host: '127.0.0.1', port: 0 };
/** What each test leaves behind, closed after it. */
export const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

const hello: HttpHandler = async (request, reply) => {
  const body = await request.readBody(1_000);
  if (body.ok) reply.send(200, {}, `${request.path} ${Buffer.from(body.value).toString()}`);
  else reply.send(body.error.code === 'body_too_large' ? 413 : 408, {}, body.error.code);
};

let ids = 0;

export function optionsOf(changed: Partial<ListenerOptions>): ListenerOptions {
  return {
    kind: 'gateway',
    bind: loopback,
    handler: hello,
    hosts: undefined,
    trustedProxies: [],
    onlyTrustedProxies: false,
    believedHeaders: [],
    newRequestId: () => `req_${(ids += 1)}`,
    nowMs: Date.now,
    ...changed,
  };
}

export async function open(changed: Partial<ListenerOptions> = {}): Promise<Listener> {
  const opened = await openListener(optionsOf(changed));
  if (!opened.ok) throw new Error(opened.error.message);
  closing.push(() => opened.value.close(0));
  return opened.value;
}

/** The suite's own pauses are made for slow networks. */
const pauses = { bodyMs: 20, closeMs: 15 };

export async function dial(listener: Listener, door?: Door): Promise<RawClient> {
  const tcp: Door = { kind: 'tcp', host: '127.0.0.1', port: listener.port ?? 0 };
  const client = await RawClient.open(door ?? tcp, pauses);
  closing.push(async () => client.close());
  return client;
}

export const get = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: ai\r\n${more}\r\n`;
export const post = (path: string, body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: ai\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
