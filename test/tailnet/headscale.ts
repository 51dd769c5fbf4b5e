import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../fakes/free-port.ts';
import type { Place } from './lab.ts';

const run = promisify(execFile);

/** A real Headscale on loopback, with nothing outside the machine: what ours is measured against. */
export interface Headscale {
  readonly url: string;
  readonly pid: number;
  /** A reusable key of a fresh user. */
  createKey(options?: { readonly ephemeral?: boolean }): Promise<string>;
  stop(): Promise<void>;
}

const startMsMax = 20_000;

export interface HeadscaleOptions {
  /** Where it runs and listens, if not on loopback here. */
  readonly place?: Place;
  /** One relay node, in Headscale's own notation. */
  readonly derpNode?: string;
}

export async function startHeadscale(
  folder: string,
  { place, derpNode = deadRelay }: HeadscaleOptions = {},
): Promise<Headscale> {
  const program = path.join(folder, 'headscale');
  const host = place?.address ?? '127.0.0.1';
  const state = await mkdtemp(path.join(tmpdir(), 'postern-headscale-'));
  const ports = { http: await freePort(), metrics: await freePort(), grpc: await freePort() };
  const config = path.join(state, 'config.yaml');
  await writeFile(config, configText(state, host, ports));
  await writeFile(path.join(state, 'derp.yaml'), derpText(derpNode));
  const serve = [program, '-c', config, 'serve'];
  const child = place?.start(serve) ?? spawn(program, serve.slice(1), { stdio: 'pipe' });
  let said = '';
  child.stderr
    ?.setEncoding('utf8')
    .on('data', (text: string) => (said = (said + text).slice(-4096)));
  const url = `http://${host}:${ports.http}`;
  const fetchHealth = async (): Promise<boolean> => {
    if (place !== undefined) return (await place.run(['curl', '-sf', `${url}/health`])).code === 0;
    return fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  };
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(state, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await until(fetchHealth, () => child.exitCode !== null);
  } catch (cause) {
    await stop();
    throw new Error(`headscale does not start: ${said}`, { cause });
  }
  const command = async (...args: string[]): Promise<string> =>
    (await run(program, ['-c', config, ...args, '-o', 'json'])).stdout;
  const user = JSON.parse(await command('users', 'create', 'bench')) as { id: string | number };
  return {
    url,
    pid: child.pid ?? 0,
    createKey: async ({ ephemeral = false } = {}) => {
      const flags = ['--reusable', '-e', '24h', ...(ephemeral ? ['--ephemeral'] : [])];
      const made = await command('preauthkeys', 'create', '-u', String(user.id), ...flags);
      return (JSON.parse(made) as { key: string }).key;
    },
    stop,
  };
}

async function until(holds: () => Promise<boolean>, isDead: () => boolean): Promise<void> {
  const endMs = performance.now() + startMsMax;
  while (performance.now() < endMs && !isDead()) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error('not healthy in time');
}

function configText(
  state: string,
  host: string,
  ports: Readonly<Record<'http' | 'metrics' | 'grpc', number>>,
): string {
  return `server_url: http://${host}:${ports.http}
listen_addr: ${host}:${ports.http}
metrics_listen_addr: 127.0.0.1:${ports.metrics}
grpc_listen_addr: 127.0.0.1:${ports.grpc}
noise: { private_key_path: ${state}/noise.key }
prefixes: { v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential }
derp:
  urls: []
  paths: [${state}/derp.yaml]
  auto_update_enabled: false
  server: { enabled: false }
database: { type: sqlite, sqlite: { path: ${state}/db.sqlite, write_ahead_log: true } }
dns:
  magic_dns: true
  base_domain: mesh.internal
  override_local_dns: false
  nameservers: { global: [] }
policy: { mode: database }
unix_socket: ${state}/headscale.sock
unix_socket_permission: "0770"
disable_check_updates: true
logtail: { enabled: false }
log: { level: warn }
`;
}

const deadRelay = 'hostname: 127.0.0.1, ipv4: 127.0.0.1, stunport: -1, derpport: 1';

function derpText(node: string): string {
  return `regions:
  900:
    regionid: 900
    regioncode: t
    regionname: T
    nodes: [{name: 900a, regionid: 900, ${node}}]
`;
}
