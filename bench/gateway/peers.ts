import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RequestFiles } from './load.ts';
import { requestFiles } from './load.ts';
import type { Pinned } from './rig.ts';
import {
  cache,
  compiled,
  hasProgram,
  loadCore,
  serverCore,
  startPinned,
  untilServes,
} from './rig.ts';

/** Who is compared: each stands between the same load and the same mock upstream, alone on its core while it is asked. */

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** Where streams go, if another port has the settings for them; undefined where it cannot stream. */
  readonly streamPort: number | undefined;
  /** Undefined for the way without anything between. */
  readonly pid: number | undefined;
  readonly json: RequestFiles;
  readonly stream: RequestFiles;
  readonly idle: RequestFiles;
}

export interface Field {
  readonly peers: readonly Peer[];
  /** Who is not there, and why. */
  readonly missing: readonly string[];
  close(): Promise<void>;
}

const mockPort = 18_200;
const nginxPort = 18_201;
const nginxStreamPort = 18_202;
const haproxyPort = 18_203;
const portkeyPort = 18_204;
const posternPort = 18_205;
const litellmPort = 18_206;
const meteredPort = 18_207;
const portkeyVersion = '1.15.2';

const chat = '/v1/chat/completions';
const messages = [
  { role: 'system', content: 'You answer in one paragraph.' },
  ...[1, 2, 3].map((turn) => ({
    role: turn % 2 === 1 ? 'user' : 'assistant',
    content: `Turn ${turn}: ${'the quick brown fox jumps over the lazy dog and says "ah" '.repeat(4)}`,
  })),
];
/** About 1 KB, as a short conversation is. */
const bodyOf = (more: object, model = 'bench'): string =>
  JSON.stringify({ model, messages, temperature: 0.7, max_tokens: 100, ...more });
/** More events than any round takes. */
const streamBody = bodyOf({ max_tokens: 100_000, stream: true });
const idleBody = bodyOf({ max_tokens: 100_000, stream: true, user: 'idle' });

type Headers = Readonly<Record<string, string>>;

function filesFor(
  folder: string,
  name: string,
  headers: Headers,
): Pick<Peer, 'json' | 'stream' | 'idle'> {
  const make = (kind: string, body: string): RequestFiles =>
    requestFiles(folder, `${name}-${kind}`, { route: chat, headers, body });
  return {
    json: make('json', bodyOf({})),
    stream: make('stream', streamBody),
    idle: make('idle', idleBody),
  };
}

type Start = (
  folder: string,
  log: string,
) => Promise<{ readonly server: Pinned; readonly peer: Omit<Peer, 'pid'> } | string>;

async function startNginx(folder: string, log: string): ReturnType<Start> {
  if (!hasProgram('nginx', 'nginx-light')) return 'nginx is not installed';
  const server = (port: number, more: string): string =>
    `server { listen 127.0.0.1:${port} backlog=8192; location / { proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; ${more} } }`;
  const file = path.join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid ${folder}/nginx.pid; error_log ${log}.error error;
events { worker_connections 20000; }
http { access_log off; keepalive_requests 100000000; client_body_buffer_size 64k;
client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
upstream mock { server 127.0.0.1:${mockPort}; keepalive 256; keepalive_requests 100000000; }
${server(nginxPort, '')}
${server(nginxStreamPort, 'proxy_buffering off;')} }`,
  );
  const pinned = startPinned(serverCore, ['nginx', '-c', file], { log });
  const peer = {
    name: 'nginx',
    port: nginxPort,
    streamPort: nginxStreamPort,
    ...filesFor(folder, 'nginx', {}),
  };
  return { server: pinned, peer };
}

async function startHaproxy(folder: string, log: string): ReturnType<Start> {
  if (!hasProgram('haproxy', 'haproxy')) return 'haproxy is not installed';
  const file = path.join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-no-delay
frontend in
  bind 127.0.0.1:${haproxyPort} backlog 8192
  default_backend mock
backend mock
  http-reuse always
  server mock 127.0.0.1:${mockPort}
`,
  );
  const pinned = startPinned(serverCore, ['haproxy', '-f', file], { log });
  const peer = {
    name: 'haproxy',
    port: haproxyPort,
    streamPort: haproxyPort,
    ...filesFor(folder, 'haproxy', {}),
  };
  return { server: pinned, peer };
}

