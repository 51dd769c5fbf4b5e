import type { Result, Secret } from '@postern/core/base';
import { err, ok, present } from '@postern/core/base';
import { parseAddr, prefixContains } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Instance, InstanceClaim, PageQuery, RosterPage } from '@postern/core/registry';
import { Leases, pageOfRoster, registryLimits } from '@postern/core/registry';
import type { RegistryState } from '@postern/core/state';
import { epochOf, rosterOf } from '@postern/core/state';
import type { Requester } from '../control.ts';
import type { AuthKey } from '../engine/index.ts';
import { followerRefusal } from '../role.ts';
import type { InstanceChange } from './changes.ts';
import { changesBetween } from './changes.ts';
import type { Health, HealthRule } from './health.ts';
import { HealthBook, HealthChecks } from './health.ts';
import { Heartbeats } from './heartbeats.ts';
import type { DeviceEnd } from './leave-token.ts';
import { leaveToken, removeDevice } from './leave-token.ts';
import type { RegistryOptions, RegistryRules } from './ports.ts';
import { Pages } from './pages.ts';
import type { RegistryRights } from './rights.ts';
import { mayRegister, rightsOf } from './rights.ts';

/** How often leases that are over are looked for. Nobody is sent to them in between. */
const sweepMs = 500;
/** Instances that are looked at in one go: about 0.2 ms. */
const sweepSlice = 1_000;
/** A key for one machine that joins right away. */
const joinKeyLifeMs = 10 * 60_000;

export interface Registered {
  readonly instance: Instance;
  readonly isNew: boolean;
  readonly leaseEndsAtMs: number;
}

/** A key for one machine, and what it joins by it. */
export interface JoinKey extends AuthKey {
  readonly url: string;
}

/** The registry as it runs: instances from the journal, leases beside it. */
export class Registry {
  readonly #options: RegistryOptions;
  readonly #leases = new Leases();
  readonly #heartbeats: Heartbeats;
  readonly #health = new HealthBook();
  readonly #checks: HealthChecks | undefined;
  readonly #listeners = new Set<(changes: readonly InstanceChange[]) => void>();
  /** Their leases begin when the journal has them: until then they are not swept. */
  readonly #registering = new Map<string, number>();
  readonly #closed = new AbortController();
  /** Rises with whatever is said of a member of a type. */
  readonly #versions = new Map<string, number>();
  #lastVersion = 0;
  /** Rises where that is so for all of them. */
  #era = 0;
  /** What whoever serves discovery has written already. */
  readonly pages = new Pages();
  #seen: RegistryState;
  #timer: { clear(): void } | undefined;
  #hasFollowed = false;

  private constructor(options: RegistryOptions) {
    this.#options = options;
    this.#heartbeats = new Heartbeats(options.leases, this.#leases);
    this.#seen = this.#state();
    const { probe, after, onFault } = options;
    this.#checks =
      probe === undefined
        ? undefined
        : new HealthChecks({
            due: () => this.#due(),
            probe,
            nowMs: () => this.#nowMs(),
            after,
            found: (instance, health) => this.#healthOf(instance, 'check', health),
            onFault,
          });
  }

  /** Reads the leases back; those that cannot be read begin anew, since nobody is dead for that. */
  static async open(options: RegistryOptions): Promise<Registry> {
    const registry = new Registry(options);
    await registry.#restore();
    options.control.subscribe(() => registry.#published(), registry.#closed.signal);
    registry.#sweepLater();
    return registry;
  }

  async #restore(): Promise<void> {
    const { leases, onFault } = this.#options;
    const written = await leases.loadLeases();
    if (!written.ok) return onFault(new Error(written.error.message));
    const { instancesById } = this.#state();
    const leaseMsOf = (uuid: string): number | undefined => instancesById.get(uuid)?.leaseMs;
    // What was guessed while nobody could know.
    this.#leases.clear();
    this.#leases.restore(written.value, leaseMsOf, this.#nowMs());
    this.#era += 1;
  }

