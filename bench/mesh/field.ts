import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import {
  Simulator,
  serveAgent,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { CollateralService } from '../../packages/server/src/adapters/collateral-intel/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/index.ts';
import {
  compiled,
  hasProgram,
  loadCore,
  type Pinned,
  serverCore,
  sleep,
  startPinned,
} from '../gateway/rig.ts';
import type { LoadTarget } from './load.ts';

/** Everything that runs during the bench, and where load goes. */
export interface MeshField {
  readonly targets: {
    readonly inbound: Readonly<Record<'nginx' | 'postern', LoadTarget>>;
    readonly outbound: Readonly<Record<'nginx' | 'postern', LoadTarget>>;
    readonly handshakes: Readonly<Record<'nginx' | 'postern', LoadTarget>>;
    readonly pair: Readonly<Record<'direct' | 'nginx' | 'postern', LoadTarget>>;
  };
  close(): Promise<void>;
}

const ports = {
  backend: 18_300,
  /** mTLS at the far end, on the core of the load. */
  far: 18_301,
  nginxIn: 18_302,
  nginxOut: 18_303,
  nginxPair: 18_304,
  posternIn: 18_305,
  posternOut: 18_306,
} as const;
const targetPort = 443;

/** One simulated machine: its app, its certificate as files, its agent. */
interface Machine {
  readonly simulator: Simulator;
  readonly certificate: string;
  readonly key: string;
  readonly root: string;
  readonly socket: string;
}

export async function openMeshField(): Promise<MeshField> {
  if (!hasProgram('nginx', 'nginx-light')) throw new Error('nginx is not installed');
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-mesh-bench-'));
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closers.toReversed()) await each();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const near = await machine(folder, 'aa', closers);
    const far = await machine(folder, 'bb', closers);
    const keep = (pinned: Pinned): Pinned => {
      closers.push(() => pinned.stop());
      return pinned;
    };
    const log = (name: string): { log: string } => ({ log: path.join(folder, `${name}.log`) });
    keep(startPinned(loadCore, [compiled('mock'), String(ports.backend)], log('mock')));
    keep(nginx(folder, 'far', loadCore, inboundServer(far, ports.far, 'return')));
    const inbound = keep(
      nginx(folder, 'in', serverCore, inboundServer(far, ports.nginxIn, 'proxy')),
    );
    const outbound = keep(nginx(folder, 'out', serverCore, outboundServer(near, far)));
    const near2 = keep(postern(folder, 'near', near, far));
    const far2 = keep(postern(folder, 'far', far, near));
    const files = requestFiles(folder, far.simulator.app.appId);
    const client = { certificate: near.certificate, key: near.key };
    const target = (
      port: number,
      requestFile: string,
      pinned: Pinned | undefined,
      as?: typeof client,
    ): LoadTarget => ({ port, requestFile, client: as, pid: pinned?.child.pid });
    await Promise.all(Object.values(ports).map(untilOpen));
    return {
      targets: {
        inbound: {
          nginx: target(ports.nginxIn, files.plain, inbound, client),
          postern: target(ports.posternIn, files.plain, far2, client),
        },
        handshakes: {
          nginx: target(ports.nginxIn, files.plain, inbound, client),
          postern: target(ports.posternIn, files.plain, far2, client),
        },
        outbound: {
          nginx: target(ports.nginxOut, files.plain, outbound),
          postern: target(ports.posternOut, files.far, near2),
        },
        pair: {
          direct: target(ports.backend, files.plain, undefined),
          nginx: target(ports.nginxPair, files.plain, undefined),
          postern: target(ports.posternOut, files.pair, undefined),
        },
      },
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function machine(
  folder: string,
  byte: string,
  closers: (() => Promise<void>)[],
): Promise<Machine> {
  const simulator = new Simulator({
    seed: 'bench',
    app: { appId: byte.repeat(20), composeHash: byte.repeat(32), instanceId: byte.repeat(20) },
    nowMs: Date.now,
  });
  const agent = await serveAgent(simulator, path.join(folder, `${byte}.sock`));
  closers.push(() => agent.close());
  const { keyPem, chain } = simulator.tlsKey({
    subject: 'bench',
    altNames: ['bench'],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 3_500_000,
  });
  const write = (name: string, text: string): string => {
    const file = path.join(folder, `${byte}.${name}`);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    simulator,
    // The root stays at home, as from our own listeners.
    certificate: write('crt', chain.slice(0, -1).join('\n')),
    key: write('key', keyPem),
    root: write('root', chain.at(-1) ?? ''),
    socket: agent.path,
  };
}

const tls = `ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off; ssl_verify_client on; ssl_verify_depth 3;`;

function inboundServer({ certificate, key, root }: Machine, port: number, to: 'proxy' | 'return') {
  const location =
    to === 'return'
      ? `return 200 "${'x'.repeat(540)}";`
      : 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Dstack-App-Id $ssl_client_fingerprint;';
  return `upstream backend { server 127.0.0.1:${ports.backend}; keepalive 256; keepalive_requests 100000000; }
server { listen 127.0.0.1:${port} ssl backlog=8192; ssl_certificate ${certificate}; ssl_certificate_key ${key};
ssl_client_certificate ${root}; ${tls} location / { ${location} } }`;
}

function outboundServer(near: Machine, far: Machine): string {
  const server = (name: string, port: number, at: number): string =>
    `upstream ${name} { server 127.0.0.1:${at}; keepalive 256; keepalive_requests 100000000; }
server { listen 127.0.0.1:${port} backlog=8192; location / { proxy_pass https://${name}; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_ssl_certificate ${near.certificate}; proxy_ssl_certificate_key ${near.key}; proxy_ssl_protocols TLSv1.3;
proxy_ssl_trusted_certificate ${far.root}; proxy_ssl_verify on; proxy_ssl_verify_depth 3; proxy_ssl_name bench; } }`;
  return `${server('far', ports.nginxOut, ports.far)}\n${server('pair', ports.nginxPair, ports.nginxIn)}`;
}

function nginx(folder: string, name: string, core: string, servers: string): Pinned {
  const home = path.join(folder, name);
  mkdirSync(home, { recursive: true });
  const file = path.join(home, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; worker_processes 1; user root; worker_rlimit_nofile 20000; pid ${home}/nginx.pid; error_log ${home}/error.log error;
events { worker_connections 10000; }
http { access_log off; keepalive_requests 100000000; client_body_buffer_size 64k;
client_body_temp_path ${home}/b; proxy_temp_path ${home}/p; fastcgi_temp_path ${home}/f; uwsgi_temp_path ${home}/u; scgi_temp_path ${home}/s;
${servers} }`,
  );
  return startPinned(core, ['nginx', '-c', file], { log: path.join(home, 'nginx.log') });
}

const program = path.resolve(import.meta.dirname, '../../packages/postern/bin/postern.js');

/** As it is run: `postern mesh run`, with a policy that is asked about every request. */
function postern(folder: string, name: string, own: Machine, other: Machine): Pinned {
  const state = path.join(folder, `postern-${name}`);
  mkdirSync(path.join(state, 'collateral', 'intel'), { recursive: true, mode: 0o700 });
  importCollateral(own.simulator, state);
  const measurements = {
    mrtd: '0d'.repeat(48),
    rtmr0: '10'.repeat(48),
    rtmr1: '11'.repeat(48),
    rtmr2: '12'.repeat(48),
  };
  const both = [own.simulator, other.simulator];
  const file = (called: string, value: unknown): string => {
    const at = path.join(state, called);
    writeFileSync(at, JSON.stringify(value), { mode: 0o600 });
    return at;
  };
  const appraisalFile = file('appraisal.hujson', {
    platforms: ['tdx'],
    images: [{ name: 'simulated', platform: 'tdx', measurements }],
    apps: both.map(({ app }) => ({ appId: app.appId, composeHashes: [app.composeHash] })),
    devices: [own.simulator.deviceId],
    keyProviders: [own.simulator.app.keyProvider.id],
  });
  file('policy.hujson', {
    tagOwners: { 'tag:caller': [] },
    grants: [
      {
        src: ['tag:caller'],
        dst: ['*'],
        app: {
          'postern.dev/cap/mesh': [
            { apps: ['*'], ports: [targetPort], methods: ['GET', 'POST'], paths: ['/api/**'] },
          ],
        },
      },
    ],
  });
  const app = other.simulator.app.appId;
  file('postern.hujson', {
    identities: { map: [{ app, as: ['tag:caller'] }] },
    mesh: {
      identity: { agent: own.socket },
      trust: { appraisalFile, insecureSimulatorRoot: own.simulator.rootHash },
      outbound:
        name === 'near'
          ? {
              address: `127.0.0.1:${ports.posternOut}`,
              targets: {
                [`${app}:${targetPort}`]: [`127.0.0.1:${ports.far}`],
                [`${app}:8443`]: [`127.0.0.1:${ports.posternIn}`],
              },
            }
          : { enabled: false },
      inbound:
        name === 'near'
          ? []
          : [
              {
                port: targetPort,
                address: `127.0.0.1:${ports.posternIn}`,
                backend: `127.0.0.1:${ports.backend}`,
              },
            ],
    },
  });
  const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const command = [process.execPath, ...flags, program, 'mesh', 'run', '--log', 'json'];
  const env = { ...process.env, POSTERN_STATE: state };
  return startPinned(serverCore, command, {
    log: path.join(folder, `postern-${name}.log`),
    env,
    cwd: folder,
  });
}

/** Files that the servers wait for. */
const pending: Promise<void>[] = [];

function importCollateral(simulator: Simulator, state: string): void {
  const service = new CollateralService({
    folder: path.join(state, 'collateral', 'intel'),
    crypto: nodeCrypto,
    pins: new Set([simulator.rootHash]),
    nowMs: Date.now,
    remote: undefined,
  });
  pending.push(
    service.import(Buffer.from(JSON.stringify(simulator.collateral()))).then((imported) => {
      if (!imported.ok) throw new Error(imported.error.code);
    }),
  );
}

function requestFiles(folder: string, appId: string): Record<'plain' | 'far' | 'pair', string> {
  const body = JSON.stringify({ ask: 'what time is it', n: 1 });
  const write = (name: string, fields: string): string => {
    const file = path.join(folder, `${name}.http`);
    const head = `POST /api/data HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\nContent-Type: application/json\r\n${fields}Content-Length: ${body.length}\r\n\r\n`;
    writeFileSync(file, head + body);
    return file;
  };
  const to = (port: number): string =>
    `X-Dstack-Target-App: ${appId}\r\nX-Dstack-Target-Port: ${port}\r\n`;
  return {
    plain: write('plain', ''),
    far: write('far', to(targetPort)),
    pair: write('pair', to(8_443)),
  };
}

async function untilOpen(port: number): Promise<void> {
  await Promise.all(pending);
  for (let left = 400; ; left -= 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    if (left === 0) throw new Error(`nobody listens on ${port}`);
    await sleep(50);
  }
}
