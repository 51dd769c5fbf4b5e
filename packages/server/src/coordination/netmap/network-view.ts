import { present } from '@postern/core/base';
import { formatPrefix } from '@postern/core/base/netip';
import type { Inventory, PolicyFile, Tailnet } from '@postern/core/policy';
import { compileTailnet, parsePolicyText, peersOf } from '@postern/core/policy';
import type { NetworkNode, NetworkUser, Snapshot } from '@postern/core/state';
import { currentPolicy } from '@postern/core/state';
import type { CoordinationLog, NetworkSettings } from '../ports.ts';
import { Bits } from './bits.ts';
import { Changes } from './changes.ts';
import type { ServiceAddress } from './dns.ts';
import { dnsTextOf } from './dns.ts';
import type { Machine } from './machine.ts';
import { inventoryNodeOf, isActiveNode, taggedUserNumber } from './machine.ts';
import type { NodeContext, UserProfile } from './node-text.ts';
import { peerTextOf, profileOf, selfTextOf } from './node-text.ts';
import type { Report, Reports } from './reports.ts';
import { RouteTable } from './route-table.ts';

/** Where the network has no policy, nobody reaches anybody. */
const noPolicyText = '{"grants": []}';
/** SSH servers ask over their own channel, whatever the host in the URL. */
const sshCheckUrl = 'https://control';

export interface NetworkViewOptions {
  readonly settings: NetworkSettings;
  readonly reports: Reports;
  /** Machines can get certificates for their names. */
  readonly hasCertificates: boolean;
  readonly nowMs: () => number;
  readonly log: CoordinationLog;
}

/**
 * The network as it is now: the journal's decisions, the machines' reports and who is there, joined with the compiled
 * policy. Every change is noted in `changes`, which whoever tells the machines takes.
 */
export class NetworkView {
  readonly #options: NetworkViewOptions;
  readonly #machines: (Machine | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #byId = new Map<string, Machine>();
  readonly #routes = new RouteTable();
  #snapshot: Snapshot;
  #tailnet: Tailnet;
  #file: PolicyFile;
  #dnsText: string | undefined;
  #services: readonly ServiceAddress[] = [];
  changes = new Changes();
  /** Changes whenever what peers are told of any machine may have changed. */
  textsVersion = 0;

