import { createSocket } from 'node:dgram';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';
import path from 'node:path';
import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Control, Requester, Role } from '../../control/index.ts';
import type {
  Coordination,
  NetworkJournal,
  PutTxtRecord,
  SignIn,
} from '../../coordination/index.ts';
import { createCoordination } from '../../coordination/index.ts';
import type { DerpListener, OwnRelay, PinnedCertificate } from '../../coordination/derp/index.ts';
import {
  acceptDerpUpgrade,
  createPinnedCertificate,
  DerpRelay,
  derpMapOf,
  openDerpListener,
} from '../../coordination/derp/index.ts';
import { keyPairOf } from '../../coordination/noise/index.ts';
import { StunServer } from '../../coordination/stun/index.ts';
import type { Bind, HttpHandler, Listener, UpgradeHandler } from '../../http/index.ts';
import { openListener } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { HostPort } from '../addresses.ts';
import { loopback, parseAddress } from '../addresses.ts';
import { readPair, watchCertificate } from '../certificate.ts';
import type { NetworkPlan } from './plan.ts';
import type { SharedNetwork } from './turn.ts';
import type { Turn } from './turn.ts';
import { onlyInTurn, onlyUpgradesInTurn, takeTurns } from './turn.ts';

export interface NetworkPlaneOptions {
  readonly plan: NetworkPlan;
  readonly control: Control;
  readonly stateDir: string;
  readonly logger: Logger;
  readonly newRequestId: () => string;
  readonly signIn?: SignIn;
  readonly controlKey?: Secret | undefined;
  readonly putTxtRecord?: PutTxtRecord | undefined;
  /** Other gateways that coordinate the same network. */
  readonly shared?: SharedNetwork | undefined;
  /** Proxies whose word about the source of a machine counts; none without a name. */
  readonly trustedProxies?: readonly string[];
}

/** The embedded engine with its sockets. */
export interface NetworkPlane {
  readonly plan: NetworkPlan;
  readonly coordination: Coordination;
  /** Machines are served here now. */
  readonly serves: () => boolean;
  /** Whether this gateway decides, or another one. */
  readonly role: () => Role;
  readonly listeners: readonly Listener[];
  /** What machines are told of our relay; undefined where it is off. */
  readonly relay: OwnRelay | undefined;
  close(graceMs: number): Promise<void>;
}

const coordinationPort = 8_090;
const stunPort = 3_478;
const derpPort = 3_343;
/** Machines of one site share an address, and each has a control and a relay connection. */
const connectionsPerSourceMax = 8_000;
const connectionsMax = 20_000;
const off = 'off';

/** What this listener believes of machines: the handshake, and the challenge of captive portal checks. */
const machineHeaders = ['x-tailscale-handshake', 'x-tailscale-challenge'] as const;

