/** What the short way does with whatever is not one small request after another. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse, type IncomingMessage } from 'node:http';
import { connect, createServer as createTcp, type Socket, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { at, callee, caller, type MeshNode, startNode } from './world.ts';

const app = callee.app.appId;
const megabytes = 3 * 1024 * 1024;
let backend: Server;
/** Answers once and ends the connection at the second request on it. */
let fickle: ReturnType<typeof createTcp>;
let server: MeshNode;
let client: MeshNode;
let fickleConnections = 0;
let gone = 0;

async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  message.on('data', (piece: Buffer) => {
    bytes += piece.length;
    hash.update(piece);
  });
  if (message.url === '/hang') {
    response.write('begun');
    response.once('close', () => (gone += 1));
    return;
  }
  await once(message, 'end');
  if (message.url === '/hints') response.writeEarlyHints({ link: '</style.css>; rel=preload' });
  if (message.url === '/much') {
    // In chunks, faster than anybody reads.
    for (let i = 0; i < 48; i += 1) response.write(Buffer.alloc(megabytes / 48, i));
    response.addTrailers({ 'x-sum': 'yes' });
    response.end();
    return;
  }
  response.end(`${message.url} ${bytes} ${hash.digest('hex')}`);
}

beforeAll(async () => {
  backend = createServer((message, response) => void serve(message, response));
  backend.listen(0, '127.0.0.1');
  fickle = createTcp((socket) => {
    fickleConnections += 1;
    let asked = 0;
    socket.on('error', () => undefined);
    socket.on('data', () => {
      asked += 1;
      if (asked === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else socket.destroy();
    });
  });
  fickle.listen(0, '127.0.0.1');
  await Promise.all([once(backend, 'listening'), once(fickle, 'listening')]);
  const place = (of: { address(): AddressInfo | string | null }) => {
    // A TCP server has an address of this form.
    const { port } = of.address() as AddressInfo;
    return { kind: 'tcp', host: '127.0.0.1', port } as const;
  };
  server = await startNode({
    simulator: callee,
    services: [
      { port: 443, protocol: 'http', backend: place(backend) },
      { port: 444, protocol: 'http', backend: place(fickle) },
    ],
  });
  client = await startNode({
    simulator: caller,
    fixed: {
      [`${app}:443`]: [at(server.portOf('mesh-inbound', 0))],
      [`${app}:444`]: [at(server.portOf('mesh-inbound', 1))],
    },
  });
});
afterAll(async () => {
  await client?.plane.close(0);
  await server?.plane.close(0);
  backend?.closeAllConnections();
  backend?.close();
  fickle?.close();
});

const head = (line: string, more = '', port = 443): string =>
  `${line} HTTP/1.1\r\nHost: localhost\r\nX-Dstack-Target-App: ${app}\r\nX-Dstack-Target-Port: ${port}\r\n${more}\r\n`;

async function open(): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(client.outboundPort, '127.0.0.1');
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return { socket, text: () => text };
}

/** By hand: an assertion about megabytes costs more at each look than the megabytes themselves. */
async function until(text: () => string, end: string): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!text().includes(end)) {
    if (performance.now() > endMs) throw new Error(`no ${end} within ${text().length} characters`);
    // oxlint-disable-next-line no-await-in-loop -- until it is there
    await sleep(5);
  }
}

describe('on one connection', () => {
  test('large bodies go up in pieces and arrive as they were, one after the other', async () => {
    const { socket, text } = await open();
    for (const fill of [1, 2]) {
      const body = Buffer.alloc(megabytes, fill);
      socket.write(head('POST /up', `Content-Length: ${body.length}\r\n`));
      for (let from = 0; from < body.length; from += 100_000) {
        socket.write(body.subarray(from, from + 100_000));
        if (from % 500_000 === 0) await sleep(1);
      }
      await until(text, `/up ${body.length} ${createHash('sha256').update(body).digest('hex')}`);
    }
    socket.destroy();
  });

  test('requests that were sent at once are answered in order', async () => {
    const { socket, text } = await open();
    socket.write(head('GET /1') + head('GET /2') + head('GET /3'));
    await until(text, '/3 0');
    expect([...text().matchAll(/\/(\d) 0/g)].map(([, number]) => number)).toEqual(['1', '2', '3']);
    socket.destroy();
  });

  test('a request that comes while another is answered waits for its turn', async () => {
    const { socket, text } = await open();
    socket.write(head('GET /first'));
    await sleep(1);
    socket.write(head('GET /second'));
    await until(text, '/second 0');
    expect(text().indexOf('/first')).toBeLessThan(text().indexOf('/second'));
    socket.destroy();
  });

  test('a slow reader gets everything, trailers included, and nobody keeps it for him', async () => {
    const { socket, text } = await open();
    socket.pause();
    socket.write(head('GET /much'));
    await sleep(300);
    socket.resume();
    await until(text, 'x-sum: yes\r\n\r\n');
    expect(text().length).toBeGreaterThan(megabytes);
    socket.write(head('GET /after'));
    await until(text, '/after 0');
    socket.destroy();
  });

  test('interim answers come before the answer', async () => {
    const { socket, text } = await open();
    socket.write(head('GET /hints'));
    await until(text, '/hints 0');
    expect(text()).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nlink: [^\r]+\r\n\r\nHTTP\/1\.1 200/i);
    socket.destroy();
  });
});

test('a caller that leaves takes its request with it, through both proxies', async () => {
  const { socket, text } = await open();
  socket.write(head('GET /hang'));
  await until(text, 'begun');
  socket.destroy();
  await vi.waitFor(() => expect(gone).toBe(1), { timeout: 3_000 });
});

test('a kept connection that is lost without a word is no loss for a request without a body', async () => {
  const { socket, text } = await open();
  socket.write(head('GET /a', '', 444));
  await until(text, 'ok');
  const before = fickleConnections;
  socket.write(head('GET /b', '', 444));
  await vi.waitFor(() => expect(text().match(/\r\n\r\nok/g)).toHaveLength(2), { timeout: 3_000 });
  expect(fickleConnections).toBe(before + 1);
  // What has a body may have been heard: it is not said twice.
  socket.write(head('POST /c', 'Content-Length: 1\r\n', 444) + 'x');
  await until(text, ' 502 ');
  expect(text()).toContain('upstream_error');
});
