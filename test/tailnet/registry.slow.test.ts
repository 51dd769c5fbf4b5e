/** A box with a model joins, is used under the caller's own name, and is passed over when it dies. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeadscaleServer, missingHeadscale } from '../engine/headscale-server.ts';
import { JoinedNode } from './joined-node.ts';
import { Lab, missingForLab, type Place } from './lab.ts';
import { PosternUp } from './postern-up.ts';
import { programs } from './programs.ts';
import { StockClient } from './stock-client.ts';

const found = await programs('tailscale');
const missing = (await missingForLab()) ?? (found.found ? undefined : found.why);
if (missing !== undefined && process.env['POSTERN_REQUIRE_TAILNET'] === '1')
  throw new Error(missing);
const programFolder = found.found ? found.folder : '';

const policy = {
  groups: { 'group:research': ['alice@example.com'] },
  tagOwners: { 'tag:gateway': [], 'tag:node': [] },
  grants: [
    {
      src: ['group:research'],
      dst: ['tag:gateway'],
      ip: ['tcp:80'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
    // The gateway alone reaches the boxes.
    { src: ['tag:gateway'], dst: ['tag:node'], ip: ['tcp:8000'] },
  ],
};
const config = {
  engine: {},
  registry: { address: '10.203.0.1:8000' },
  providers: {
    pool: { kind: 'openai', discover: { nodeType: 'instant' }, timeouts: { connectMs: 1_000 } },
  },
  aliases: { instant: ['pool/m', 'builtin/eliza'] },
};
const server = 'http://10.203.0.1:8000';
const leaseSeconds = 4;
/** The next target of the alias. */
const eliza = '"model":"eliza"';

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function ask(place: Place, seconds = 10): Promise<Answer> {
  const words = ['-sS', '-m', String(seconds), '-w', '\n%{http_code}'];
  const said = await place.run([
    'curl',
    ...words,
    '-d',
    '{"prompt":"Who are you?"}',
    'http://ai/ask',
  ]);
  if (said.code !== 0) return { status: 0, body: said.err };
  const at = said.out.lastIndexOf('\n');
  return { status: Number(said.out.slice(at + 1)), body: said.out.slice(0, at) };
}

/** Of the first question with the right answer, in ms from the start. */
interface Right {
  readonly askedMs: number;
  readonly answeredMs: number;
}

