import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { err, ok } from '@postern/core/base';
import type { DaemonReport, LocalApiPlace } from '../../adapters/identity-serve/index.ts';
import {
  askDaemonReport,
  askServeConfig,
  askStunPlaces,
  findLocalApi,
} from '../../adapters/identity-serve/index.ts';
import { findTailscaledProgram } from '../../adapters/tailnet-daemon/index.ts';
import { formatBindingRequest, parseBindingResponse } from '../../coordination/stun/index.ts';
import type { Egress } from '../../http/index.ts';
import type { FindingReport, Known, NetworkFacts } from '../../ops/index.ts';
import { judgeNetwork, reportOf } from '../../ops/index.ts';
import { everyListeningSocket } from '../check/machine.ts';
import { createSight } from '../check/sight.ts';
import { loadConfigFile } from '../config-file.ts';
import { createLazyEgress } from '../egress.ts';
import { socketPath } from '../listen.ts';
import type { Settings } from '../settings.ts';

const controlMsMax = 4_000;
const stunMsMax = 1_500;
const usualPort = 41_641;
const defaultPorts = { gateway: 8_080, admin: 8_081, control: 8_000 } as const;

/** Looks at this machine on its network; nothing is changed and nothing has to run. */
export async function diagnoseNetwork(settings: Settings): Promise<FindingReport> {
  const egress = createLazyEgress();
  try {
    return reportOf(judgeNetwork(await networkFacts(settings, egress.egress)));
  } finally {
    await egress.close();
  }
}

/** What there is to see of this machine on its network. */
export async function networkFacts(settings: Settings, egress: Egress): Promise<NetworkFacts> {
  const { env, stateDir } = settings;
  const sight = createSight(env);
  const place = await findLocalApi(process.platform, env);
  const daemon = place === undefined ? ok(undefined) : await askDaemonReport(place);
  const report = daemon.ok ? daemon.value : undefined;
  const path = socketPath(stateDir, 'serve');
  const [control, ownName, udp, wireguardPort, serve, listeners, ports] = await Promise.all([
    askControl(report?.controlUrl, egress),
    report === undefined || report.name === ''
      ? err('it has no name yet')
      : sight.resolve(report.name),
    place === undefined ? err('there is no tailscaled') : askStun(place),
    udpPortBound(usualPort),
    place === undefined ? err('there is no tailscaled') : askServeConfig(place),
    everyListeningSocket(sight),
    portsOf(settings),
  ]);
  return {
    nowMs: Date.now(),
    daemon: goneIsNone(daemon),
    program: findTailscaledProgram(env),
    control,
    ownName,
    udp,
    wireguardPort,
    serve,
    serveSocket: { path, isThere: existsSync(path) },
    listeners,
    ports: ports.ports,
    hasEdge: ports.hasEdge,
  };
}

/** A socket file whose daemon is dead is no daemon. */
function goneIsNone(daemon: Known<DaemonReport | undefined>): Known<DaemonReport | undefined> {
  return !daemon.ok && daemon.error.includes('ECONNREFUSED') ? ok(undefined) : daemon;
}

/** Its key is what every client asks first; without a sign of a coordination server the rest does not matter. */
async function askControl(
  url: string | undefined,
  egress: Egress,
): Promise<Known<string | undefined>> {
  if (url === undefined || !URL.canParse(url)) return err('no coordination server is named');
  const answer = await egress({
    method: 'GET',
    url: new URL('/key?v=100', url),
    headers: {},
    signal: AbortSignal.timeout(controlMsMax),
    timeouts: {
      connectMs: controlMsMax,
      firstByteMs: controlMsMax,
      idleMs: controlMsMax,
      totalMs: controlMsMax,
    },
    permission: { internal: true },
  });
  if (!answer.ok) return ok(`it cannot be reached (${answer.error.message})`);
  const { status } = answer.value;
  const body = await answer.value.readAll(65_536);
  if (!body.ok) return ok('it breaks off');
  const text = Buffer.from(body.value).toString('utf8');
  return ok(
    status === 200 && text.includes('mkey:')
      ? undefined
      : `what answers there (${status}) is no coordination server`,
  );
}

/** Asks every server of its map from where our packets come; an answer proves that packets pass both ways. */
async function askStun(
  place: LocalApiPlace,
): Promise<Known<{ readonly asked: number; readonly answered: number }>> {
  const places = await askStunPlaces(place);
  if (!places.ok) return places;
  const answers = await Promise.all(places.value.map(({ host, port }) => askOne(host, port)));
  return ok({ asked: answers.length, answered: answers.filter(Boolean).length });
}

function askOne(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const done = (isAnswered: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(isAnswered);
    };
    const timer = setTimeout(() => done(false), stunMsMax);
    socket.once('error', () => done(false));
    socket.once('message', (bytes) => done(parseBindingResponse(bytes).ok));
    socket.send(formatBindingRequest(new Uint8Array(randomBytes(12))), port, host, (cause) => {
      if (cause !== null) done(false);
    });
  });
}

async function udpPortBound(port: number): Promise<Known<boolean>> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  const tables = await Promise.all(
    ['/proc/net/udp', '/proc/net/udp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  if (tables.every((text) => text === '')) return err('/proc/net/udp cannot be read');
  return ok(tables.some((text) => text.includes(wanted)));
}

/** Where Postern would listen by this configuration. */
async function portsOf({
  configFile,
  addresses,
}: Settings): Promise<{ readonly ports: NetworkFacts['ports']; readonly hasEdge: boolean }> {
  const loaded = configFile === undefined ? undefined : await loadConfigFile(configFile);
  const config = loaded?.ok === true ? loaded.value.config : undefined;
  const port = (text: string | undefined, otherwise: number): number => {
    const found = Number(/(\d{1,5})$/.exec(text ?? '')?.[1]);
    return found > 0 ? found : otherwise;
  };
  return {
    ports: {
      gateway: port(
        addresses.gateway?.text ?? config?.listeners.gateway.address,
        defaultPorts.gateway,
      ),
      admin: port(addresses.admin?.text ?? config?.listeners.admin.address, defaultPorts.admin),
      control:
        config?.registry === undefined
          ? undefined
          : port(addresses.control?.text ?? config.registry.address, defaultPorts.control),
    },
    hasEdge:
      config !== undefined && (config.publicEdge !== undefined || config.trustedProxies.length > 0),
  };
}
