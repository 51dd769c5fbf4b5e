import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { SecretSource, StoreConfig } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { ValkeyLimits } from '../adapters/limits-valkey/index.ts';
import { secretReader } from '../adapters/secrets/index.ts';
import type { PostgresStore } from '../adapters/store-postgres/index.ts';
import type { SqliteStore } from '../adapters/store-sqlite/index.ts';
import type { Control, Role, Store, StoreFailure } from '../control/index.ts';
import { createLazyEgress } from './egress.ts';
import { exportRows } from './export-rows.ts';
import { sharedNetworkOf } from './network/shared-network.ts';
import type { SharedNetwork } from './network/turn.ts';
import { moveIn } from './move-in.ts';
import type { StoreCheck, Stores, StoresOptions } from './store-set.ts';

/** How long what this process knows of revocations counts without hearing from the store, ms. */
const knownMsMax = 10_000;
/** After how long another gateway that is silent is taken for gone: many times the pause between its reports, ms. */
const staleAfterMs = 30_000;
/** How long a start waits for a database that is starting too, ms. */
const startMsMax = 20_000;
const startRetryMs = 500;

/**
 * The stores that several gateways share. The state folder stays this process's own: its lock says that no other process writes the audit log in
 * it, and a journal in it becomes the shared one where that is empty.
 */
export async function openSharedStores(
  own: SqliteStore,
  config: StoreConfig,
  options: StoresOptions,
): Promise<Result<Stores, StoreFailure>> {
  const opened: { close(): Promise<void> }[] = [own];
  const failed = async (failure: StoreFailure): Promise<Result<never, StoreFailure>> => {
    for (const each of opened.toReversed()) await each.close();
    return err(failure);
  };
  const limits = await openLimits(config.valkey, options);
  if (!limits.ok) return failed(limits.error);
  if (limits.value !== undefined) opened.push(limits.value);
  const { postgres } = config;
  if (postgres === undefined) return ok(new OneState(own, limits.value));
  const name = config.name ?? hostname();
  const shared = await openPostgres({ ...postgres, name }, options);
  if (!shared.ok) return failed(shared.error);
  opened.push(shared.value);
  const moved = await moveIn(own, shared.value, options);
  if (!moved.ok) return failed(moved.error);
  return ok(new SharedState({ own, shared: shared.value, limits: limits.value, name, options }));
}

/** State and money of this process alone, counts of several. */
class OneState implements Stores {
  readonly store: Store;
  readonly bank: Stores['bank'];
  readonly leases: Stores['leases'];
  readonly limits?: ValkeyLimits;
  readonly staleAfterMs = 0;

  constructor(own: SqliteStore, limits: ValkeyLimits | undefined) {
    this.store = own;
    this.bank = own.bank;
    this.leases = own.leases;
    if (limits !== undefined) this.limits = limits;
  }

  role(): Role {
    return { kind: 'alone' };
  }

  follow(): void {
    // Nobody else writes the state.
  }

  checks(): readonly StoreCheck[] {
    return limitChecks(this.limits);
  }

  admits(): Result<void, Refusal> {
    return ok(undefined);
  }
}

interface SharedParts {
  readonly own: SqliteStore;
  readonly shared: PostgresStore;
  readonly limits: ValkeyLimits | undefined;
  readonly name: string;
  readonly options: StoresOptions;
}

class SharedState implements Stores {
  readonly store: Store;
  readonly bank: Stores['bank'];
  readonly leases: Stores['leases'];
  readonly limits?: ValkeyLimits;
  readonly name: string;
  readonly network: SharedNetwork;
  readonly staleAfterMs = staleAfterMs;
  readonly #parts: SharedParts;
  #problem: string | undefined;
  /** When the state was last known to be what the store has; a clock that is not set. */
  #knownAtMs = performance.now();
  #isLooking = false;
  #mustLook = false;

  constructor(parts: SharedParts) {
    const { own, shared, limits, name } = parts;
    this.leases = shared.leases;
    this.#parts = parts;
    this.name = name;
    this.bank = shared.bank;
    this.network = sharedNetworkOf(shared);
    if (limits !== undefined) this.limits = limits;
    const close = async (): Promise<void> => {
      await shared.close();
      // The lock of the state folder goes last.
      await own.close();
    };
    this.store = {
      load: (from) => shared.load(from),
      readAfter: (index) => shared.readAfter(index),
      append: (rows) => shared.append(rows),
      materialise: () => shared.materialise(),
      backup: (file) => shared.backup(file),
      verify: () => shared.verify(),
      close,
    };
  }

