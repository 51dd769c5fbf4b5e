import { createHash, createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, callee, caller, type Canary, type MeshNode, startCanary, startNode } from './world.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly raw: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

const seen: Seen[] = [];
let canary: Canary;
let server: MeshNode;
let client: MeshNode;

/** Until it is resolved the second event is held back. */
const rest = Promise.withResolvers<void>();

async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
  if (message.url === '/early') {
    response.writeHead(413, { connection: 'close' });
    response.end('early');
    return;
  }
  if (message.url === '/broken') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setTimeout(() => response.destroy(), 20);
    return;
  }
  if (message.url === '/sse') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    await rest.promise;
    response.end('data: 2\n\n');
    return;
  }
  const body = await text(message).catch(() => undefined);
  if (body === undefined) return;
  seen.push({
    method: message.method ?? '',
    url: message.url ?? '',
    raw: message.rawHeaders,
    body,
    trailers: message.rawTrailers,
  });
  response.writeHead(message.url === '/teapot' ? 418 : 207, [
    'Set-Cookie',
    'a=1',
    'Set-Cookie',
    'b=2',
    ...(message.method === 'HEAD' ? [] : ['Trailer', 'X-Sum']),
    'Keep-Alive',
    'timeout=3',
  ]);
  response.write(`got ${body.length}`);
  response.addTrailers({ 'X-Sum': createHash('sha256').update(body).digest('hex') });
  response.end();
}

beforeAll(async () => {
  canary = await startCanary((message, response) => {
    void serve(message, response);
  });
  server = await startNode({
    simulator: callee,
    services: [
      {
        port: 443,
        protocol: 'http',
        backend: { kind: 'tcp', host: '127.0.0.1', port: canary.port },
      },
    ],
  });
  client = await startNode({
    simulator: caller,
    fixed: { [`${callee.app.appId}:443`]: [at(server.portOf('mesh-inbound'))] },
    limits: { bodyBytesMax: 2_000_000 },
    agentPassthrough: ['Info'],
  });
});

afterAll(async () => {
  await client?.plane.close(0);
  await server?.plane.close(0);
  await canary?.close();
});

interface Answer {
  readonly status: number;
  readonly raw: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  readonly message: IncomingMessage;
}

async function call(
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: Record<string, string | string[]>;
    readonly body?: string;
    readonly trailers?: Record<string, string>;
    readonly target?: Record<string, string>;
  } = {},
): Promise<Answer> {
  const sent = request({
    host: '127.0.0.1',
    port: client.outboundPort,
    path,
    method: options.method ?? 'GET',
    agent: false,
    headers: {
      ...(options.target ?? { 'x-dstack-target-app': callee.app.appId }),
      ...options.headers,
    },
  });
  if (options.trailers !== undefined) sent.addTrailers(options.trailers);
  sent.end(options.body);
  const [message] = (await once(sent, 'response')) as [IncomingMessage];
  const body = await text(message);
  return {
    status: message.statusCode ?? 0,
    raw: message.rawHeaders,
    body,
    trailers: message.rawTrailers,
    message,
  };
}