  get rules(): RegistryRules {
    return this.#options.rules();
  }

  rights(by: Requester): Result<RegistryRights, Refusal> {
    return rightsOf(by, this.rules.allowedApps);
  }

  /** Registers or updates, and begins a lease. */
  async register(claim: InstanceClaim, by: Requester): Promise<Result<Registered, Refusal>> {
    const rights = this.rights(by);
    if (!rights.ok) return rights;
    if (!mayRegister(rights.value, claim.nodeType)) {
      return refuse('access_denied', `You may not register nodes of type ${claim.nodeType}.`);
    }
    const outside = claim.addresses.find((text) => !this.#isInNetwork(text));
    if (outside !== undefined) {
      return refuse(
        'invalid_request',
        `addresses: ${outside} is not in a network of this registry (registry.networks).`,
        { param: 'addresses' },
      );
    }
    const { control } = this.#options;
    const { uuid } = claim;
    this.#registering.set(uuid, (this.#registering.get(uuid) ?? 0) + 1);
    try {
      const isNew = !this.#state().instancesById.has(uuid);
      const owner = by.actor.principal;
      const { rotation } = this.rules;
      const done = await control.execute({ kind: 'instance.register', claim, owner, rotation }, by);
      if (!done.ok) return done;
      const instance = present(
        done.value.snapshot.registry.instancesById.get(uuid),
        'the instance just registered',
      );
      const nowMs = this.#nowMs();
      const written = await this.#heartbeats.renew(uuid, nowMs);
      this.#touch(instance.nodeType);
      return written.ok
        ? ok({ instance, isNew, leaseEndsAtMs: nowMs + instance.leaseMs })
        : written;
    } finally {
      const left = (this.#registering.get(uuid) ?? 1) - 1;
      if (left === 0) this.#registering.delete(uuid);
      else this.#registering.set(uuid, left);
    }
  }

  /** Whoever missed its lease is unknown, and registers again. */
  async heartbeat(
    uuid: string,
    by: Requester,
    health?: Health,
  ): Promise<Result<Registered, Refusal>> {
    const rights = this.rights(by);
    if (!rights.ok) return rights;
    const role = this.#options.control.role();
    if (role.kind === 'follower') return err(followerRefusal(role));
    const instance = this.#state().instancesById.get(uuid);
    const nowMs = this.#nowMs();
    if (instance === undefined || !this.isLive(instance)) {
      return refuse('not_found', `There is no live instance ${uuid}. Register it again.`);
    }
    if (rights.value.kind !== 'operator' && instance.owner !== by.actor.principal) {
      return refuse('access_denied', `The instance ${uuid} was registered by somebody else.`);
    }
    if (health !== undefined) this.#healthOf(instance, 'node', health);
    const written = await this.#heartbeats.renew(uuid, nowMs);
    this.#touch(instance.nodeType);
    return written.ok
      ? ok({ instance, isNew: false, leaseEndsAtMs: nowMs + instance.leaseMs })
      : written;
  }

  /** With a token of its join, the engine forgets the machine, too. */
  async leave(
    uuid: string,
    by: Requester,
    token?: string,
  ): Promise<Result<DeviceEnd | undefined, Refusal>> {
    const rights = this.rights(by);
    if (!rights.ok) return rights;
    const owner = rights.value.kind === 'operator' ? {} : { owner: by.actor.principal };
    const { rotation } = this.rules;
    const done = await this.#options.control.execute(
      { kind: 'instance.leave', uuid, ...owner, rotation },
      by,
    );
    if (!done.ok) return done;
    if (token === undefined) return ok(undefined);
    const { groupKey, engine } = this.#options;
    const joining = { uuid, owner: by.actor.principal };
    return removeDevice({ groupKey, engine: engine() }, joining, token);
  }

  /** In a process that only follows, whoever is registered counts: it hears no heartbeats. */
  isLive(instance: Instance): boolean {
    if (this.#options.control.role().kind === 'follower') return true;
    return this.#leases.isLive(instance, this.#nowMs());
  }

  leaseEndsAtMs(instance: Instance): number {
    return this.#leases.endsAtMs(instance, this.#nowMs());
  }

  /** Live instances of a type, in the order of their ids; `passing`: without those that are known to fail. */
  discover(
    nodeType: string,
    query: PageQuery,
    { passing = false }: { readonly passing?: boolean } = {},
  ): RosterPage {
    const isWanted = (each: Instance): boolean =>
      this.isLive(each) && !(passing && this.#health.isFailing(each.uuid));
    return pageOfRoster(rosterOf(this.#state(), nodeType), query, isWanted);
  }

  /** Another one after everything that changes what is said of a type, but for leases that end by themselves. */
  version(nodeType: string): string {
    const { kind } = this.#options.control.role();
    return `${kind} ${this.#era} ${this.#versions.get(nodeType) ?? 0}`;
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  health({ uuid }: Instance): Health {
    return this.#health.of(uuid);
  }

  /** Live instances of all types, by type and id; `after` is `type/id`. */
  list({ after, limit }: PageQuery): RosterPage {
    const at = after?.indexOf('/') ?? -1;
    const [fromType, fromId] =
      at < 0 ? ['', undefined] : [after?.slice(0, at) ?? '', after?.slice(at + 1)];
    const members: Instance[] = [];
    for (const type of this.types()) {
      if (type < fromType) continue;
      const room = limit - members.length;
      const query = { limit: room, after: type === fromType ? fromId : undefined };
      const page = this.discover(type, query);
      members.push(...page.members);
      const last = members.at(-1);
      const isFull = page.next !== undefined || members.length === limit;
      if (isFull && last !== undefined) return { members, next: `${last.nodeType}/${last.uuid}` };
    }
    return { members };
  }

  /** All types that have instances, in order. */
  types(): readonly string[] {
    return this.#state().types;
  }

  /** How many live instances a type has. */
  count(nodeType: string): number {
    return rosterOf(this.#state(), nodeType).reduce(
      (n, each) => n + (this.isLive(each) ? 1 : 0),
      0,
    );
  }

  find(uuid: string): Instance | undefined {
    const instance = this.#state().instancesById.get(uuid);
    return instance !== undefined && this.isLive(instance) ? instance : undefined;
  }

  epoch(nodeType: string): number {
    return epochOf(this.#state(), nodeType);
  }

  groupKey(nodeType: string): Promise<Result<Secret, Refusal>> {
    return this.#options.groupKey(nodeType, this.epoch(nodeType));
  }

  /** What machines join; undefined where no engine runs. */
  loginServer(): string | undefined {
    const engine = this.#options.engine();
    return engine === undefined ? undefined : (this.rules.serverUrl ?? engine.url);
  }

  /** What a machine shows when it leaves, to be forgotten at the engine by the key that it joined by. */
  leaveToken(uuid: string, keyId: string, by: Requester): Promise<Result<Secret, Refusal>> {
    return leaveToken(this.#options.groupKey, { uuid, owner: by.actor.principal, keyId });
  }

  /** A key by which one machine joins the network. */
  async joinKey(name: string): Promise<Result<JoinKey, Refusal>> {
    const engine = this.#options.engine();
    if (engine === undefined) {
      return refuse(
        'state_unavailable',
        'No network engine runs behind this registry: start it with --url.',
      );
    }
    const { tags, serverUrl } = this.rules;
    const made = await engine.createAuthKey({
      reusable: false,
      ephemeral: false,
      preauthorized: true,
      tags,
      lifeMs: joinKeyLifeMs,
      description: `registry ${name}`.slice(0, 50),
    });
    return made.ok ? ok({ ...made.value, url: serverUrl ?? engine.url }) : made;
  }

  /** Calls the listener with every change from now on, until the signal aborts. */
  watch(listener: (changes: readonly InstanceChange[]) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#timer?.clear();
    this.#checks?.close();
    await this.#heartbeats.drain();
  }

  #state(): RegistryState {
    return this.#options.control.snapshot().registry;
  }

  #nowMs(): number {
    return this.#options.control.system.nowMs();
  }

  #isInNetwork(text: string): boolean {
    const addr = parseAddr(text);
    return addr.ok && this.rules.networks.some((prefix) => prefixContains(prefix, addr.value));
  }

  #published(): void {
    const now = this.#state();
    if (now === this.#seen) return;
    const changes = changesBetween(this.#seen, now);
    this.#seen = now;
    for (const { instance } of changes) this.#touch(instance.nodeType);
    const gone = changes.flatMap(({ kind, instance: { uuid } }) =>
      // It may have moved to another type.
      kind === 'left' && !now.instancesById.has(uuid) ? [uuid] : [],
    );
    this.#heartbeats.forget(gone);
    for (const uuid of gone) {
      this.#health.forget(uuid);
      this.#checks?.forget(uuid);
    }
    this.#tell(changes);
  }

  #touch(nodeType: string): void {
    this.#lastVersion += 1;
    // Types that nobody has are all alike, and are not kept.
    if (rosterOf(this.#state(), nodeType).length === 0) this.#versions.delete(nodeType);
    else this.#versions.set(nodeType, this.#lastVersion);
  }

  #tell(changes: readonly InstanceChange[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(changes);
      } catch (fault) {
        this.#options.onFault(fault);
      }
    }
  }

  #healthOf(instance: Instance, source: 'node' | 'check', health: Health): void {
    const changed = this.#health.take(instance.uuid, source, health);
    if (changed === 'same') return;
    this.#touch(instance.nodeType);
    if (changed === 'state') this.#tell([{ kind: 'updated', instance }]);
  }

  *#due(): Iterable<{ readonly instance: Instance; readonly rule: HealthRule }> {
    if (this.#options.control.role().kind === 'follower') return;
    const { health } = this.rules;
    if (health.size === 0) return;
    const forAll = health.get('*');
    for (const nodeType of this.types()) {
      const rule = health.get(nodeType) ?? forAll;
      if (rule === undefined) continue;
      for (const instance of rosterOf(this.#state(), nodeType)) {
        if (this.isLive(instance)) yield { instance, rule };
      }
    }
  }

  #sweepLater(): void {
    if (this.#closed.signal.aborted) return;
    this.#timer = this.#options.after(sweepMs, () => {
      void this.#sweep()
        .catch((fault: unknown) => this.#options.onFault(fault))
        .then(() => this.#sweepLater());
    });
  }

  async #sweep(): Promise<void> {
    const { control } = this.#options;
    if (control.role().kind === 'follower') {
      // Should it lead later, it has heard nobody for a while.
      this.#leases.clear();
      this.#era += 1;
      this.#hasFollowed = true;
      return;
    }
    if (this.#hasFollowed) {
      this.#hasFollowed = false;
      await this.#restore();
    }
    const over: Instance[] = [];
    let looked = 0;
    for (const instance of this.#state().instancesById.values()) {
      if (over.length === registryLimits.expiredMax || this.#closed.signal.aborted) break;
      if (!this.isLive(instance) && !this.#registering.has(instance.uuid)) over.push(instance);
      looked += 1;
      // Callers do not wait for all 100,000.
      // oxlint-disable-next-line no-await-in-loop -- lets them in between
      if (looked % sweepSlice === 0) await new Promise((done) => setImmediate(done));
    }
    if (over.length === 0) return;
    const leases = over.map(({ uuid, updatedAtMs }) => ({ uuid, updatedAtMs }));
    const { rotation } = this.rules;
    await control.execute({ kind: 'instances.expire', leases, rotation }, bySystem);
  }
}

const bySystem: Requester = Object.freeze({
  actor: Object.freeze({ principal: 'system:registry', channel: 'system' }),
});
