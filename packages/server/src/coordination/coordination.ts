import type { Duplex } from 'node:stream';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Inventory } from '@postern/core/policy';
import type { NetworkNode } from '@postern/core/state';
import type { HttpHandler, HttpRequest } from '../http/index.ts';
import { IdTokens } from './id-token.ts';
import { loadControlKey, machineKeyText } from './control-key.ts';
import type { PendingJoin } from './joining/pending.ts';
import { PendingJoins } from './joining/pending.ts';
import { SshChecks } from './joining/ssh-checks.ts';
import { Registration } from './joining/registration.ts';
import { coordinationLimits } from './limits.ts';
import { MachineServices } from './machine-services.ts';
import { MachineApi } from './machine-api.ts';
import { MachineChannels } from './machine-channel.ts';
import type { ServiceAddress } from './netmap/dns.ts';
import { MapHub } from './netmap/map-hub.ts';
import { NetworkView } from './netmap/network-view.ts';
import type { Report } from './netmap/reports.ts';
import { ReportFile, Reports } from './netmap/reports.ts';
import type { CoordinationOptions, SignedIn } from './ports.ts';
import { publicHandler } from './public-pages.ts';

/** What is known of a machine besides what was decided. */
export interface MachineFacts {
  readonly online: boolean;
  readonly report: Report | undefined;
}

/** The coordination server, without its listener. */
export interface Coordination {
  /** `mkey:…`: what clients pin. */
  readonly publicKey: string;
  /** Whether machines are served here: always, but where several servers share a network. */
  readonly serves: boolean;
  /** Begins to serve, once the journal is up to date: everybody is presumed to be coming back. */
  lead(): Promise<void>;
  /** Ends every connection of a machine: another server serves them. */
  rest(): void;
  readonly handler: HttpHandler;
  readonly upgrade: (request: HttpRequest, socket: Duplex, head: Uint8Array) => void;
  facts(id: string): MachineFacts | undefined;
  inventory(): Inventory;
  pending(): readonly PendingJoin[];
  /** Lets a waiting machine in, for a person or with tags. */
  admit(
    id: string,
    as: { readonly who: SignedIn } | { readonly tags: readonly string[] },
    actor: string,
  ): Promise<Result<NetworkNode, Refusal>>;
  /** What machines serve, as names below the base domain that every machine resolves: all of them, in order. */
  name(services: readonly ServiceAddress[]): void;
  /** Whether a node key is one of an active machine: who may use the relay. */
  admits(nodeKey: string): boolean;
  /** What the map streams were sent since the start. */
  readonly sent: { readonly wholes: number; readonly deltas: number; readonly bytes: number };
  readonly streams: number;
  readonly channels: number;
  close(): Promise<void>;
}

/** How often ends of keys, absences and keepalives are looked at. */
const tickMs = 1_000;
/** How often a server that does not serve looks at what machines told the one that does. */
const hearMs = 10_000;
/** After a start everybody has this long to come back before they count as away. */
const returnMsMax = 60_000;

