import { PassThrough, type Writable } from 'node:stream';
import { coordinationLimits } from '../limits.ts';
import { mapFrame } from '../protocol/frame.ts';
import type { MapRequest } from '../protocol/requests.ts';
import { Bits } from './bits.ts';
import { Changes } from './changes.ts';
import type { Machine } from './machine.ts';
import { MapSession } from './map-session.ts';
import type { NetworkView } from './network-view.ts';
import { iso } from './node-text.ts';
import { SharedPeers } from './shared-peers.ts';

export interface MapHubOptions {
  readonly view: NetworkView;
  readonly baseDomain: string;
  /** `tailcfg.DERPMap` as JSON. */
  readonly derpText: (version: number) => string;
  readonly nowMs: () => number;
  readonly onFault: (fault: unknown) => void;
}

/** What one machine is told about others in one message. */
interface Delta {
  readonly added: number[];
  readonly changed: number[];
  readonly patched: number[];
  readonly online: number[];
  readonly removed: number[];
}

/** Serves the open map streams: the whole map once, then what changed, gathered over some milliseconds. */
export class MapHub {
  readonly #options: MapHubOptions;
  readonly #sessions = new Map<Machine, MapSession>();
  readonly #shared: SharedPeers;
  #timer: NodeJS.Timeout | undefined;
  #lastFlush = { endedMs: 0, tookMs: 0 };
  /** Whole maps and changes that were sent: their ratio says whether clients are told of changes only. */
  readonly sent = { wholes: 0, deltas: 0, bytes: 0 };

  constructor(options: MapHubOptions) {
    this.#options = options;
    this.#shared = new SharedPeers(options.view);
  }

  get streams(): number {
    return this.#sessions.size;
  }

  isConnected(machine: Machine): boolean {
    return this.#sessions.has(machine);
  }

  /** A new stream takes the place of an older one of the same machine. */
  open(machine: Machine, request: MapRequest, stream: Writable): MapSession {
    const { view, nowMs } = this.#options;
    this.#sessions.get(machine)?.end();
    const session = new MapSession({
      machine,
      stream,
      version: request.version,
      isZstd: request.wantsZstd,
      wantsKeepAlive: request.keepAlive,
      known: new Bits(),
      nowMs: nowMs(),
    });
    this.#sessions.set(machine, session);
    machine.awaySinceMs = undefined;
    view.setOnline(machine, true);
    this.#sendWhole(session);
    this.wake();
    return session;
  }