/** Asks until the answer is right; no question waits longer than two seconds. */
async function untilAnswered(place: Place, by: string, withinMs: number): Promise<Right> {
  const startMs = performance.now();
  for (;;) {
    const askedMs = performance.now() - startMs;
    const { status, body } = await ask(place, 2);
    const answeredMs = performance.now() - startMs;
    if (status === 200 && body.includes(by)) return { askedMs, answeredMs };
    if (answeredMs > withinMs) throw new Error(`${by} does not answer: ${status} ${body}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A gateway in the hub, a laptop and a box, each with a network of its own; they meet on the private one alone. */
interface Site {
  readonly lab: Lab;
  readonly up: PosternUp;
  readonly laptop: StockClient;
  readonly one: JoinedNode;
  readonly token: string;
  close(): Promise<void>;
}

/** How the network of a site is coordinated. */
interface Coordination {
  readonly up: PosternUp;
  /** A key by which a machine of alice joins. */
  laptopKey(): Promise<string>;
  close(): Promise<void>;
}

async function openSite(coordinate: (lab: Lab) => Promise<Coordination>): Promise<Site> {
  const lab = await Lab.open();
  await StockClient.start(lab.hub, { programs: programFolder });
  const { up, laptopKey, close } = await coordinate(lab);
  await isOnNetwork(up);
  const machine = await lab.addMachine('laptop');
  await lab.isolate(machine, true);
  const laptop = await StockClient.start(machine, { programs: programFolder });
  await laptop.up(up.url, [`--auth-key=${await laptopKey()}`]);
  const made = await up.cli('key', 'create', 'boxes', '--join', 'instant');
  const token = made.out.trim();
  const box = await lab.addMachine('gpu-1');
  await lab.isolate(box, true);
  const one = await JoinedNode.prepare(box, {
    server,
    token,
    words: ['--lease', String(leaseSeconds), '--tailscaled', 'own'],
    env: { PATH: `${programFolder}:${process.env['PATH'] ?? ''}`, TS_SOCKET: '/none' },
  });
  return {
    lab,
    up,
    laptop,
    one,
    token,
    close: async () => {
      await one.close();
      await up.close();
      await close();
      await lab.close();
    },
  };
}

/** By what it logs: with an engine of others its own node is not in the status of the network. */
async function isOnNetwork(up: PosternUp): Promise<void> {
  const endMs = performance.now() + 40_000;
  while (!/"mode":"kernel","name":"ai\.mesh\.internal"/.test(up.said)) {
    if (performance.now() > endMs) throw new Error(`not on the network: ${up.said}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function embedded(lab: Lab): Promise<Coordination> {
  const up = await PosternUp.start(lab.hub, {
    config,
    policy,
    words: ['--join'],
    env: { TS_SOCKET: path.join(lab.hub.folder, 'ts', 's') },
  });
  return {
    up,
    laptopKey: () => up.key('--user', 'alice@example.com'),
    close: () => Promise.resolve(),
  };
}

/** A real Headscale beside the gateway, which keeps the policy there and makes the keys. */
async function headscale(lab: Lab): Promise<Coordination> {
  const server = await HeadscaleServer.start(lab.hub);
  const laptopKey = await server.joinKey('alice');
  const up = await PosternUp.start(lab.hub, {
    config: { ...config, engine: { kind: 'headscale', headscale: { url: server.url } } },
    policy,
    outside: server.url,
    words: ['--join'],
    env: {
      TS_SOCKET: path.join(lab.hub.folder, 'ts', 's'),
      HEADSCALE_API_KEY: await server.apiKey(),
    },
  });
  return { up, laptopKey: () => Promise.resolve(laptopKey), close: () => server.stop() };
}

const missingServer = await missingHeadscale();

for (const [name, coordinate, lacks] of [
  ['the embedded engine', embedded, undefined],
  ['a real Headscale', headscale, missingServer],
] as const) {
  const without = missing ?? lacks;
  const label = `boxes that join by ${name}`;
  const shown = without === undefined ? label : `${label} (skipped: ${without})`;
  describe.skipIf(without !== undefined)(shown, () => {
    let site: Site;
    beforeAll(async () => {
      site = await openSite(coordinate);
    }, 240_000);
    afterAll(async () => {
      await site?.close();
    }, 60_000);
    joins(() => site);
    // Others answer for no names but those of machines (`service-names`).
    if (coordinate === embedded) names(() => site);
  });
}

function joins(site: () => Site): void {
  test('before there is any, the next target answers', async () => {
    const { laptop } = site();
    const { status, body } = await ask(laptop.place);
    expect(status, body).toBe(200);
    expect(body).toContain(eliza);
  });

  test('the box answers the laptop within two seconds of joining, and the record says who asked', async () => {
    const { laptop, one, up } = site();
    await one.startModel();
    one.start();
    const joined = await one.joined();
    expect(joined).toMatchObject({ port: 8_000, name: 'gpu-1.mesh.internal' });
    const { answeredMs } = await untilAnswered(laptop.place, 'I am gpu-1', 5_000);
    expect(answeredMs).toBeLessThan(2_000);
    const audit = await up.cli('audit', 'tail', '--json');
    expect(audit.out).toMatch(/alice@example\.com/);
    process.stdout.write(`gpu-1 served ${answeredMs.toFixed(0)} ms after it had joined\n`);
  }, 90_000);

  test('the laptop reaches the gateway and not the box, neither by the network nor beside it', async () => {
    const { laptop, one } = site();
    const { addresses } = await one.joined();
    const tried = [...(addresses as string[]), one.place.address].map(async (host) => {
      const at = host.includes(':') ? `[${host}]` : host;
      const url = `http://${at}:8000/v1/models`;
      const said = await laptop.place.run(['curl', '-sS', '-m', '3', url]);
      expect(said.code, `${at} ${said.out}`).not.toBe(0);
    });
    await Promise.all(tried);
  }, 60_000);

  test('the gateway has no other way to the box than the network', async () => {
    const { one, lab } = site();
    const beside = `http://${one.place.address}:8000/v1/models`;
    expect((await lab.hub.run(['curl', '-sS', '-m', '3', beside])).code).not.toBe(0);
    const [address = ''] = (await one.joined())['addresses'] as string[];
    const through = await lab.hub.run([
      'curl',
      '-sS',
      '-m',
      '5',
      `http://${address}:8000/v1/models`,
    ]);
    expect(through.out, through.err).toContain('"m"');
  }, 120_000);

  test('the machine finds what it is on the network where it was told', async () => {
    const { one, up } = site();
    const read = (name: string): Promise<string> => readFile(path.join(one.folder, name), 'utf8');
    await expect
      .poll(() => read('shared_key').catch(() => ''), { timeout: 5_000 })
      .toMatch(/.{80}/);
    expect(await read('actual_hostname')).toBe('gpu-1.mesh.internal\n');
    expect(await read('tailscale_ip')).toMatch(/^100\.64\.0\.\d+\n$/);
    expect(await read('server_url')).toBe(`${up.url}\n`);
    expect(JSON.parse(await read('tailscale_status.json'))).toMatchObject({
      BackendState: 'Running',
      Self: { HostName: 'gpu-1' },
    });
  });

  test('killed, it is passed over within its lease; started again, it is the same node', async () => {
    const { laptop, one, up } = site();
    const before = await one.joined();
    await one.kill();
    const { askedMs } = await untilAnswered(laptop.place, eliza, (leaseSeconds + 2) * 1_000);
    process.stdout.write(`failed over ${askedMs.toFixed(0)} ms after the box was killed\n`);
    // The last heartbeat may have been the moment before.
    expect(askedMs).toBeLessThan(leaseSeconds * 1_000 + 500);
    const since = one.events.length;
    one.start();
    const again = await one.joined(40_000, since);
    expect(again).toMatchObject({ uuid: before['uuid'], addresses: before['addresses'] });
    await untilAnswered(laptop.place, 'I am gpu-1', 20_000);
    const { nodes } = await up.json('node', 'list');
    expect(nodes).toHaveLength(3);
  }, 120_000);

  test('the whole box gone, everybody is answered by the next target at once or within its lease', async () => {
    const { laptop, one } = site();
    await one.kill();
    await one.stopModel();
    process.kill(
      Number(await readFile(path.join(one.stateDir, 'join/tailscaled/pid'), 'utf8')),
      'SIGKILL',
    );
    const startMs = performance.now();
    let slowestMs = 0;
    while (performance.now() - startMs < (leaseSeconds + 1) * 1_000) {
      const askedMs = performance.now();
      const { status, body } = await ask(laptop.place);
      slowestMs = Math.max(slowestMs, performance.now() - askedMs);
      expect(status, body).toBe(200);
      expect(body).toContain(eliza);
    }
    process.stdout.write(`box gone: the slowest answer took ${slowestMs.toFixed(0)} ms\n`);
    // The last heartbeat may have been the moment before.
    expect(slowestMs).toBeLessThan(leaseSeconds * 1_000 + 500);
    await one.startModel();
    one.start();
    await untilAnswered(laptop.place, 'I am gpu-1', 30_000);
  }, 90_000);

  test('a box without power closes no connection: whoever waits for it is answered by the next target, when its lease is over', async () => {
    const { laptop, one } = site();
    const daemon = await readFile(path.join(one.stateDir, 'join/tailscaled/pid'), 'utf8');
    process.kill(Number(daemon), 'SIGKILL');
    await one.kill();
    const startMs = performance.now();
    const { status, body } = await ask(laptop.place);
    const tookMs = performance.now() - startMs;
    process.stdout.write(`box without power: answered after ${tookMs.toFixed(0)} ms\n`);
    expect(status, body).toBe(200);
    expect(body).toContain(eliza);
    // The last heartbeat may have been the moment before.
    expect(tookMs).toBeLessThan(leaseSeconds * 1_000 + 500);
    one.start();
    await untilAnswered(laptop.place, 'I am gpu-1', 30_000);
  }, 90_000);

  test('a model that dies under a living node gets nothing more; back, it is used again', async () => {
    const { laptop, one } = site();
    await one.stopModel();
    await untilAnswered(laptop.place, eliza, 4_000);
    await one.startModel();
    await untilAnswered(laptop.place, 'I am gpu-1', 20_000);
  }, 60_000);

  test('a second box joins by the tailscaled of its machine', async () => {
    const { laptop, lab, token } = site();
    const box = await lab.addMachine('gpu-2');
    await lab.isolate(box, true);
    const daemon = await StockClient.start(box, { programs: programFolder });
    const two = await JoinedNode.prepare(box, {
      server,
      token,
      words: ['--lease', String(leaseSeconds), '--tailscaled', 'existing'],
      env: { TS_SOCKET: path.join(box.folder, 'ts', 's') },
    });
    await two.startModel();
    two.start();
    expect(await two.joined()).toMatchObject({ name: 'gpu-2.mesh.internal' });
    await untilAnswered(laptop.place, 'I am gpu-2', 15_000);
    const serve = await daemon.cli(['serve', 'status', '--json']);
    expect(JSON.parse(serve.out)).toMatchObject({
      TCP: { 8000: { TCPForward: '127.0.0.1:8000' } },
    });

    const left = await two.cli('leave', '--status-folder', two.folder);
    expect(left.code, left.err).toBe(0);
    expect(left.out).toContain(`left ${server}`);
    expect(await two.ended()).toBe(0);
    const after = await daemon.cli(['serve', 'status', '--json']);
    expect(after.out).not.toContain('TCPForward');
    expect((await daemon.status()).BackendState).toBe('NeedsLogin');
    const listed = JSON.stringify(await site().up.json('node', 'list'));
    expect(listed).toContain('gpu-1');
    expect(listed).not.toContain('gpu-2');
    expect((await two.cli('leave')).out).toContain('has not joined');
    await expect(readFile(path.join(two.folder, 'shared_key'))).rejects.toThrow();
    await two.close();
  }, 120_000);
}

/** What the laptop's own resolver says, or nothing. */
async function resolved({ place }: StockClient, name: string): Promise<readonly string[]> {
  const said = await place.run(['getent', 'ahosts', name]);
  return [...new Set(said.out.split('\n').map((line) => line.split(' ')[0] ?? ''))].filter(
    (address) => address !== '',
  );
}

function names(site: () => Site): void {
  test('the name of what it serves is the box for as long as its lease, and again when it is back', async () => {
    const name = 'instant.svc.mesh.internal';
    const { laptop, one } = site();
    const { addresses } = await one.joined();
    const own = [...(addresses as string[])].toSorted();
    const said = async (): Promise<readonly string[]> => (await resolved(laptop, name)).toSorted();
    await expect.poll(said, { timeout: 5_000 }).toEqual(own);
    await one.kill();
    const killedMs = performance.now();
    await expect.poll(said, { timeout: (leaseSeconds + 2) * 1_000 }).toEqual([]);
    const tookMs = performance.now() - killedMs;
    process.stdout.write(`${name} was gone ${tookMs.toFixed(0)} ms after the box was killed\n`);
    const since = one.events.length;
    one.start();
    await one.joined(40_000, since);
    await expect.poll(said, { timeout: 5_000 }).toEqual(own);
  }, 90_000);
}