  constructor(options: NetworkViewOptions, snapshot: Snapshot) {
    this.#options = options;
    this.#snapshot = snapshot;
    const nowMs = options.nowMs();
    for (const record of snapshot.network.nodesById.values()) this.#enter(record, nowMs);
    this.#file = this.#readPolicy(snapshot);
    this.#tailnet = compileTailnet(this.#file, this.inventory());
    for (const machine of this.#byId.values()) this.#routes.put(machine);
    this.changes = new Changes();
  }

  get tailnet(): Tailnet {
    return this.#tailnet;
  }

  get policyFile(): PolicyFile {
    return this.#file;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  machine(id: string): Machine | undefined {
    return this.#byId.get(id);
  }

  at(slot: number): Machine | undefined {
    return this.#machines[slot];
  }

  machines(): Iterable<Machine> {
    return this.#byId.values();
  }

  inventory(): Inventory {
    const users = [...this.#snapshot.network.usersById.values()];
    return {
      users: users.map(({ id, login, role }) => ({
        id,
        login,
        roles: role === undefined ? [] : [role],
      })),
      nodes: [...this.#byId.values()].filter(({ isActive }) => isActive).map(inventoryNodeOf),
    };
  }

  /** Takes over what the journal says now. */
  apply(snapshot: Snapshot): void {
    const before = this.#snapshot;
    if (snapshot.index === before.index) return;
    this.#snapshot = snapshot;
    const nowMs = this.#options.nowMs();
    const { network } = snapshot;
    if (network.dns !== before.network.dns) this.#dnsChanged();
    const policyChanged =
      currentPolicy(snapshot.policy)?.digest !== currentPolicy(before.policy)?.digest;
    const usersChanged = network.usersById !== before.network.usersById;
    if (network.nodesById !== before.network.nodesById) this.#applyNodes(nowMs);
    if (policyChanged) this.#file = this.#readPolicy(snapshot);
    if (usersChanged) this.textsVersion += 1;
    if (policyChanged || usersChanged) {
      this.#tailnet = compileTailnet(this.#file, this.inventory());
      this.changes.everything = true;
    }
    if (policyChanged) this.changes.derp = true;
  }

  #applyNodes(nowMs: number): void {
    const { nodesById } = this.#snapshot.network;
    for (const record of nodesById.values()) {
      const machine = this.#byId.get(record.id);
      if (machine === undefined) this.#update(this.#enter(record, nowMs), nowMs);
      else if (machine.record !== record) {
        machine.record = record;
        this.#update(machine, nowMs);
      }
    }
    if (this.#byId.size === nodesById.size) return;
    for (const machine of this.#byId.values()) {
      if (!nodesById.has(machine.record.id)) this.#leave(machine);
    }
  }

  #enter(record: NetworkNode, nowMs: number): Machine {
    const slot = this.#free.pop() ?? this.#machines.length;
    const report = this.#options.reports.get(record.id);
    // Whoever was there when this process was killed is presumed there until it had time to come back.
    const wasOnline = report !== undefined && report.lastSeenMs === 0;
    const machine: Machine = {
      slot,
      record,
      report,
      isActive: isActiveNode(record, nowMs),
      online: wasOnline,
      awaySinceMs: nowMs,
      peerText: undefined,
    };
    this.textsVersion += 1;
    this.#machines[slot] = machine;
    this.#byId.set(record.id, machine);
    return machine;
  }

  #leave(machine: Machine): void {
    const { id } = machine.record;
    this.textsVersion += 1;
    this.#byId.delete(id);
    machine.isActive = false;
    this.#told(this.#tailnet.update({ kind: 'remove', id }), machine);
    this.#reroute(machine);
    this.#options.reports.delete(id);
    this.changes.removed.push(machine);
    this.#dnsChanged();
  }

  /** Another server took reports meanwhile, and whoever it served is presumed to be coming back. */
  resume(): void {
    const nowMs = this.#options.nowMs();
    for (const machine of this.#byId.values()) {
      machine.report = this.#options.reports.get(machine.record.id);
      machine.online = machine.report?.lastSeenMs === 0;
      machine.awaySinceMs = nowMs;
      machine.isActive = isActiveNode(machine.record, nowMs);
      this.#forgetText(machine);
      this.#routes.put(machine);
    }
    this.#tailnet = compileTailnet(this.#file, this.inventory());
    this.changes.everything = true;
    this.#dnsChanged();
  }

  /** Slots of machines that are gone are free once everybody was told. */
  release(machines: readonly Machine[]): void {
    for (const { slot } of machines) {
      this.#machines[slot] = undefined;
      this.#free.push(slot);
    }
  }

  /** After a change of what policy and routing look at. */
  #update(machine: Machine, nowMs: number): void {
    machine.isActive = isActiveNode(machine.record, nowMs);
    this.#forgetText(machine);
    const { id } = machine.record;
    const change = machine.isActive
      ? ({ kind: 'put', node: inventoryNodeOf(machine) } as const)
      : ({ kind: 'remove', id } as const);
    this.#told(this.#tailnet.update(change), machine);
    this.#reroute(machine);
    this.changes.whole.add(machine.slot);
    this.#dnsChanged();
  }