export async function createCoordination(
  options: CoordinationOptions,
): Promise<Result<Coordination, string>> {
  const { journal, settings, folder, nowMs, sha256Hex, log, derpMap, signIn, share } = options;
  const control = await loadControlKey({ folder, given: options.controlKey, share });
  if (!control.ok) return err(control.error);
  const reports = new Reports(share?.reports ?? new ReportFile(folder), log);
  await reports.load();
  const { putTxtRecord } = options;
  const hasCertificates = putTxtRecord !== undefined;
  const view = new NetworkView(
    { settings, reports, hasCertificates, nowMs, log },
    journal.snapshot(),
  );
  const onFault = (fault: unknown): void => log.error({ err: fault }, 'fault');
  const derpText = (version: number): string =>
    JSON.stringify(derpMap(view.policyFile.derpMap, version));
  const hub = new MapHub({ view, baseDomain: settings.baseDomain, derpText, nowMs, onFault });
  const ending = new AbortController();
  journal.subscribe((snapshot) => {
    view.apply(snapshot);
    hub.wake();
  }, ending.signal);
  const pending = new PendingJoins();
  const registration = new Registration({
    journal,
    settings,
    view,
    pending,
    nowMs,
    sha256Hex,
    log,
  });
  const checks = new SshChecks();
  const confirmUrl = (id: string): string => `${settings.url}/ssh-check/${id}`;
  const ssh = { view, checks, nowMs, confirmUrl: signIn === undefined ? undefined : confirmUrl };
  const tokens = new IdTokens(settings.url, control.value);
  const { baseDomain } = settings;
  const services = new MachineServices({ view, baseDomain, tokens, putTxtRecord, nowMs, log });
  const shared = { registration, view, hub, journal, nowMs, onFault, ssh };
  const api = new MachineApi({ ...shared, services, hasCertificates });
  const channels = new MachineChannels({
    control: control.value,
    nowMs,
    serve: (call) => api.serve(call),
    isKnown: (machineKey) => journal.snapshot().network.nodesByMachine.has(machineKey),
    onFault,
  });
  const publicKey = machineKeyText(control.value.publicKey);
  const turn = { serves: share === undefined, sinceMs: nowMs(), heardMs: nowMs() };
  const timer = setInterval(() => tick(), tickMs).unref();
  const tick = (): void => {
    const now = nowMs();
    view.expire(now);
    if (turn.serves) {
      hub.keepAlive(now);
      lookForAbsent(options, view, reports, now, turn.sinceMs);
    } else if (now - turn.heardMs > hearMs) {
      turn.heardMs = now;
      void reports.load().then((news) => (news && !turn.serves ? view.resume() : undefined));
    }
    hub.wake();
  };
  const refuseMachines = (): void => {
    turn.serves = false;
    hub.closeAll();
    channels.closeAll();
    pending.clear();
  };
  return ok({
    publicKey,
    get serves() {
      return turn.serves;
    },
    lead: async () => {
      await reports.load();
      view.resume();
      turn.sinceMs = nowMs();
      turn.serves = true;
    },
    rest: refuseMachines,
    handler: publicHandler({
      publicKey,
      tokens,
      settings,
      pending,
      checks,
      users: () => journal.snapshot().network.usersBySubject,
      nowMs,
      log,
      ...(signIn === undefined ? {} : { signIn }),
      admit: (waiting, who) =>
        registration.admit(waiting, { who }, `oidc:${who.authority}#${who.subject}`),
    }),
    upgrade: (request, socket, head) => channels.accept(request, socket, head),
    facts: (id) => {
      const machine = view.machine(id);
      return machine === undefined ? undefined : { online: machine.online, report: machine.report };
    },
    inventory: () => view.inventory(),
    pending: () => pending.list(nowMs()),
    admit: (id, as, actor) => {
      const waiting = pending.get(id, nowMs());
      if (waiting !== undefined) return registration.admit(waiting, as, actor);
      return Promise.resolve(refuse('not_found', `No machine waits under ${id}.`, { param: 'id' }));
    },
    name: (services) => {
      view.name(services);
      hub.wake();
    },
    admits: (nodeKey) => {
      const node = journal.snapshot().network.nodesByKey.get(nodeKey);
      return node !== undefined && view.machine(node.id)?.isActive === true;
    },
    sent: hub.sent,
    get streams() {
      return hub.streams;
    },
    get channels() {
      return channels.open;
    },
    close: async () => {
      clearInterval(timer);
      ending.abort();
      hub.closeAll();
      channels.closeAll();
      await reports.close();
    },
  });
}

/** Machines whose stream ended a while ago are offline; ephemeral ones that stay away are forgotten. */
function lookForAbsent(
  { journal, settings, log }: CoordinationOptions,
  view: NetworkView,
  reports: Reports,
  nowMs: number,
  startedAtMs: number,
): void {
  const isFresh = nowMs - startedAtMs < returnMsMax;
  for (const machine of view.machines()) {
    const { record, awaySinceMs, report } = machine;
    if (awaySinceMs === undefined) {
      if (report !== undefined && report.lastSeenMs !== 0) markPresent(machine, reports);
      continue;
    }
    const awayMs = nowMs - awaySinceMs;
    const isReturning = isFresh && awaySinceMs <= startedAtMs;
    if (machine.online && awayMs >= coordinationLimits.awayMsMax && !isReturning) {
      if (report !== undefined) {
        machine.report = { ...report, lastSeenMs: awaySinceMs };
        reports.set(record.id, machine.report);
      }
      view.setOnline(machine, false);
    }
    if (record.ephemeral && awayMs >= settings.ephemeralAwayMsMax) {
      machine.awaySinceMs = nowMs;
      const command = { kind: 'node.delete', id: record.id } as const;
      void journal.execute(command, 'policy:ephemeral').then((done) => {
        if (done.ok)
          log.info({ node: record.id, name: record.name }, 'an ephemeral machine is gone');
      });
    }
  }
}

/** Zero: there at the last look. After a kill such a machine is presumed to be coming back. */
function markPresent(
  machine: { record: NetworkNode; report: Report | undefined },
  reports: Reports,
): void {
  if (machine.report === undefined) return;
  machine.report = { ...machine.report, lastSeenMs: 0 };
  reports.set(machine.record.id, machine.report);
}
