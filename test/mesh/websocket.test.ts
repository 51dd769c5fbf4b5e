import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { at, callee, caller, type MeshNode, startNode } from './world.ts';

let sockets: WebSocketServer;
let server: MeshNode;
let client: MeshNode;
let app: string | undefined;

beforeAll(async () => {
  sockets = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true });
  sockets.on('connection', (socket, message) => {
    app = String(message.headers['x-dstack-app-id']);
    socket.send('hello');
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(sockets, 'listening');
  // A TCP server has an address of this form.
  const { port } = sockets.address() as AddressInfo;
  server = await startNode({
    simulator: callee,
    services: [{ port: 443, protocol: 'http', backend: { kind: 'tcp', host: '127.0.0.1', port } }],
  });
  const fixed = { [`${callee.app.appId}:443`]: [at(server.portOf('mesh-inbound'))] };
  client = await startNode({ simulator: caller, fixed });
});
afterAll(async () => {
  await client?.plane.close(0);
  await server?.plane.close(0);
  sockets?.close();
});

test('a WebSocket of the usual library talks through both proxies, in texts and in bytes, and closes with its code', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${client.outboundPort}/chat`, {
    headers: { 'x-dstack-target-app': callee.app.appId },
  });
  const told: (string | Buffer)[] = [];
  socket.on('message', (data: Buffer, isBinary) =>
    told.push(isBinary ? data : data.toString('utf8')),
  );
  await once(socket, 'open');
  const bytes = Buffer.alloc(300_000, 7);
  socket.send('again');
  socket.send(bytes);
  await expect.poll(() => told.length, { timeout: 5_000 }).toBe(3);
  expect(told).toEqual(['hello', 'again', bytes]);
  expect(app).toBe(caller.app.appId);
  socket.close(4_001, 'enough');
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(4_001);
});

test('one that names nobody is refused before it is opened', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${client.outboundPort}/chat`);
  const [cause] = (await once(socket, 'error')) as [Error];
  expect(cause.message).toContain('400');
});
