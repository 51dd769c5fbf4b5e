import { once } from 'node:events';
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, callee, caller, type MeshNode, startNode, stranger } from './world.ts';

const plain = (value: Buffer): Buffer => value;
const shape = { requestStream: false, responseStream: false } as const;
const code = {
  requestSerialize: plain,
  requestDeserialize: plain,
  responseSerialize: plain,
  responseDeserialize: plain,
};
const service = {
  echo: { path: '/test.Echo/Echo', ...shape, ...code },
  talk: { path: '/test.Echo/Talk', requestStream: true, responseStream: true, ...code },
  fail: { path: '/test.Echo/Fail', ...shape, ...code },
} as const;

let backend: Server;
let server: MeshNode;
let client: MeshNode;
let strange: MeshNode;
const seen: Metadata[] = [];

beforeAll(async () => {
  backend = new Server();
  const echo: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
    seen.push(call.metadata);
    const trailers = new Metadata();
    trailers.set('x-end', 'yes');
    answer(null, call.request, trailers);
  };
  const talk: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on('data', (piece: Buffer) => call.write(Buffer.concat([Buffer.from('re:'), piece])));
    call.on('end', () => call.end());
  };
  const fail: handleUnaryCall<Buffer, Buffer> = (_call, answer) => {
    answer({ code: status.FAILED_PRECONDITION, details: 'not now' });
  };
  backend.addService(service, { echo, talk, fail });
  const port = await new Promise<number>((resolve, reject) => {
    backend.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (cause, bound) => {
      if (cause === null) resolve(bound);
      else reject(cause);
    });
  });
  server = await startNode({
    simulator: callee,
    services: [{ port: 50051, protocol: 'h2c', backend: { kind: 'tcp', host: '127.0.0.1', port } }],
    decide: async ({ method, path }) =>
      method === 'POST' && path !== '/test.Echo/Fail2'
        ? { allowed: true, id: 'grant' }
        : { allowed: false, id: 'deny', reason: 'path' },
  });
  const fixed = { [`${callee.app.appId}:50051`]: [at(server.portOf('mesh-inbound'))] };
  client = await startNode({ simulator: caller, fixed });
  strange = await startNode({ simulator: stranger, fixed });
});

afterAll(async () => {
  await client?.plane.close(0);
  await strange?.plane.close(0);
  await server?.plane.close(0);
  backend?.forceShutdown();
});

function target(): Metadata {
  const metadata = new Metadata();
  metadata.set('x-dstack-target-app', callee.app.appId);
  metadata.set('x-dstack-target-port', '50051');
  metadata.set('x-dstack-app-id', 'ff'.repeat(20));
  return metadata;
}

function unary(
  node: MeshNode,
  path: string,
  body: Buffer,
): Promise<{ body: Buffer | undefined; end: Metadata; code: number; details: string }> {
  const rpc = new Client(`127.0.0.1:${node.outboundPort}`, credentials.createInsecure());
  return new Promise((resolve) => {
    let answered: Buffer | undefined;
    const call = rpc.makeUnaryRequest(path, plain, plain, body, target(), (_cause, value) => {
      answered = value;
    });
    call.on('status', (end) => {
      setImmediate(() => {
        rpc.close();
        resolve({ body: answered, end: end.metadata, code: end.code, details: end.details });
      });
    });
  });
}

describe('gRPC through both proxies', () => {
  test('a call comes back with its trailers, and the backend knows who called', async () => {
    const big = Buffer.alloc(300_000, 7);
    const answer = await unary(client, '/test.Echo/Echo', big);
    expect(answer.code).toBe(status.OK);
    expect(answer.body?.equals(big)).toBe(true);
    expect(answer.end.get('x-end')).toEqual(['yes']);
    expect(seen.at(-1)?.get('x-dstack-app-id')).toEqual([caller.app.appId]);
    expect(seen.at(-1)?.get('x-postern-identity').length).toBe(1);
  });

  test('a status of the server arrives as it is', async () => {
    const answer = await unary(client, '/test.Echo/Fail', Buffer.from('x'));
    expect(answer).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'not now' });
  });

  test('what no grant allows is refused in words of gRPC', async () => {
    const answer = await unary(client, '/test.Echo/Fail2', Buffer.from('x'));
    expect(answer.code).toBe(status.PERMISSION_DENIED);
  });

  test('whoever is not believed gets no answer', async () => {
    const before = seen.length;
    const answer = await unary(strange, '/test.Echo/Echo', Buffer.from('x'));
    expect(answer.code).not.toBe(status.OK);
    expect(seen.length).toBe(before);
  });

  test('both sides stream at the same time', async () => {
    const rpc = new Client(`127.0.0.1:${client.outboundPort}`, credentials.createInsecure());
    const call = rpc.makeBidiStreamRequest('/test.Echo/Talk', plain, plain, target());
    for (let i = 0; i < 20; i += 1) {
      call.write(Buffer.from(String(i)));
      const [piece] = await once(call, 'data');
      expect(String(piece)).toBe(`re:${i}`);
    }
    call.end();
    call.resume();
    await once(call, 'end');
    rpc.close();
  });
});
