/** The checks that people type for a network, for the tools of agents and for a private cloud, each against what it is about. */
import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keysAsTags, startGateway, type TestGateway } from '../conformance/gateway.ts';
import { freePorts, type SimulatedMachine, simulatedMachine } from '../mesh/process.ts';
import { at, callee, caller, type MeshNode, startNode } from '../mesh/world.ts';

const folder = path.resolve(import.meta.dirname, '../../deploy/smoke');

async function smoke(
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; out: string }> {
  const run = promisify(execFile);
  const options = { env: { PATH: process.env['PATH'], ...env }, timeout: 60_000 };
  try {
    const { stdout } = await run('sh', [path.join(folder, script)], options);
    return { code: 0, out: stdout };
  } catch (cause) {
    const failed = cause as { code?: number; stderr?: string };
    return { code: failed.code ?? -1, out: failed.stderr ?? '' };
  }
}

const closers: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
}, 120_000);

describe('networking.sh', () => {
  let gateway: TestGateway;
  let machine: Server;
  let address = '';
  beforeAll(async () => {
    gateway = await startGateway({ config: {}, policy: '{}' });
    closers.push(() => gateway.stop());
    machine = createServer((_request, response) => response.end('{"status":"ok"}'));
    const [port = 0] = await freePorts(1);
    await new Promise<void>((resolve) => machine.listen(port, '127.0.0.1', resolve));
    closers.push(() => new Promise((resolve) => machine.close(resolve)));
    address = `127.0.0.1:${port}`;
  }, 120_000);

  test('from the gateway the machines with models answer', async () => {
    expect(await smoke('networking.sh', { FROM: 'gateway', INSTANT: address })).toEqual({
      code: 0,
      out: 'smoke: the network is as planned, seen from gateway\n',
    });
    const [nobody = 0] = await freePorts(1);
    const lost = await smoke('networking.sh', { FROM: 'gateway', THINKING: `127.0.0.1:${nobody}` });
    expect(lost).toEqual({
      code: 1,
      out: `smoke: the gateway does not reach 127.0.0.1:${nobody}\n`,
    });
  });

  test('from a laptop they do not, and the gateway refuses strangers', async () => {
    const [nobody = 0] = await freePorts(1);
    const from = { FROM: 'laptop', GATEWAY: gateway.url };
    const good = await smoke('networking.sh', { ...from, INSTANT: `127.0.0.1:${nobody}` });
    expect(good).toEqual({ code: 0, out: 'smoke: the network is as planned, seen from laptop\n' });
    const open = await smoke('networking.sh', { ...from, INSTANT: address });
    expect(open.out).toBe(`smoke: ${address} answers laptop: it should answer the gateway alone\n`);
  });

  test('what the internet reaches speaks HTTPS', async () => {
    const { code, out } = await smoke('networking.sh', { FROM: 'internet', GATEWAY: gateway.url });
    expect([code, out]).toEqual([1, 'smoke: what the internet reaches speaks HTTPS\n']);
  });
});

describe('operations.sh', () => {
  test('finds the tools by their names, and no call that changes a policy by its text', async () => {
    const gateway = await startGateway({
      config: { identities: keysAsTags('agent') },
      policy: JSON.stringify({
        tagOwners: { 'tag:agent': [], 'tag:key': [], 'tag:gateway': [] },
        grants: [
          {
            src: ['tag:agent'],
            dst: ['tag:gateway'],
            app: { 'postern.dev/cap/admin': [{ tools: ['*'] }] },
          },
        ],
      }),
    });
    closers.push(() => gateway.stop());
    const ADMIN = `http://${gateway.address('admin')}`;
    const TOKEN = await gateway.key('agent', { admin: true });
    expect(await smoke('operations.sh', { ADMIN, TOKEN })).toEqual({
      code: 0,
      out: 'smoke: the tools answer\n',
    });
    const stranger = await smoke('operations.sh', { ADMIN, TOKEN: 'pst_nobody' });
    expect(stranger.code).toBe(1);
    expect(stranger.out).toMatch(/^smoke: tools\/list has no list_devices/u);
  }, 120_000);
});

describe('vpc.sh', () => {
  let machine: SimulatedMachine;
  let node: MeshNode;
  beforeAll(async () => {
    machine = await simulatedMachine(callee);
    closers.push(() => machine.close());
    const [inbound = 0, outbound = 0] = await freePorts(2);
    const server = await startGateway({
      stateDir: machine.stateDir,
      policy: JSON.stringify({
        tagOwners: { 'tag:app': [] },
        grants: [
          {
            src: ['tag:app'],
            dst: ['*'],
            app: { 'postern.dev/cap/mesh': [{ apps: ['*'], ports: [443] }] },
          },
        ],
      }),
      env: { POSTERN_COORDINATION_ADDR: '127.0.0.1:0' },
      config: {
        engine: { url: 'http://127.0.0.1:1', stunAddress: 'off' },
        registry: {
          address: '127.0.0.1:0',
          networks: ['100.64.0.0/10'],
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
    closers.push(() => server.stop());
    node = await startNode({
      simulator: caller,
      fixed: { [`${callee.app.appId}:443`]: [at(inbound)] },
    });
    closers.push(() => node.plane.close(0));
  }, 120_000);

  test('registers, updates and discovers through the mesh', async () => {
    const env = { SERVER_APP: callee.app.appId, MESH: node.outbound, AUTH: '' };
    expect(await smoke('vpc.sh', env)).toEqual({
      code: 0,
      out: 'smoke: the private cloud answers\n',
    });
  });

  test('says where it stops for an app that may not register', async () => {
    const env = { SERVER_APP: 'ab'.repeat(20), MESH: node.outbound };
    const { code, out } = await smoke('vpc.sh', env);
    expect(code).toBe(1);
    expect(out).toMatch(/^smoke: \/api\/register has no pre_auth_key/u);
  });
});
