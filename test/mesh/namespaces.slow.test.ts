/**
 * The mesh between machines: three network namespaces with a caller, a callee and dstack's gateway between them, real
 * processes (`postern mesh run`, nginx with the generated files, curl), simulated guest agents.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type AgentSocket,
  type Simulator,
  serveAgent,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { Lab, missingForLab, type Place } from '../tailnet/lab.ts';
import { appraisalText, importCollateral } from './process.ts';
import { callee, caller, stranger } from './world.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const missing =
  (await missingForLab()) ??
  (['/usr/sbin/nginx', '/usr/bin/curl'].every((file) => existsSync(file))
    ? undefined
    : 'nginx and curl are not installed');
const why = missing === undefined ? '' : ` (skipped: ${missing})`;

const app = callee.app.appId;
const domain = 'apps.test';

/** A backend that writes down how many bytes reached it, and answers with who called. */
const backendText = `
const http = require('node:http'), net = require('node:net'), fs = require('node:fs');
const [port, log] = process.argv.slice(2);
const inner = http.createServer((message, response) => {
  message.resume();
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ path: message.url, app: message.headers['x-dstack-app-id'] ?? null,
    jws: (message.headers['x-postern-identity'] ?? '').length > 100 }) + '\\n');
}).listen(0, '127.0.0.1', () => {
  net.createServer((socket) => {
    const other = net.connect(inner.address().port, '127.0.0.1');
    socket.on('data', (bytes) => fs.appendFileSync(log, '.'.repeat(bytes.length)));
    for (const one of [socket, other]) one.on('error', () => {});
    socket.pipe(other).pipe(socket);
  }).listen(Number(port), '127.0.0.1');
});`;

/** dstack's gateway as far as the mesh sees it: TLS is passed through by its name, unread; the domain is told to who asks. */
const gatewayText = `
const http = require('node:http'), net = require('node:net'), fs = require('node:fs');
const file = process.argv[2];
net.createServer((socket) => {
  socket.once('data', (hello) => {
    const [, id, port] = /([0-9a-f]{40})-(\\d+)s\\.apps\\.test/.exec(hello.toString('latin1')) ?? [];
    const place = JSON.parse(fs.readFileSync(file, 'utf8'))[id + ':' + port];
    if (place === undefined) return socket.destroy();
    const other = net.connect(place.port, place.host);
    for (const one of [socket, other]) one.on('error', () => { socket.destroy(); other.destroy(); });
    other.write(hello);
    socket.pipe(other).pipe(socket);
  });
  socket.on('error', () => {});
}).listen(443, '0.0.0.0');
http.createServer((message, response) => {
  response.end(message.url === '/prpc/Info' ? '{"base_domain":"apps.test","external_port":443}' : '{}');
}).listen(8000, '0.0.0.0');`;

interface Machine {
  readonly place: Place;
  readonly state: string;
  readonly agent: AgentSocket;
  readonly simulator: Simulator;
}