/** Opens the coordination listener, the relay and STUN, or nothing. */
export async function openNetworkPlane(
  options: NetworkPlaneOptions,
): Promise<Result<NetworkPlane, string>> {
  const { plan, control, stateDir, logger } = options;
  const folder = path.join(stateDir, 'coordination');
  const stun = await openStun(plan, control.system.nowMs);
  if (!stun.ok) return stun;
  const closers: (() => Promise<void>)[] = [stun.value.close];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.toReversed()) await close();
  };
  const begun: { coordination?: Coordination; turn?: Turn } = {};
  const relay = await openRelay(
    options,
    folder,
    stun.value.port,
    (nodeKey) => begun.turn?.serves() === true && begun.coordination?.admits(nodeKey) === true,
  );
  if (!relay.ok) {
    await closeAll();
    return relay;
  }
  closers.push(relay.value.close);
  const { own } = relay.value;
  const created = await createCoordination({
    journal: journalOf(control),
    settings: { ...plan, url: plan.url.origin },
    folder,
    nowMs: control.system.nowMs,
    sha256Hex: control.system.sha256Hex,
    log: logger,
    derpMap: (fromPolicy, version) => derpMapOf(own, fromPolicy, version),
    controlKey: options.controlKey,
    share: options.shared,
    putTxtRecord: options.putTxtRecord,
    ...(options.signIn === undefined ? {} : { signIn: options.signIn }),
  });
  if (!created.ok) {
    await closeAll();
    return created;
  }
  const coordination = created.value;
  begun.coordination = coordination;
  closers.push(() => coordination.close());
  const turn = await takeTurns({
    coordination,
    relay: relay.value.relay,
    control,
    logger,
    shared: options.shared,
  });
  begun.turn = turn;
  closers.push(() => Promise.resolve(turn.close()));
  // Whoever is removed, expired or has another key loses its relay connection too.
  const watching = new AbortController();
  control.subscribe(() => void relay.value.relay.recheck(), watching.signal);
  closers.push(() => Promise.resolve(watching.abort()));
  const upgrade: UpgradeHandler = (request, socket, head) => {
    const { method, path: target } = request;
    const headers = Object.fromEntries(request.headers.entries());
    if (target === '/derp' && method === 'GET') {
      const address = request.clientAddress ?? '';
      void acceptDerpUpgrade(relay.value.relay, {
        request: { method, path: target, headers },
        socket,
        head,
        address,
      });
    } else if (target === '/ts2021') coordination.upgrade(request, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  };
  const listeners = await openListeners(
    options,
    onlyInTurn(turn, control, coordination.handler),
    onlyUpgradesInTurn(turn, control, upgrade),
  );
  if (!listeners.ok) {
    await closeAll();
    return listeners;
  }
  if (plan.tls !== undefined) {
    const watch = watchCertificate(plan.tls, () => listeners.value, logger);
    closers.push(() => Promise.resolve(watch.close()));
  }
  return ok({
    plan,
    coordination,
    serves: () => turn.serves(),
    role: () => control.role(),
    listeners: listeners.value,
    relay: own,
    close: async (graceMs) => {
      // Streams first: a listener waits for its connections.
      await closeAll();
      await Promise.all(listeners.value.map((listener) => listener.close(graceMs)));
    },
  });
}

function journalOf(control: Control): NetworkJournal {
  return {
    snapshot: () => control.snapshot(),
    subscribe: (listener, signal) => control.subscribe(listener, signal),
    execute: (command, principal) => {
      const by: Requester = { actor: { principal, channel: 'system' } };
      return control.execute(command, by);
    },
  };
}

async function openListeners(
  { plan, control, logger, newRequestId, trustedProxies = [] }: NetworkPlaneOptions,
  handler: HttpHandler,
  upgrade: UpgradeHandler,
): Promise<Result<readonly Listener[], string>> {
  const places = placesOf(plan.address, coordinationPort, plan);
  if (!places.ok) return places;
  const pair = plan.tls === undefined ? undefined : await readPair(plan.tls);
  if (pair !== undefined && !pair.ok) return pair;
  const listeners: Listener[] = [];
  for (const at of places.value) {
    const bind: Bind =
      pair === undefined ? { kind: 'tcp', ...at } : { kind: 'tls', ...at, ...pair.value };
    const opened = await openListener({
      kind: 'coordination',
      bind,
      handler,
      hosts: undefined,
      trustedProxies,
      onlyTrustedProxies: false,
      believedHeaders: machineHeaders,
      newRequestId,
      nowMs: control.system.nowMs,
      limits: { connectionsMax, connectionsPerSourceMax },
      upgrade,
      onFault: (fault, request_id) => logger.error({ err: fault, request_id }, 'fault'),
    });
    if (opened.ok) listeners.push(opened.value);
    else if (opened.error.kind !== 'no-such-family' || places.value.length === 1) {
      await Promise.all(listeners.map((listener) => listener.close(0)));
      return err(`coordination: ${opened.error.message}`);
    }
  }
  return ok(listeners);
}

function placesOf(
  text: string | undefined,
  port: number,
  plan: NetworkPlan,
): Result<readonly HostPort[], string> {
  if (text !== undefined) return parseAddress(text);
  const host = plan.url.hostname.replace(/^\[|\]$/g, '');
  const isLocal = host === 'localhost' || host === '::1' || host.startsWith('127.');
  return isLocal ? ok(loopback(port)) : parseAddress(`:${port}`);
}

interface OpenStun {
  /** -1: it is off. */
  readonly port: number;
  readonly close: () => Promise<void>;
}