  /** The stream is gone. The machine counts as away only after a while. */
  close(session: MapSession): void {
    const { machine } = session;
    if (this.#sessions.get(machine) !== session) return;
    this.#sessions.delete(machine);
    machine.awaySinceMs = this.#options.nowMs();
  }

  closeAll(): void {
    clearTimeout(this.#timer);
    for (const session of this.#sessions.values()) session.end();
    this.#sessions.clear();
  }

  /** The whole map once, for a request that does not stay. */
  whole(machine: Machine, { version, wantsZstd }: MapRequest): Buffer {
    const session = new MapSession({
      machine,
      stream: new PassThrough(),
      version,
      isZstd: wantsZstd,
      wantsKeepAlive: false,
      known: new Bits(),
      nowMs: this.#options.nowMs(),
    });
    return mapFrame(this.#wholeBytes(session), wantsZstd);
  }

  /**
   * Something changed: tell everybody soon. After a telling that took long, changes are gathered for longer, so that
   * telling never takes more than a part of the time; the first change after a quiet time waits for nobody.
   */
  wake(): void {
    if (this.#timer !== undefined || this.#options.view.changes.isEmpty) return;
    const { flushMsMin, flushMsMax, flushRest } = coordinationLimits;
    const { endedMs, tookMs } = this.#lastFlush;
    const restMs = endedMs + flushRest * tookMs - performance.now();
    const waitMs = Math.min(flushMsMax, Math.max(flushMsMin, restMs));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const started = performance.now();
      try {
        this.#flush();
      } catch (fault) {
        this.#options.onFault(fault);
      }
      const endedMs = performance.now();
      this.#lastFlush = { endedMs, tookMs: endedMs - started };
      this.wake();
    }, waitMs);
  }

  keepAlive(nowMs: number): void {
    for (const session of this.#sessions.values()) session.keepAlive(nowMs);
  }

  #flush(): void {
    const { view } = this.#options;
    const { changes } = view;
    view.changes = new Changes();
    const relations = this.#relations(changes);
    const frames = new Map<string, Buffer>();
    for (const session of this.#sessions.values()) {
      if (session.machine.record.nodeKey !== session.nodeKey) session.end();
      if (session.isBehind || !session.isOpen) continue;
      if (session.hasBacklog) this.#fallBehind(session);
      else this.#tell(session, changes, relations, frames);
    }
    for (const machine of changes.removed) {
      const session = this.#sessions.get(machine);
      if (session !== undefined) this.#sendFarewell(session);
      session?.end();
      this.#sessions.delete(machine);
    }
    view.release(changes.removed);
  }

  /** New peers of every machine whose relations may have changed. */
  #relations(changes: Changes): ReadonlyMap<number, Bits> {
    const { view } = this.#options;
    const machines = changes.everything ? [...view.machines()] : [];
    for (const slot of changes.everything ? [] : changes.relations) {
      const machine = view.at(slot);
      if (machine !== undefined) machines.push(machine);
    }
    machines.push(...changes.removed);
    return new Map(machines.map((machine) => [machine.slot, view.peers(machine)]));
  }

  #tell(
    session: MapSession,
    changes: Changes,
    relations: ReadonlyMap<number, Bits>,
    frames: Map<string, Buffer>,
  ): void {
    const { slot } = session.machine;
    const delta: Delta = { added: [], changed: [], patched: [], online: [], removed: [] };
    const own = relations.get(slot);
    if (own === undefined) this.#diffWithChanged(session, relations, delta);
    else this.#diffOwn(session, own, delta);
    noteKnown(session.known, changes, delta);
    const isTouched = own !== undefined || changes.whole.has(slot) || changes.online.has(slot);
    const extras = this.#extras(session, isTouched, changes);
    const { added, changed, patched, online, removed } = delta;
    const count = added.length + changed.length + patched.length + online.length + removed.length;
    if (count === 0 && extras === '') return;
    const lists = `${added.join()}|${changed.join()}|${patched.join()}|${online.join()}|${removed.join()}`;
    const key = `${session.isZstd ? 'z' : 'p'}${lists}${extras}`;
    let frame = frames.get(key);
    if (frame === undefined) {
      frame = mapFrame(this.#deltaText(delta, changes, extras), session.isZstd);
      frames.set(key, frame);
    }
    this.sent.deltas += 1;
    this.sent.bytes += frame.length;
    session.send(frame, this.#options.nowMs());
  }

  /** Only pairs with a machine that changed can have changed. */
  #diffWithChanged(session: MapSession, relations: ReadonlyMap<number, Bits>, delta: Delta): void {
    const { slot } = session.machine;
    for (const [other, peers] of relations) {
      const knows = peers.has(slot);
      if (knows === session.known.has(other)) continue;
      if (knows) {
        session.known.add(other);
        delta.added.push(other);
      } else {
        session.known.delete(other);
        delta.removed.push(other);
      }
    }
  }

  #diffOwn(session: MapSession, next: Bits, delta: Delta): void {
    for (const other of next.numbers()) if (!session.known.has(other)) delta.added.push(other);
    for (const other of session.known.numbers()) if (!next.has(other)) delta.removed.push(other);
    session.known = next.copy();
  }

  /** What changed about the machine itself, as members of the message. */
  #extras(session: MapSession, isTouched: boolean, changes: Changes): string {
    const { view } = this.#options;
    const { machine, told } = session;
    let text = '';
    const note = (name: keyof typeof told, now: string, member: string): void => {
      if (told[name] === now) return;
      told[name] = now;
      text += `,${member}`;
    };
    if (isTouched || changes.everything) {
      const self = view.selfText(machine);
      note('self', self, `"Node":${self}`);
      const filter = view.filterText(machine);
      note('filter', filter, `"PacketFilters":{"base":${filter}}`);
      const ssh = view.sshText(machine);
      note('ssh', ssh, `"SSHPolicy":${ssh}`);
    }
    // Its own name is part of it where it can get a certificate.
    if (changes.dns || changes.everything || isTouched) {
      const dns = view.dnsTextFor(machine);
      note('dns', dns, `"DNSConfig":${dns}`);
    }
    if (changes.derp) {
      const derp = this.#options.derpText(session.version);
      note('derp', derp, `"DERPMap":${derp}`);
    }
    return text;
  }