describe.skipIf(missing !== undefined)(`the mesh in three namespaces${why}`, () => {
  let lab: Lab;
  let a: Machine;
  let b: Machine;
  let g: Machine;
  let routes = '';
  let bytesLog = '';
  let strangerLog = '';
  let said = '';

  beforeAll(async () => {
    lab = await Lab.open();
    a = await machine(lab, 'a', caller);
    b = await machine(lab, 'b', callee);
    g = await machine(lab, 'g', stranger);
    bytesLog = path.join(b.state, 'bytes');
    strangerLog = path.join(g.state, 'bytes');
    routes = path.join(g.state, 'routes.json');
    await script(b, 'backend.cjs', backendText, ['8000', bytesLog]);
    await script(g, 'backend.cjs', backendText, ['8001', strangerLog]);
    await route(b.place.address);
    await script(g, 'gateway.cjs', gatewayText, [routes]);
    await names(a.place, g.place.address);
    await names(b.place, g.place.address);
    await startCallee(b, g.place.address, (text) => (said += text));
    await startStranger(g);
    await startCaller(a);
    await vi.waitFor(async () => expect(await seed('443')).toMatchObject({ status: 200 }), {
      timeout: 60_000,
      interval: 500,
    });
  }, 180_000);

  afterAll(async () => {
    for (const each of [a, b, g]) await each?.agent.close();
    await lab?.close();
  });

  /** Where the gateway sends the names of the callee. */
  async function route(host: string, shift = 0): Promise<void> {
    const ids = [app, callee.app.instanceId];
    const places = ids.flatMap((id) =>
      [443, 27_017].map((port) => [`${id}:${port}`, { host, port: port + shift }]),
    );
    await writeFile(routes, JSON.stringify(Object.fromEntries(places)));
  }

  /** The call of the seed, word for word but for the app id. */
  async function seed(
    port: string,
    target = '/api/data',
    more: readonly string[] = [],
  ): Promise<{ readonly status: number; readonly body: string }> {
    const said_ = await a.place.must([
      'curl',
      '-s',
      '-m',
      '20',
      '-w',
      '\n%{http_code}',
      '-H',
      `x-dstack-target-app: ${app}`,
      '-H',
      `x-dstack-target-port: ${port}`,
      ...more,
      `http://localhost:80${target}`,
    ]);
    const lines = said_.trimEnd().split('\n');
    return { status: Number(lines.pop()), body: lines.join('\n') };
  }

  const bytes = (file = bytesLog): number => (existsSync(file) ? readFileSync(file).length : 0);

  test('nginx finds nothing wrong with either generated file', async () => {
    for (const each of [a, b]) {
      const checked = await each.place.run(['nginx', '-t', '-c', conf(each)]);
      expect(checked.err).toContain('test is successful');
    }
  });

  test('the call of the seed arrives with the caller’s app: port 80, 8091, the gateway, the door, the program', async () => {
    const answer = await seed('27017');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      path: '/api/data',
      app: caller.app.appId,
      jws: true,
    });
  });

  test('and through nginx with mutual TLS and the auth service at port 443', async () => {
    const forged = ['-H', `x-dstack-app-id: ${'ff'.repeat(20)}`];
    const answer = await seed('443', '/api/data', forged);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ app: caller.app.appId, jws: true });
  });

  test('the words of the seed for a look at it say what they ought to', async () => {
    expect(await a.place.must(['curl', '-s', 'http://localhost:8091/health'])).toContain('ok');
    const auth = await b.place.must([
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      'http://localhost:8092/auth',
    ]);
    expect(auth).toBe('401');
  });

  test('what no grant allows is refused before the program sees a byte', async () => {
    const before = bytes();
    expect((await seed('27017', '/secret')).status).toBe(403);
    expect((await seed('443', '/secret')).status).toBe(403);
    expect(bytes()).toBe(before);
  });

  test('another instance than the one asked for gets nothing', async () => {
    const before = bytes();
    const wrong = ['-H', `x-dstack-target-instance: ${'cd'.repeat(20)}`];
    expect((await seed('27017', '/api/data', wrong)).status).toBe(502);
    const right = ['-H', `x-dstack-target-instance: ${callee.app.instanceId}`];
    expect(bytes()).toBe(before);
    expect((await seed('27017', '/api/data', right)).status).toBe(200);
  });

  test('a gateway that misroutes to another app of the same KMS learns nothing', async () => {
    await route(g.place.address, 1);
    // Kept connections are to the right one; a call to an instance makes a new one.
    const instance = ['-H', `x-dstack-target-instance: ${callee.app.instanceId}`];
    const answer = await seed('443', '/api/data', instance);
    expect(answer.status).toBe(502);
    expect(answer.body).toContain('target_app_mismatch');
    expect(bytes(strangerLog)).toBe(0);
    await route(b.place.address);
  });

  test('whoever shows no certificate, or one that is not believed, gets no byte to the program', async () => {
    const before = bytes();
    const target = `https://${b.place.address}:27017/api/data`;
    expect((await a.place.run(['curl', '-sk', '-m', '5', target])).code).not.toBe(0);
    const pair = (each: Machine) => [
      '--cert',
      file(each, 'server.crt'),
      '--key',
      file(each, 'server.key'),
    ];
    expect((await g.place.run(['curl', '-sk', '-m', '5', ...pair(g), target])).code).not.toBe(0);
    expect(bytes()).toBe(before);
    expect((await a.place.run(['curl', '-sk', '-m', '5', ...pair(a), target])).code).toBe(0);
  });

  test('the domain of the gateway was found, and a call to ourselves through it arrived', async () => {
    await vi.waitFor(() => expect(said).toContain('mesh gateway found'), { timeout: 20_000 });
    const line = said.split('\n').find((one) => one.includes('mesh gateway found')) ?? '';
    expect(JSON.parse(line)).toMatchObject({ gateway: { domain }, verified: true });
  });

  test('a revocation in the file is in force at once, without a restart, and so is its end', async () => {
    await configure(b, { revoked: { apps: [caller.app.appId] } });
    await vi.waitFor(async () => expect((await seed('27017')).status).toBe(502), {
      timeout: 20_000,
      interval: 300,
    });
    const before = bytes();
    expect((await seed('443')).status).toBe(401);
    expect(bytes()).toBe(before);
    await configure(b, {});
    await vi.waitFor(async () => expect((await seed('27017')).status).toBe(200), {
      timeout: 40_000,
      interval: 500,
    });
  });

  /** Postern on the caller: the file of the seed, certificates from the agent as files, nginx on port 80. */
  async function startCaller(at: Machine): Promise<void> {
    const toml = file(at, 'dstack-mesh.toml');
    await writeFile(
      toml,
      `[client]\naddress = "0.0.0.0"\nport = 8091\n\n[auth]\naddress = "0.0.0.0"\nport = 8092\n\n[dstack]\ngateway_domain = "${domain}"  # Auto-detected\n\n[tls]\ncert_file = "${file(at, 'server.crt')}"\nkey_file = "${file(at, 'server.key')}"\nca_file = "${file(at, 'ca.crt')}"\n`,
    );
    await configure(at, {});
    await postern(at, ['--toml', toml]);
    await nginx(at);
  }

  async function startCallee(
    at: Machine,
    gateway: string,
    hear: (text: string) => void,
  ): Promise<void> {
    calleeMesh = {
      identity: { agent: at.agent.path },
      outbound: { gatewayUrls: [`http://${gateway}:8000`] },
      auth: { enabled: true },
      inbound: [{ port: 27_017, address: ':27017', backend: '127.0.0.1:8000' }],
    };
    await configure(at, {});
    await postern(at, [], hear);
    await nginx(at);
  }

  async function startStranger(at: Machine): Promise<void> {
    await configure(at, {
      identity: { agent: at.agent.path },
      inbound: [443, 27_017].map((port) => ({
        port,
        address: `:${port + 1}`,
        backend: '127.0.0.1:8001',
      })),
      outbound: { enabled: false },
    });
    await postern(at, []);
  }
});

