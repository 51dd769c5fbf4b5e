/** The calls of DStack VPC, as its nodes make them: through the way out of one machine to the registry of another. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../conformance/gateway.ts';
import { freePorts, type SimulatedMachine, simulatedMachine } from './process.ts';
import { at, callee, caller, type Canary, type MeshNode, startCanary, startNode } from './world.ts';

const app = callee.app.appId;
let machine: SimulatedMachine;
let server: TestGateway;
let node: MeshNode;
let service: MeshNode;
let canary: Canary;
let outboundPort = 0;

const grants = {
  tagOwners: { 'tag:app': [] },
  grants: [
    {
      src: ['tag:app'],
      dst: ['*'],
      app: { 'postern.dev/cap/mesh': [{ apps: ['*'], ports: [443] }] },
    },
  ],
};

beforeAll(async () => {
  machine = await simulatedMachine(callee);
  const [inbound = 0, outbound = 0] = await freePorts(2);
  outboundPort = outbound;
  server = await startGateway({
    stateDir: machine.stateDir,
    policy: JSON.stringify(grants),
    env: { POSTERN_COORDINATION_ADDR: '127.0.0.1:0' },
    config: {
      engine: { url: 'http://127.0.0.1:1', stunAddress: 'off', derpAddress: 'off' },
      registry: {
        address: '127.0.0.1:0',
        networks: ['127.0.0.0/8', '100.64.0.0/10'],
        allowedApps: [caller.app.appId],
      },
      identities: { map: [{ app: caller.app.appId, as: ['tag:app'] }] },
      mesh: {
        ...machine.mesh,
        outbound: { address: `127.0.0.1:${outbound}` },
        inbound: [{ port: 443, address: `127.0.0.1:${inbound}`, backend: 'registry' }],
      },
    },
  });
  node = await startNode({ simulator: caller, fixed: { [`${app}:443`]: [at(inbound)] } });
  canary = await startCanary();
  service = await startNode({
    simulator: caller,
    services: [
      {
        port: 27017,
        protocol: 'http',
        backend: { kind: 'tcp', host: '127.0.0.1', port: canary.port },
      },
    ],
  });
}, 120_000);

afterAll(async () => {
  await node?.plane.close(0);
  await service?.plane.close(0);
  await canary?.close();
  await server?.stop();
  await machine?.close();
});

/** `fetch` would not send the Host of the original's node-setup. */
async function call(
  port: number,
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const answered = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    sent.once('error', reject);
    sent.once('response', (message) => {
      void text(message).then((body) => resolve({ status: message.statusCode ?? 0, body }));
    });
    sent.end();
  });
  const { status, body } = answered;
  // The routes answer with objects, the pings with a word.
  const value = (body.startsWith('{') ? JSON.parse(body) : { text: body }) as Record<
    string,
    unknown
  >;
  return { status, body: value };
}

const viaMesh = { 'x-dstack-target-app': app, host: 'vpc-server' };

describe('a node that knows only 8091', () => {
  test('registers, updates, discovers and lists, in the shapes of the original', async () => {
    const registered = await call(
      node.outboundPort,
      '/api/register?instance_id=0123456789abcdef&node_name=my-node',
      viaMesh,
    );
    expect(registered.status).toBe(200);
    expect(Object.keys(registered.body).toSorted()).toEqual([
      'pre_auth_key',
      'server_url',
      'shared_key',
    ]);
    const updated = await call(
      node.outboundPort,
      '/api/nodes/update?uuid=0123456789abcdef&node_type=mongodb&tailscale_ip=100.64.0.7&hostname=node1.dstack.internal',
      { ...viaMesh, 'x-dstack-target-port': '443' },
      'POST',
    );
    const seen = {
      uuid: '0123456789abcdef',
      hostname: 'node1.dstack.internal',
      tailscale_ip: '100.64.0.7',
    };
    expect(updated.body).toEqual({
      message: 'Node information updated successfully',
      node: { ...seen, node_type: 'mongodb' },
      status: 'updated',
    });
    const found = await call(node.outboundPort, '/api/discover/mongodb', viaMesh);
    expect(found.body).toEqual({ nodes: [seen], count: 1, node_type: 'mongodb' });
    const all = await call(node.outboundPort, '/api/nodes', viaMesh);
    expect(all.body).toEqual({ nodes: [{ ...seen, node_type: 'mongodb' }], count: 1 });
    expect((await call(node.outboundPort, '/api/ping', viaMesh)).body['text']).toBe('pong');
  });

  test('is known by what the mesh verified, whatever it writes itself', async () => {
    const forged = {
      ...viaMesh,
      'x-dstack-app-id': 'ff'.repeat(20),
      'x-postern-identity': 'x.y.z',
    };
    expect((await call(node.outboundPort, '/api/nodes', forged)).status).toBe(200);
  });
});

describe('the registry', () => {
  test('believes no app id in a field: not at its port, not at its socket', async () => {
    const port = Number(server.address('control').split(':').at(-1));
    const bare = { 'x-dstack-app-id': caller.app.appId };
    for (const path of ['/api/register?instance_id=a&node_name=b', '/api/nodes', '/api/discover/x'])
      expect((await call(port, path, bare)).status).toBe(401);
    const socketPath = `${machine.stateDir}/run/registry.sock`;
    const status = await new Promise((resolve, reject) => {
      const headers = { ...bare, host: 'vpc-server', 'x-postern-identity': 'a.b.c' };
      const sent = request({ socketPath, path: '/api/nodes', headers, agent: false });
      sent.once('error', reject);
      sent.once('response', (message) => resolve(message.resume().statusCode));
      sent.end();
    });
    expect(status).toBe(401);
  });

  test('finds an app at the addresses that it registered itself, and nowhere else', async () => {
    const door = service.portOf('mesh-inbound');
    const target = {
      'x-dstack-target-app': caller.app.appId,
      'x-dstack-target-port': String(door),
    };
    const claim = (uuid: string): string =>
      `/api/nodes/update?uuid=${uuid}&node_type=db&tailscale_ip=127.0.0.1&hostname=db`;
    const operator = await server.key('operator', { admin: true });
    const port = Number(server.address('control').split(':').at(-1));
    const bearer = { authorization: `Bearer ${operator}` };
    expect((await call(port, claim('db-1'), bearer, 'POST')).status).toBe(200);
    // It was registered by somebody else: nobody is sent there for this app.
    const before = await call(outboundPort, '/x', target);
    expect(before.status).toBe(502);
    expect((await call(node.outboundPort, claim('db-2'), viaMesh, 'POST')).status).toBe(200);
    expect(await call(outboundPort, '/x', target)).toEqual({ status: 200, body: { text: 'ok' } });
    // An instance is asked for by the id under which it registered.
    const wrong = { ...target, 'x-dstack-target-instance': 'cc'.repeat(20) };
    expect((await call(outboundPort, '/x', wrong)).status).toBe(502);
  });
});
