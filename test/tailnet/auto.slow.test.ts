/** The containers of DStack VPC, by nothing but their variables: a server, and a node that knows only its app id. */
import type { ChildProcess } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../e2e/process.ts';
import { simulatedMachine, type SimulatedMachine } from '../mesh/process.ts';
import { callee, caller } from '../mesh/world.ts';
import { killed, Lab, missingForLab, type Place } from './lab.ts';
import { programs } from './programs.ts';

const found = await programs('tailscale');
const missing = (await missingForLab()) ?? (found.found ? undefined : found.why);
if (missing !== undefined && process.env['POSTERN_REQUIRE_TAILNET'] === '1')
  throw new Error(missing);
const folder = found.found ? found.folder : '';
const title = (text: string): string =>
  missing === undefined ? text : `${text} (skipped: ${missing})`;
const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');

class Container {
  readonly machine: SimulatedMachine;
  readonly place: Place;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  said = '';

  constructor(place: Place, machine: SimulatedMachine, env: Readonly<Record<string, string>>) {
    this.place = place;
    this.machine = machine;
    this.#env = env;
  }

  start(): void {
    const { stateDir } = this.machine;
    const child = this.place.start([process.execPath, main, 'auto'], {
      env: {
        POSTERN_STATE: stateDir,
        POSTERN_ADMIN_ADDR: '127.0.0.1:0',
        DSTACK_AGENT_ADDRESS: path.join(stateDir, 'dstack.sock'),
        TS_SOCKET: '/none',
        TS_PANIC_IF_HIT_MAIN_CONTROL: '1',
        PATH: `${folder}:${process.env['PATH'] ?? ''}`,
        ...this.#env,
      },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
  }

  async until(text: string, withinMs = 40_000): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (!this.said.includes(text)) {
      if (performance.now() > endMs) throw new Error(`not said: ${text}\n${this.said}`);
      await sleep(50);
    }
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child !== undefined) {
      // In order, so that its tailscaled ends with it.
      const exit = new Promise((resolve) => {
        child.once('exit', resolve);
      });
      child.kill('SIGTERM');
      if (child.exitCode === null) await Promise.race([exit, sleep(15_000)]);
      await killed(child);
    }
    await this.machine.close();
  }
}

describe.skipIf(missing !== undefined)(title('containers by their variables'), () => {
  let lab: Lab;
  let server: Container;
  let node: Container;

  beforeAll(async () => {
    lab = await Lab.open();
    const simulator = { POSTERN_INSECURE_SIMULATOR_ROOT: callee.rootHash };
    server = new Container(lab.hub, await simulatedMachine(callee), {
      ...simulator,
      VPC_SERVER_ENABLED: 'true',
      VPC_SERVER_URL: 'http://10.203.0.1:8090',
      VPC_ALLOWED_APPS: caller.app.appId,
    });
    server.start();
    await server.until('Postern is up.');
    node = new Container(await lab.addMachine('node-1'), await simulatedMachine(caller), {
      ...simulator,
      VPC_NODE_NAME: 'my-node',
      VPC_NODE_TYPE: 'mongodb',
      VPC_SERVER_APP_ID: callee.app.appId,
      DSTACK_GATEWAY_DOMAIN: 'fixed/10.203.0.1:8443',
      MESH_BACKEND: '127.0.0.1:27017',
    });
    node.start();
  }, 120_000);
  afterAll(async () => {
    await node?.close();
    await server?.close();
    await lab?.close();
  }, 60_000);

  test('the node proves its app, gets a key, comes onto the network and is found by its type', async () => {
    await node.until('my-node.mesh.internal serves mongodb');
    expect(server.said).toContain('role: server');
    expect(server.said).toContain('VPC_ALLOWED_APPS: 1 apps may register');
    expect(node.said).toContain('role: node');
    const { stateDir } = server.machine;
    const list = await cli(['node', 'list', '--json'], { stateDir });
    expect(JSON.parse(list.out)).toMatchObject({
      nodes: [{ name: 'my-node', tags: ['tag:node'], online: true }],
    });
  }, 90_000);

  test('it is known by its instance id, and says that it lives and that its backend does not', async () => {
    const made = await cli(['key', 'create', 'looker', '--join', 'mongodb'], {
      stateDir: server.machine.stateDir,
    });
    const seen = await lab.hub.must([
      'curl',
      '-sS',
      '-H',
      `authorization: Bearer ${made.out.trim()}`,
      'http://127.0.0.1:8000/api/v1/registry/discover/mongodb',
    ]);
    expect(JSON.parse(seen)).toMatchObject({
      count: 1,
      nodes: [
        {
          uuid: caller.app.instanceId,
          owner: `app:${caller.app.appId}`,
          hostname: 'my-node.mesh.internal',
          port: 27_017,
          health: { state: 'failing' },
        },
      ],
    });
    const alive = path.join(node.machine.stateDir, 'join', 'alive');
    expect(Date.now() - (await stat(alive)).mtimeMs).toBeLessThan(60_000);
    const shared = await readFile(
      path.join(node.machine.stateDir, 'join/shared/shared_key'),
      'utf8',
    );
    expect(Buffer.from(shared, 'base64')).toHaveLength(64);
  }, 60_000);

  test('another process of that machine joins by what it proves, and leaves again', async () => {
    const stateDir = path.join(lab.folder, 'second');
    const env = ['env', `POSTERN_STATE=${stateDir}`, `PATH=${folder}:${process.env['PATH'] ?? ''}`];
    const words = ['--attest', '--server-app', callee.app.appId, '--tailscaled', 'own'];
    const more = ['--name', 'second', '--type', 'etcd', '--backend', '127.0.0.1:2379'];
    const child = node.place.start(
      [...env, 'TS_SOCKET=/none', process.execPath, main, 'join', ...words, ...more],
      { env: { TS_PANIC_IF_HIT_MAIN_CONTROL: '1' } },
    );
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    await expect
      .poll(() => said, { timeout: 30_000 })
      .toContain('second.mesh.internal serves etcd');
    const left = await node.place.run([...env, process.execPath, main, 'leave']);
    expect(left.out, left.err).toContain('left http://127.0.0.1:8091');
    await expect.poll(() => child.exitCode, { timeout: 10_000 }).toBe(0);
  }, 60_000);
});