  #told(
    update: { readonly tailnet: Tailnet; readonly affected: readonly string[] },
    machine: Machine,
  ): void {
    this.#tailnet = update.tailnet;
    this.changes.relations.add(machine.slot);
    for (const id of update.affected) {
      const other = this.#byId.get(id);
      if (other !== undefined) this.changes.relations.add(other.slot);
    }
  }

  #reroute(machine: Machine): void {
    for (const slot of this.#routes.put(machine)) {
      const other = this.#machines[slot];
      if (other === undefined) continue;
      this.#forgetText(other);
      this.changes.whole.add(slot);
    }
  }

  #forgetText(machine: Machine): void {
    machine.peerText = undefined;
    this.textsVersion += 1;
  }

  /** Who serves what from now on, as names. */
  name(services: readonly ServiceAddress[]): void {
    this.#services = services;
    this.#dnsChanged();
  }

  #dnsChanged(): void {
    const before = this.#dnsText;
    this.#dnsText = undefined;
    if (before !== undefined && before !== this.dnsText()) this.changes.dns = true;
  }

  /** What a machine reports about itself. Returns whether anything changed. */
  report(machine: Machine, report: Report): boolean {
    const before = machine.report;
    machine.report = report;
    this.#options.reports.set(machine.record.id, report);
    const info = JSON.stringify(before?.hostinfo) === JSON.stringify(report.hostinfo);
    if (before === undefined || !info || before.version !== report.version) {
      this.#update(machine, this.#options.nowMs());
      return true;
    }
    const isSame =
      before.discoKey === report.discoKey &&
      before.derp === report.derp &&
      before.endpoints.join() === report.endpoints.join();
    if (isSame) return false;
    this.#forgetText(machine);
    this.changes.patched.add(machine.slot);
    return true;
  }

  setOnline(machine: Machine, online: boolean): void {
    if (machine.online === online) return;
    machine.online = online;
    this.#forgetText(machine);
    this.changes.online.add(machine.slot);
    this.#reroute(machine);
    this.#dnsChanged();
  }

  /** Looks for keys that ended since. */
  expire(nowMs: number): void {
    for (const machine of this.#byId.values()) {
      if (machine.isActive !== isActiveNode(machine.record, nowMs)) this.#update(machine, nowMs);
    }
  }

  /** Slots of the machines that this one may know. */
  peers(machine: Machine): Bits {
    if (!machine.isActive || !this.#byId.has(machine.record.id)) return new Bits();
    const slots = peersOf(this.#tailnet, machine.record.id).map(
      (id) => present(this.#byId.get(id), 'a peer of the policy is a machine').slot,
    );
    return Bits.of(slots);
  }

  peerText(machine: Machine): string {
    machine.peerText ??= peerTextOf(machine, this.#nodeContext(machine));
    return machine.peerText;
  }

  selfText(machine: Machine): string {
    const attributes = this.#tailnet.attributesOf(machine.record.id);
    const own = this.#options.hasCertificates ? { ...attributes, https: null } : attributes;
    return selfTextOf(machine, this.#nodeContext(machine), own);
  }

  filterText(machine: Machine): string {
    return JSON.stringify(machine.isActive ? this.#tailnet.filterOf(machine.record.id) : []);
  }

  sshText(machine: Machine): string {
    const rules = machine.isActive ? this.#tailnet.sshOf(machine.record.id, sshCheckUrl) : [];
    return JSON.stringify({ rules });
  }

  dnsText(): string {
    const { baseDomain } = this.#options.settings;
    const { dns } = this.#snapshot.network;
    this.#dnsText ??= dnsTextOf(dns, baseDomain, this.#byId.values(), this.#services);
    return this.#dnsText;
  }

  /** The same for one machine: with the name that it can get a certificate for. */
  dnsTextFor({ record }: Machine): string {
    const { settings, hasCertificates } = this.#options;
    const text = this.dnsText();
    if (!hasCertificates) return text;
    const names = JSON.stringify([`${record.name}.${settings.baseDomain}`]);
    return `${text.slice(0, -1)},"CertDomains":${names}}`;
  }

  profile({ record }: Machine): UserProfile {
    return profileOf(record, this.#owner(record));
  }

  /** Routes that the policy approves by itself and nobody has approved yet, with those that somebody has. */
  routesToApprove(machine: Machine): readonly string[] | undefined {
    const { approvedRoutes } = machine.record;
    const approvable = this.#tailnet
      .approvableRoutesOf(inventoryNodeOf(machine))
      .map(formatPrefix)
      .filter((route) => !approvedRoutes.includes(route));
    return approvable.length === 0 ? undefined : [...approvedRoutes, ...approvable];
  }

  #owner({ userId }: NetworkNode): NetworkUser | undefined {
    return userId === undefined ? undefined : this.#snapshot.network.usersById.get(userId);
  }

  #nodeContext(machine: Machine): NodeContext {
    const { record } = machine;
    const owner = record.tags.length > 0 ? undefined : this.#owner(record);
    return {
      baseDomain: this.#options.settings.baseDomain,
      userNumber: owner?.number ?? taggedUserNumber,
      ...this.#routes.routesOf(machine),
    };
  }

  #readPolicy(snapshot: Snapshot): PolicyFile {
    const version = currentPolicy(snapshot.policy);
    const parsed = parsePolicyText(version?.text ?? noPolicyText);
    if (parsed.accepted) return parsed.file;
    // A release that reads policies more strictly: half of a policy is no policy.
    this.#options.log.error(
      { digest: version?.digest, problem: parsed.refusal },
      'the policy in force cannot be read; no machine reaches another',
    );
    return parsePolicyText(noPolicyText).file;
  }
}