  role(): Role {
    return this.#parts.shared.role();
  }

  follow(control: Control, onLead: () => void): void {
    const { shared, options } = this.#parts;
    shared.onWritten(() => void this.#look(control));
    shared.onRole((role) => {
      options.logger.info({ role: role.kind, name: this.name }, 'gateway role');
      // Queued before any command: whoever begins to lead decides by what the one before has written.
      const caughtUp = control.catchUp();
      if (role.kind === 'leader')
        void caughtUp.then(() => {
          if (this.role().kind === 'leader') onLead();
        });
    });
    void this.#look(control);
  }

  checks(): readonly StoreCheck[] {
    return [
      {
        name: 'state',
        ok: this.#problem === undefined,
        message: this.#problem ?? `the shared state answers; this gateway is ${this.#roleText()}`,
      },
      ...limitChecks(this.limits),
    ];
  }

  admits(whenDown: 'refuse' | 'serve'): Result<void, Refusal> {
    if (whenDown === 'serve' || performance.now() - this.#knownAtMs < knownMsMax)
      return ok(undefined);
    return refuse(
      'state_unavailable',
      'The store of keys and revocations does not answer now. Try again.',
      { retryAfterMs: 2_000 },
    );
  }

  #roleText(): string {
    const role = this.role();
    if (role.kind !== 'follower') return 'the leader';
    return role.leader === undefined ? 'a follower' : `a follower of "${role.leader}"`;
  }

  /** One look at a time; what is notified meanwhile is looked at once more. */
  async #look(control: Control): Promise<void> {
    if (this.#isLooking) {
      this.#mustLook = true;
      return;
    }
    this.#isLooking = true;
    do {
      this.#mustLook = false;
      const askedMs = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- looked at again only where something was written meanwhile
      const health = await control.catchUp();
      this.#told(health.kind === 'good' ? undefined : health.why, askedMs);
    } while (this.#mustLook);
    this.#isLooking = false;
  }

  #told(problem: string | undefined, askedMs: number): void {
    const { logger } = this.#parts.options;
    if (problem === undefined) {
      this.#knownAtMs = askedMs;
      if (this.#problem !== undefined) logger.info('the shared state answers again');
    } else if (this.#problem === undefined) {
      logger.error({ problem }, 'the shared state does not answer');
    }
    this.#problem = problem;
  }
}

function limitChecks(limits: ValkeyLimits | undefined): readonly StoreCheck[] {
  if (limits === undefined) return [];
  const { failure } = limits;
  return [
    {
      name: 'limits',
      ok: failure === undefined,
      message: failure?.message ?? 'the store of limits answers',
    },
  ];
}

async function openLimits(
  valkey: StoreConfig['valkey'],
  options: StoresOptions,
): Promise<Result<ValkeyLimits | undefined, StoreFailure>> {
  if (valkey === undefined) return ok(undefined);
  const url = await readUrl(valkey.url, options);
  if (!url.ok) return url;
  const { openValkeyLimits } = await import('../adapters/limits-valkey/index.ts');
  const limits = await openValkeyLimits({ url: url.value });
  if (limits.failure !== undefined)
    options.logger.error({ problem: limits.failure.message }, 'limits');
  return ok(limits);
}

async function openPostgres(
  postgres: NonNullable<StoreConfig['postgres']> & { readonly name: string },
  options: StoresOptions,
): Promise<Result<PostgresStore, StoreFailure>> {
  const url = await readUrl(postgres.url, options);
  if (!url.ok) return url;
  const { openPostgresStore } = await import('../adapters/store-postgres/index.ts');
  const untilMs = performance.now() + startMsMax;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- asked until it answers
    const opened = await openPostgresStore({
      url: url.value,
      process: options.newId(),
      name: postgres.name,
      leaseMs: postgres.leaseSeconds * 1_000,
      connections: postgres.connections,
      exportRows,
    });
    if (opened.ok || opened.error.kind !== 'unavailable' || performance.now() > untilMs)
      return opened;
    options.logger.warn({ problem: opened.error.message }, 'waiting for PostgreSQL');
    // oxlint-disable-next-line no-await-in-loop -- asked until it answers
    await wait(startRetryMs);
  }
}

async function readUrl(
  source: SecretSource,
  { env, nowMs }: StoresOptions,
): Promise<Result<Secret, StoreFailure>> {
  const lazy = createLazyEgress();
  try {
    const secret = await secretReader(source, { env, nowMs, egress: lazy.egress })();
    return secret.ok ? secret : err({ kind: 'unavailable', message: secret.error.message });
  } finally {
    await lazy.close();
  }
}