async function openStun(plan: NetworkPlan, nowMs: () => number): Promise<Result<OpenStun, string>> {
  if (plan.stunAddress === off) return ok({ port: -1, close: async () => undefined });
  const places = placesOf(plan.stunAddress, stunPort, plan);
  if (!places.ok) return places;
  const server = new StunServer({ nowMs });
  const sockets: { port: number; close: () => Promise<void> }[] = [];
  for (const { host, port } of places.value) {
    const opened = await bindUdp(host, port, server);
    if (opened.ok) sockets.push(opened.value);
    else if (places.value.length === 1 || sockets.length === 0) {
      if (host.includes(':')) continue;
      return err(`STUN: ${opened.error}`);
    }
  }
  return ok({
    port: sockets[0]?.port ?? -1,
    close: async () => {
      for (const socket of sockets) await socket.close();
    },
  });
}

function bindUdp(
  host: string,
  port: number,
  server: StunServer,
): Promise<Result<{ port: number; close: () => Promise<void> }, string>> {
  const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) });
  socket.on('message', (datagram, source) => {
    const reply = server.answer(datagram, source);
    // A lost answer is asked for again.
    if (reply !== undefined) socket.send(reply, source.port, source.address, () => undefined);
  });
  return new Promise((resolve) => {
    socket.once('error', (cause) => resolve(err(cause.message)));
    socket.bind({ address: host, port }, () => {
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      const close = (): Promise<void> => new Promise((done) => socket.close(() => done()));
      resolve(ok({ port: socket.address().port, close }));
    });
  });
}

interface OpenRelay {
  readonly relay: DerpRelay;
  readonly own: OwnRelay | undefined;
  readonly close: () => Promise<void>;
}

/**
 * The relay answers on the coordination listener where that speaks TLS; otherwise on a TLS port of its own with a
 * self-signed certificate, which clients pin by what the map says.
 */
async function openRelay(
  { plan, control, stateDir: _stateDir, logger }: NetworkPlaneOptions,
  folder: string,
  stun: number,
  mayUse: (nodeKey: string) => boolean,
): Promise<Result<OpenRelay, string>> {
  const { nowMs, randomBytes } = control.system;
  const host = plan.url.hostname.replace(/^\[|\]$/g, '');
  const relay = new DerpRelay({
    keyPair: keyPairOf(randomBytes(32)),
    mayUse,
    nowMs,
    randomBytes,
    onEnd: (end) => logger.debug(end, 'a relay connection ended'),
  });
  const family = isIPv4(host)
    ? { ipv4: host, ipv6: 'none' }
    : isIPv6(host)
      ? { ipv4: 'none', ipv6: host }
      : {};
  const closeRelay = (): Promise<void> => {
    relay.close();
    return Promise.resolve();
  };
  if (plan.derpAddress === off) return ok({ relay, own: undefined, close: closeRelay });
  if (plan.url.protocol === 'https:') {
    const port = plan.url.port === '' ? 443 : Number(plan.url.port);
    return ok({
      relay,
      own: { hostName: host, port, stunPort: stun, ...family },
      close: closeRelay,
    });
  }
  const places = placesOf(plan.derpAddress, derpPort, plan);
  if (!places.ok) return places;
  const certificate = await pinnedCertificate(folder, host, nowMs(), randomBytes);
  const opened: DerpListener[] = [];
  for (const at of places.value) {
    const listener = await openDerpListener({ relay, ...at, certificate, nowMs });
    if (listener.ok) opened.push(listener.value);
    else if (opened.length === 0 && !at.host.includes(':')) {
      return err(`relay: ${listener.error.message}`);
    }
  }
  const port = opened[0]?.port ?? derpPort;
  const { certName } = certificate;
  return ok({
    relay,
    own: { hostName: host, port, stunPort: stun, certName, ...family },
    close: async () => {
      await closeRelay();
      for (const listener of opened) await listener.close();
    },
  });
}

/** The certificate of the relay, kept so that a restart changes nobody's map. */
async function pinnedCertificate(
  folder: string,
  host: string,
  nowMs: number,
  randomBytes: (count: number) => Uint8Array,
): Promise<PinnedCertificate> {
  const file = path.join(folder, 'relay.json');
  try {
    const kept: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (isKept(kept) && kept.host === host) return kept;
  } catch {
    // None yet, or not one of ours: make another; clients learn of it with their map.
  }
  const certificate = createPinnedCertificate({ host, nowMs, randomBytes });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify({ host, ...certificate }), { mode: 0o600 });
  return certificate;
}

function isKept(value: unknown): value is PinnedCertificate & { readonly host: string } {
  if (typeof value !== 'object' || value === null) return false;
  return ['host', 'certificatePem', 'keyPem', 'certName'].every(
    (name) => typeof Reflect.get(value, name) === 'string',
  );
}
