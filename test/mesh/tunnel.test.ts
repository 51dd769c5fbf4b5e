import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshAddress } from '../../packages/server/src/mesh/index.ts';
import { at, callee, caller, type MeshNode, startNode, stranger } from './world.ts';

let backend: Server;
let server: MeshNode;
let client: MeshNode;
let strange: MeshNode;
let forwardPort = 0;
let strangePort = 0;
let reached = 0;

beforeAll(async () => {
  // The server speaks first, and says goodbye only after the client has ended its side.
  backend = createServer({ allowHalfOpen: true }, (socket) => {
    reached += 1;
    socket.on('error', () => undefined);
    socket.write('ready\n');
    let bytes = 0;
    socket.on('data', (piece) => {
      bytes += piece.length;
    });
    socket.on('end', () => socket.end(`bye ${bytes}\n`));
  });
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const address = backend.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  server = await startNode({
    simulator: callee,
    services: [{ port: 27017, protocol: 'tcp', backend: { kind: 'tcp', host: '127.0.0.1', port } }],
    decide: async ({ port: asked, method }) =>
      asked === 27017 && method === undefined
        ? { allowed: true, id: 'grant' }
        : { allowed: false, id: 'deny', reason: 'port' },
  });
  const fixed = { [`${callee.app.appId}:27017`]: [at(server.portOf('mesh-inbound'))] };
  client = await startNode({ simulator: caller, fixed });
  strange = await startNode({ simulator: stranger, fixed });
  forwardPort = await forward(client);
  strangePort = await forward(strange);
});

afterAll(async () => {
  await client?.plane.close(0);
  await strange?.plane.close(0);
  await server?.plane.close(0);
  backend?.close();
});

async function forward(node: MeshNode): Promise<number> {
  const address = meshAddress(callee.app.appId, '27017', undefined);
  if (!address.ok) throw new Error(address.error);
  const opened = await node.plane.forward({ host: '127.0.0.1', port: 0 }, address.value);
  if (!opened.ok) throw new Error(opened.error);
  return opened.value.port;
}

async function all(socket: Socket): Promise<string> {
  let got = '';
  socket.on('data', (piece) => {
    got += String(piece);
  });
  await once(socket, 'close');
  return got;
}

describe('raw TCP', () => {
  test('a server that speaks first is heard, and half-closes go through', async () => {
    const socket = connect({ port: forwardPort, host: '127.0.0.1', allowHalfOpen: true });
    const heard = all(socket);
    await once(socket, 'data');
    socket.end(Buffer.alloc(3_000_000));
    await once(socket, 'end');
    expect(await heard).toBe('ready\nbye 3000000\n');
  });

  test('whoever is not believed is cut before the backend is connected to', async () => {
    const before = reached;
    const socket = connect(strangePort, '127.0.0.1');
    socket.on('error', () => undefined);
    expect(await all(socket)).toBe('');
    expect(reached).toBe(before);
  });
});