  #deltaText(delta: Delta, changes: Changes, extras: string): string {
    const { view } = this.#options;
    const whole = this.#machinesAt([...delta.added, ...delta.changed]);
    const parts: string[] = [];
    if (whole.length > 0) {
      parts.push(`"PeersChanged":[${whole.map((machine) => view.peerText(machine)).join()}]`);
      parts.push(`"UserProfiles":${this.#profiles(whole)}`);
    }
    const patched = this.#machinesAt(delta.patched);
    if (patched.length > 0) {
      parts.push(`"PeersChangedPatch":${JSON.stringify(patched.map(patchOf))}`);
    }
    const online = this.#machinesAt(delta.online);
    if (online.length > 0) {
      const flips = online.map(({ record, online: is }) => [record.number, is] as const);
      parts.push(`"OnlineChange":${JSON.stringify(Object.fromEntries(flips))}`);
    }
    const removed = [
      ...this.#machinesAt(delta.removed),
      ...changes.removed.filter(({ slot }) => delta.removed.includes(slot)),
    ];
    if (removed.length > 0) {
      const numbers = [...new Set(removed.map(({ record }) => record.number))];
      parts.push(`"PeersRemoved":${JSON.stringify(numbers.toSorted((a, b) => a - b))}`);
    }
    return `{${parts.join()}${parts.length === 0 ? extras.slice(1) : extras}}`;
  }

  #machinesAt(slots: readonly number[]): readonly Machine[] {
    const { view } = this.#options;
    return slots
      .flatMap((slot) => view.at(slot) ?? [])
      .toSorted((a, b) => a.record.number - b.record.number);
  }

  #profiles(machines: readonly Machine[]): string {
    const { view } = this.#options;
    const profiles = new Map(machines.map((machine) => [view.profile(machine).ID, machine]));
    return JSON.stringify([...profiles.values()].map((machine) => view.profile(machine)));
  }

  #fallBehind(session: MapSession): void {
    session.isBehind = true;
    session.onDrain(() => {
      session.isBehind = false;
      this.#sendWhole(session);
    });
  }

  /** A machine that was removed is told that its key is over: otherwise its client would wait for ever. */
  #sendFarewell(session: MapSession): void {
    // Our own text of a node, sent before.
    const self = JSON.parse(session.told.self) as Readonly<Record<string, unknown>>;
    const text = JSON.stringify({ Node: { ...self, KeyExpiry: iso(0) } });
    session.send(mapFrame(text, session.isZstd), this.#options.nowMs());
  }

  #sendWhole(session: MapSession): void {
    const frame = mapFrame(this.#wholeBytes(session), session.isZstd);
    this.sent.wholes += 1;
    this.sent.bytes += frame.length;
    session.send(frame, this.#options.nowMs());
  }

  #wholeBytes(session: MapSession): Buffer {
    const { view, baseDomain, derpText, nowMs } = this.#options;
    const { machine, told } = session;
    const before = session.known;
    session.known = view.peers(machine);
    const gone = this.#machinesAt([...before.numbers()].filter((slot) => !session.known.has(slot)));
    const machinesAt = (slots: Iterable<number>): readonly Machine[] =>
      this.#machinesAt([...slots]);
    const { peers, profiles } = this.#shared.of(machine, session.known, machinesAt);
    told.self = view.selfText(machine);
    told.filter = view.filterText(machine);
    told.ssh = view.sshText(machine);
    told.dns = view.dnsTextFor(machine);
    told.derp = derpText(session.version);
    const parts = [
      `"Node":${told.self}`,
      `"DERPMap":${told.derp}`,
      `"DNSConfig":${told.dns}`,
      `"PacketFilters":{"base":${told.filter}}`,
      `"SSHPolicy":${told.ssh}`,
      `"UserProfiles":${profiles}`,
      `"Domain":${JSON.stringify(baseDomain)}`,
      `"CollectServices":false`,
      `"ControlTime":"${iso(nowMs())}"`,
      `"Debug":{"DisableLogTail":true}`,
    ];
    if (peers.every(({ length }) => length === 0)) {
      // An empty list would say "unchanged".
      const numbers = gone.map(({ record }) => record.number);
      if (gone.length > 0) parts.push(`"PeersRemoved":${JSON.stringify(numbers)}`);
      return Buffer.from(`{${parts.join()}}`, 'utf8');
    }
    const head = Buffer.from(`{${parts.join()},"Peers":[`, 'utf8');
    return Buffer.concat([head, ...peers, Buffer.from(']}', 'utf8')]);
  }
}

/** Changes of machines that the session knew before and still knows. */
function noteKnown(known: Bits, changes: Changes, delta: Delta): void {
  const fresh = new Set(delta.added);
  const isKnown = (slot: number): boolean => known.has(slot) && !fresh.has(slot);
  for (const slot of changes.whole) if (isKnown(slot)) delta.changed.push(slot);
  for (const slot of changes.patched) {
    if (isKnown(slot) && !changes.whole.has(slot)) delta.patched.push(slot);
  }
  for (const slot of changes.online) {
    if (isKnown(slot) && !changes.whole.has(slot)) delta.online.push(slot);
  }
}

function patchOf({ record, report, online }: Machine): Readonly<Record<string, unknown>> {
  return {
    NodeID: record.number,
    ...(report === undefined
      ? {}
      : {
          DERPRegion: report.derp,
          Endpoints: report.endpoints,
          ...(report.discoKey === '' ? {} : { DiscoKey: report.discoKey }),
        }),
    Online: online,
  };
}