let calleeMesh: Record<string, unknown> = {};

function file(at: Machine, name: string): string {
  return path.join(at.state, name);
}

function conf(at: Machine): string {
  return file(at, 'nginx.conf');
}

async function machine(lab: Lab, name: string, simulator: Simulator): Promise<Machine> {
  const place = await lab.addMachine(name);
  const state = path.join(place.folder, 'state');
  await mkdir(state, { recursive: true, mode: 0o700 });
  const agent = await serveAgent(simulator, path.join(state, 'dstack.sock'));
  await importCollateral(simulator, state);
  await writeFile(path.join(state, 'appraisal.hujson'), appraisalText);
  const { keyPem, chain } = simulator.tlsKey({
    subject: 'localhost',
    altNames: [],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 3_400_000,
  });
  for (const [called, text] of [
    ['server.crt', chain.slice(0, -1).join('\n')],
    ['server.key', keyPem],
    ['ca.crt', chain.at(-1) ?? ''],
  ] as const) {
    await writeFile(path.join(state, called), text, { mode: 0o600 });
  }
  // nginx gives up root for its workers, which read nothing of this; its master does.
  await chmod(state, 0o755);
  return { place, state, agent, simulator };
}

/** The configuration file and the policy beside it, in place of what is there. */
async function configure(at: Machine, mesh: Record<string, unknown>): Promise<void> {
  const base = at.place.name === 'b' ? calleeMesh : {};
  const trust = {
    appraisalFile: file(at, 'appraisal.hujson'),
    insecureSimulatorRoot: at.simulator.rootHash,
  };
  const config = {
    identities: { map: [{ app: caller.app.appId, as: ['tag:caller'] }] },
    mesh: { trust, ...base, ...mesh },
  };
  const object = { apps: ['*'], ports: [443, 27_017], methods: ['GET'], paths: ['/api/**'] };
  const policy = {
    tagOwners: { 'tag:caller': [] },
    grants: [{ src: ['tag:caller'], dst: ['*'], app: { 'postern.dev/cap/mesh': [object] } }],
  };
  await writeFile(file(at, 'policy.hujson'), JSON.stringify(policy), { mode: 0o600 });
  await writeFile(file(at, 'postern.hujson'), JSON.stringify(config), { mode: 0o600 });
}

async function postern(
  at: Machine,
  words: readonly string[],
  hear: (text: string) => void = () => undefined,
): Promise<ChildProcess> {
  const child = at.place.start([process.execPath, main, 'mesh', 'run', '--log', 'json', ...words], {
    env: { POSTERN_STATE: at.state },
  });
  let all = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      all += text;
      hear(text);
    });
  }
  await vi.waitFor(
    () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${all}`);
      expect(all).toContain('mesh-');
    },
    { timeout: 40_000, interval: 100 },
  );
  return child;
}

/** nginx with the files that `postern mesh nginx` writes for this machine. */
async function nginx(at: Machine): Promise<void> {
  const out = file(at, 'conf');
  await at.place.must([
    process.execPath,
    main,
    'mesh',
    'nginx',
    '--out',
    out,
    '--backend',
    '127.0.0.1:8000',
    '--certificate',
    file(at, 'server.crt'),
    '--key',
    file(at, 'server.key'),
    '--roots',
    file(at, 'ca.crt'),
  ]);
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${file(at, name)};`)
    .join(' ');
  await writeFile(
    conf(at),
    `user root; daemon off; master_process off; pid ${file(at, 'nginx.pid')}; error_log ${file(at, 'nginx.log')} info;
events {}
http { access_log off; ${temp} include ${out}/*.conf; }
`,
  );
  at.place.start(['nginx', '-c', conf(at)]);
}

async function script(
  at: Machine,
  name: string,
  text: string,
  args: readonly string[],
): Promise<void> {
  await writeFile(file(at, name), text);
  at.place.start([process.execPath, file(at, name), ...args]);
}

/** The names of the callee lead to the gateway. */
async function names(place: Place, gateway: string): Promise<void> {
  const ids = [app, callee.app.instanceId, 'cd'.repeat(20)];
  const hosts = ids.flatMap((id) => [443, 27_017].map((port) => `${id}-${port}s.${domain}`));
  const lines = hosts.map((host) => `${gateway} ${host}\n`).join('');
  await appendFile(path.join(place.folder, 'etc', 'hosts'), lines);
}