/** From npm, on the Node that runs this bench. With what its package range resolves to it answers 500 to streams. */
async function startPortkey(folder: string, log: string): ReturnType<Start> {
  const home = path.join(cache, `portkey-${portkeyVersion}`);
  const entry = path.join(home, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  if (!existsSync(entry)) {
    mkdirSync(home, { recursive: true });
    writeFileSync(path.join(home, 'package.json'), '{"private":true}');
    try {
      const words = ['install', '--ignore-scripts', '--no-audit', '--no-fund'];
      execFileSync('npm', [...words, `@portkey-ai/gateway@${portkeyVersion}`], {
        cwd: home,
        stdio: 'ignore',
      });
    } catch {
      return 'portkey cannot be installed from npm';
    }
  }
  const env = {
    ...process.env,
    NODE_ENV: 'production',
    TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost',
  };
  const command = [process.execPath, entry, `--port=${portkeyPort}`, '--headless'];
  const pinned = startPinned(serverCore, command, { log, env });
  const headers = {
    authorization: 'Bearer sk-bench',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${mockPort}/v1`,
  };
  return {
    server: pinned,
    peer: {
      name: 'portkey',
      port: portkeyPort,
      streamPort: undefined,
      ...filesFor(folder, 'portkey', headers),
    },
  };
}

async function startLitellm(folder: string, log: string): ReturnType<Start> {
  if (
    !(process.env['PATH'] ?? '').split(':').some((one) => existsSync(path.join(one, 'litellm')))
  ) {
    return 'litellm is not on the PATH';
  }
  const file = path.join(folder, 'litellm.yaml');
  writeFileSync(
    file,
    `model_list:\n  - model_name: bench\n    litellm_params: {model: openai/bench, api_base: "http://127.0.0.1:${mockPort}/v1", api_key: sk}\n`,
  );
  const command = [
    'litellm',
    '--config',
    file,
    '--host',
    '127.0.0.1',
    '--port',
    String(litellmPort),
  ];
  const pinned = startPinned(serverCore, command, { log });
  return {
    server: pinned,
    peer: {
      name: 'litellm',
      port: litellmPort,
      streamPort: litellmPort,
      ...filesFor(folder, 'litellm', {}),
    },
  };
}

const postern = path.resolve(import.meta.dirname, '../../packages/postern/bin/postern.js');

const policy = `{"tagOwners": {"tag:gateway": []},
"grants": [{"src": ["bench@example.com"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [{"models": ["mock/**"], "maxOutputTokens": 1000000}]}}]}`;

/** Money and limits for every request, none of which it ever reaches: two budgets, three limits, a price. */
const metering = {
  prices: { 'mock/**': { input: '1.25', output: '10', cacheRead: '0.125' } },
  budgets: {
    everyone: { usd: 9_000_000, every: 'month', per: 'all', match: ['*'] },
    personal: { usd: 9_000_000, every: 'day', refill: 'steady', per: 'user', match: ['*'] },
  },
  limits: {
    named: {
      fair: {
        requestsPerMinute: 1_000_000_000,
        tokensPerMinute: 1_000_000_000,
        concurrent: 10_000,
        per: 'user',
        match: ['*'],
      },
    },
  },
};

/** As it is run: a key, a policy in force, the access log as JSON lines. */
const startPostern: Start = (folder, log) =>
  startGateway({ name: 'postern', port: posternPort, more: {} }, folder, log);

/** The same with money and limits. */
const startMetered: Start = (folder, log) =>
  startGateway({ name: 'metered', port: meteredPort, more: metering }, folder, log);

async function startGateway(
  { name, port, more }: { readonly name: string; readonly port: number; readonly more: object },
  folder: string,
  log: string,
): ReturnType<Start> {
  const state = path.join(folder, `${name}-state`);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const config = {
    providers: {
      mock: { kind: 'openai', baseUrl: `http://127.0.0.1:${mockPort}/v1`, models: ['bench'] },
    },
    identities: { map: [{ key: 'bench', as: ['bench@example.com'] }] },
    ...more,
  };
  writeFileSync(path.join(state, 'postern.hujson'), JSON.stringify(config));
  writeFileSync(path.join(state, 'policy.hujson'), policy);
  const env = {
    ...process.env,
    POSTERN_STATE: state,
    PORT: String(port),
    POSTERN_ADMIN_ADDR: '127.0.0.1:0',
  };
  const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const pinned = startPinned(
    serverCore,
    [process.execPath, ...flags, postern, 'up', '--log', 'json'],
    { log, env, cwd: folder },
  );
  const cli = (...words: readonly string[]): string =>
    execFileSync(process.execPath, [postern, ...words], {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const key = await eventually(log, () => cli('key', 'create', 'bench').trim());
  cli('policy', 'apply', '--confirm', '0');
  const files = filesFor(folder, name, { authorization: `Bearer ${key}` });
  return { server: pinned, peer: { name, port, streamPort: port, ...files } };
}

async function eventually<T>(log: string, run: () => T): Promise<T> {
  for (let left = 40; ; left -= 1) {
    try {
      return run();
    } catch (cause) {
      if (left === 0) throw new Error(readFileSync(log, 'utf8').slice(-2_000), { cause });
      await new Promise((resolve) => {
        setTimeout(resolve, 250);
      });
    }
  }
}

/** Our own are last, as are their figures in the tables. */
const starts: Readonly<Record<string, Start>> = {
  nginx: startNginx,
  haproxy: startHaproxy,
  portkey: startPortkey,
  litellm: startLitellm,
  postern: startPostern,
  metered: startMetered,
};

/** Starts the mock and all that can be started here, each known to serve. `only` leaves the others out. */
export async function openField(only: readonly string[] | undefined): Promise<Field> {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-bench-'));
  const mock = startPinned(loadCore, [compiled('mock'), String(mockPort)], {
    log: path.join(folder, 'mock.log'),
  });
  const direct: Peer = {
    name: 'direct',
    port: mockPort,
    streamPort: mockPort,
    pid: undefined,
    ...filesFor(folder, 'direct', {}),
  };
  const servers: Pinned[] = [mock];
  const peers: Peer[] = [direct];
  const missing: string[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const [name, start] of Object.entries(starts)) {
      if (only !== undefined && !only.includes(name)) continue;
      const log = path.join(folder, `${name}.log`);
      const started = await start(folder, log);
      if (typeof started === 'string') {
        missing.push(started);
        continue;
      }
      servers.push(started.server);
      await untilServes(started.peer.port, started.peer.json.bytes, log);
      peers.push({ ...started.peer, pid: started.server.child.pid });
    }
  } catch (cause) {
    await close();
    throw cause;
  }
  return { peers, missing, close };
}