describe('through both proxies', () => {
  test('status, repeated fields and trailers come back as they were written', async () => {
    const answer = await call('/teapot');
    expect(answer.status).toBe(418);
    const cookies = answer.raw.filter((_, i) => answer.raw[i - 1]?.toLowerCase() === 'set-cookie');
    expect(cookies).toEqual(['a=1', 'b=2']);
    expect(answer.trailers).toEqual(['X-Sum', createHash('sha256').digest('hex')]);
    expect(answer.raw.join()).not.toContain('timeout=3');
  });

  test('bodies of every method arrive whole, chunked ones with their trailers', async () => {
    const body = 'x'.repeat(1_500_000);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await call('/b?q=%20', {
        method,
        body,
        headers: { 'transfer-encoding': 'chunked', trailer: 'x-end' },
        trailers: { 'x-end': 'yes' },
      });
      expect(answer.body).toBe('got 1500000');
      expect(seen.at(-1)).toMatchObject({ method, url: '/b?q=%20', trailers: ['x-end', 'yes'] });
    }
    expect((await call('/o', { method: 'OPTIONS' })).status).toBe(207);
    expect((await call('/h', { method: 'HEAD' })).status).toBe(207);
  });

  test('a body beyond the limit is 413 and never a part of it', async () => {
    const before = seen.length;
    const declared = await call('/big', { method: 'POST', body: 'y'.repeat(2_000_001) });
    expect(declared.status).toBe(413);
    const sent = request({
      host: '127.0.0.1',
      port: client.outboundPort,
      path: '/big',
      method: 'POST',
      headers: { 'x-dstack-target-app': callee.app.appId, 'transfer-encoding': 'chunked' },
    });
    sent.on('error', () => undefined);
    sent.write('z'.repeat(1_500_000));
    sent.write('z'.repeat(1_500_000));
    const [message] = (await once(sent, 'response')) as [IncomingMessage];
    expect(message.statusCode).toBe(413);
    sent.destroy();
    expect(seen.length).toBe(before);
  });

  test('an answer that breaks off never looks complete', async () => {
    await expect(call('/broken')).rejects.toThrow();
  });

  test('events arrive when they are sent', async () => {
    const sent = request({
      host: '127.0.0.1',
      port: client.outboundPort,
      path: '/sse',
      headers: { 'x-dstack-target-app': callee.app.appId },
    });
    sent.end();
    const [message] = (await once(sent, 'response')) as [IncomingMessage];
    let said = '';
    message.on('data', (piece) => (said += String(piece)));
    await expect.poll(() => said, { interval: 5 }).toBe('data: 1\n\n');
    rest.resolve();
    await once(message, 'end');
    expect(said).toBe('data: 1\n\ndata: 2\n\n');
  });

  test('the backend learns who calls from us alone, and can check it', async () => {
    await call('/who', {
      headers: {
        'x-dstack-app-id': 'ff'.repeat(20),
        'X-Postern-Identity': 'forged',
        'remote-user': 'root',
        'x-forwarded-for': '8.8.8.8',
        'x-kept': ['1', '2'],
      },
    });
    const { raw } = seen.at(-1) ?? { raw: [] };
    const value = (name: string): string[] =>
      raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name);
    expect(value('x-dstack-app-id')).toEqual([caller.app.appId]);
    expect(value('remote-user')).toEqual([]);
    expect(value('x-forwarded-for')).toEqual([]);
    expect(value('x-dstack-target-app')).toEqual([]);
    expect(value('x-kept')).toEqual(['1', '2']);
    const [token = ''] = value('x-postern-identity');
    const [head = '', claims = '', signature = ''] = token.split('.');
    const [jwk] = server.plane.jwks().keys;
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    const isSigned = verify(
      null,
      Buffer.from(`${head}.${claims}`),
      key,
      Buffer.from(signature, 'base64url'),
    );
    expect(isSigned).toBe(true);
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      app_id: caller.app.appId,
      instance_id: caller.app.instanceId,
      verified_by: 'ra-tls',
      platform: 'tdx',
      tcb_status: 'UpToDate',
      aud: 'port:443',
    });
  });

  test('kept connections are used again, for one handshake', async () => {
    const before = server.plane.facts().counters.inboundPeers;
    for (let i = 0; i < 5; i += 1) await call('/again');
    expect(server.plane.facts().counters.inboundPeers - before).toBeLessThanOrEqual(1);
  });

  test('a body that breaks its framing ends the connection, and is no whole request anywhere', async () => {
    const before = seen.length;
    const socket = connect(client.outboundPort, '127.0.0.1');
    let got = '';
    socket.on('data', (piece) => {
      got += String(piece);
    });
    socket.on('error', () => undefined);
    const head = `POST /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nx-dstack-target-app: ${callee.app.appId}\r\n\r\n`;
    socket.write(`${head}5\r\nhello\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.write('zz\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'close');
    expect(got).not.toContain('200');
    expect(seen.length).toBe(before);
    const both = connect(client.outboundPort, '127.0.0.1');
    both.write(head.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'));
    let answer = '';
    both.on('data', (piece) => {
      answer += String(piece);
    });
    await once(both, 'close');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(seen.length).toBe(before);
  });

  test('another protocol is switched to, and both sides talk', async () => {
    const echo = await startUpgrader();
    const behind = await startNode({
      simulator: callee,
      services: [
        {
          port: 443,
          protocol: 'http',
          backend: { kind: 'tcp', host: '127.0.0.1', port: echo.port },
        },
      ],
    });
    const front = await startNode({
      simulator: caller,
      fixed: { [`${callee.app.appId}:443`]: [at(behind.portOf('mesh-inbound'))] },
    });
    const socket = connect(front.outboundPort, '127.0.0.1');
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nx-dstack-target-app: ${callee.app.appId}\r\n\r\n`,
    );
    let got = '';
    socket.on('data', (piece) => {
      got += String(piece);
      if (got.endsWith('hello\n')) socket.write('ping');
      if (got.endsWith('ping')) socket.end();
    });
    await once(socket, 'close');
    expect(got).toMatch(/^HTTP\/1\.1 101 /);
    expect(got).toMatch(/\r\n\r\nhello\nping$/);
    await front.plane.close(0);
    await behind.plane.close(0);
    await echo.close();
  });
});

describe('the way out refuses', () => {
  test('what names no target, or a malformed one, or names it twice', async () => {
    expect((await call('/x', { target: {} })).status).toBe(400);
    for (const target of [
      { 'x-dstack-target-app': 'evil.example/?' },
      { 'x-dstack-target-app': callee.app.appId, 'x-dstack-target-port': '0' },
      { 'x-dstack-target-app': callee.app.appId, 'x-dstack-target-port': '65536' },
      { 'x-dstack-target-app': callee.app.appId, 'x-dstack-target-instance': '../x' },
      { 'x-dstack-target-port': '443' },
    ]) {
      expect((await call('/x', { target })).status).toBe(400);
    }
    const twice = { 'x-dstack-target-app': [callee.app.appId, caller.app.appId] };
    expect((await call('/x', { target: {}, headers: twice })).status).toBe(400);
  });

  test('an app that nobody knows is 502, and pages of a browser are 403', async () => {
    const unknown = { 'x-dstack-target-app': 'ee'.repeat(20) };
    expect((await call('/x', { target: unknown })).status).toBe(502);
    expect((await call('/x', { headers: { host: 'evil.example' } })).status).toBe(403);
    expect((await call('/x', { headers: { origin: 'https://evil.example' } })).status).toBe(403);
  });

  test('unrouted requests never reach the agent, but for methods that were written down', async () => {
    expect((await call('/GetTlsKey', { target: {} })).status).toBe(400);
    expect((await call('/get_tls_key', { target: {}, method: 'POST', body: '{}' })).status).toBe(
      400,
    );
    expect((await call('/info', { target: {} })).body).toBe('{"method":"Info"}');
    expect((await call('/health', { target: {} })).status).toBe(200);
  });
});

async function startUpgrader(): Promise<{ port: number; close: () => Promise<unknown> }> {
  const { createServer } = await import('node:http');
  const backend = createServer();
  backend.on('upgrade', (_message, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n',
    );
    socket.pipe(socket);
  });
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const address = backend.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, close: () => new Promise((resolve) => backend.close(resolve)) };
}
