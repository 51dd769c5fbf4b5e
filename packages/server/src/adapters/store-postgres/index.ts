/**
 * @module The journal, the money and the lease of the leader in one PostgreSQL database, shared by several gateways.
 *
 * Promises: an append is acknowledged after PostgreSQL's commit, all of its rows or none; it is refused unless its writer holds the lease at that
 * moment and its first row continues the last one, so that two leaders never interleave; each account changes under its row's lock, by the
 * server's clock; a server that went away is used again once it is back. Refuses: a newer or foreign schema, encodings
 * other than UTF-8, servers older than 13, poolers that share sessions between clients (it listens). Limits: `postgresLimits`; the database needs
 * PostgreSQL's own backup, or the copy of the journal that `exportRows` makes.
 */
import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { JournalRow } from '@postern/core/state';
import type { LeaseStore } from '../../control/registry/ports.ts';
import type { BackupManifest, Store, StoreFailure } from '../../control/store.ts';
import type { BankFailure, BankPage, SliceBank } from '../../gateway/money/bank.ts';
import { Database } from './database.ts';
import { bankFailureOf, failureOf, StoreError } from './failure.ts';
import { Journal, journalChannel } from './journal.ts';
import type { Role } from './lease.ts';
import { Lease, leaseChannel } from './lease.ts';
import { postgresLimits } from './limits.ts';
import { Listener } from './listener.ts';
import { migrate, migrations } from './migrations.ts';
import { Money, moveInto, recallChannel } from './money.ts';
import type { SavedReport } from './network.ts';
import { Network } from './network.ts';
import { RegistryLeases } from './registry-leases.ts';

export type { Role } from './lease.ts';
export { postgresLimits } from './limits.ts';
export type { SavedReport } from './network.ts';

export interface PostgresStoreOptions {
  /** `postgresql://…`, with its password. */
  readonly url: Secret;
  /** Of this process alone, never used again. */
  readonly process: string;
  /** For people: who leads. */
  readonly name: string;
  /** How long a leader that is silent stays the leader; the default is that of `postgresLimits`. */
  readonly leaseMs?: number;
  readonly connections?: number;
  /** The largest journal. */
  readonly bytesMax?: number;
  /** Writes a copy of the journal into one new file. */
  readonly exportRows?: (
    file: string,
    pages: AsyncIterable<readonly JournalRow[]>,
  ) => Promise<Result<BackupManifest, StoreFailure>>;
}

/** What servers of one private network keep together. */
export interface NetworkStore {
  /** The value of a fact: the first that anybody claimed. */
  claim(name: string, value?: string): Promise<Result<string | undefined, StoreFailure>>;
  reportsSince(
    sinceMs: number,
  ): Promise<
    Result<{ readonly reports: readonly SavedReport[]; readonly untilMs: number }, StoreFailure>
  >;
  /** `in_use` unless this process leads. */
  saveReports(
    changes: ReadonlyMap<string, string | undefined>,
  ): Promise<Result<void, StoreFailure>>;
}

/** The journal, the money in the same database, and whether this process leads. */
export type PostgresStore = Store & {
  readonly bank: SliceBank;
  readonly network: NetworkStore;
  /** Of nodes of the registry. */
  readonly leases: LeaseStore;
  /** Takes over the money of another store, where none is here yet; how many accounts came. */
  moveMoney(pages: () => AsyncIterable<BankPage>): Promise<Result<number, StoreFailure>>;
  /** Whether appends of this process are taken. */
  role(): Role;
  /** Asks for the lease now. */
  seek(): Promise<Result<Role, StoreFailure>>;
  onRole(listener: (role: Role) => void): { close(): void };
  /** Calls back when others may have written; also now and then without a reason. */
  onWritten(listener: () => void): { close(): void };
};

/** Connects, brings the schema up to date, and asks for the lease once. Fails with a sentence for the operator. */
export async function openPostgresStore(
  options: PostgresStoreOptions,
): Promise<Result<PostgresStore, StoreFailure>> {
  const shared = new SharedStore(options);
  const begun = await shared.begin();
  if (begun.ok) return ok(shared);
  await shared.close();
  return begun;
}

class SharedStore implements PostgresStore {
  readonly bank: SliceBank;
  readonly network: NetworkStore;
  readonly leases: LeaseStore;
  readonly #options: PostgresStoreOptions;
  readonly #database: Database;
  readonly #journal: Journal;
  readonly #lease: Lease;
  readonly #listener: Listener;
  readonly #written = new Set<() => void>();
  readonly #recalls = new Map<string, Set<(accounts: readonly string[]) => void>>();
  #poll: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: PostgresStoreOptions) {
    const { process: holder, name } = options;
    const url = options.url.reveal();
    this.#options = options;
    this.#database = new Database(url, options.connections ?? postgresLimits.connections);
    this.#journal = new Journal(this.#database, options.bytesMax ?? postgresLimits.journalBytesMax);
    const leaseMs = options.leaseMs ?? postgresLimits.leaseMs;
    this.#lease = new Lease({ database: this.#database, holder, name, leaseMs });
    this.#listener = new Listener({
      url,
      channels: [journalChannel, leaseChannel, recallChannel],
      onNotice: (channel, payload) => this.#heard(channel, payload),
      onConnected: () => this.#wrote(),
    });
    this.bank = this.#bankOf(new Money(this.#database));
    this.network = this.#networkOf(new Network(this.#database));
    const leases = new RegistryLeases(this.#database);
    this.leases = {
      loadLeases: () => this.#asked(() => leases.load()),
      writeLeases: (batch) => this.#asked(() => leases.write(batch)),
    };
  }

  async begin(): Promise<Result<void, StoreFailure>> {
    const begun = await this.#asked(async () => {
      await this.#database.check();
      await migrate(this.#database.db);
      await this.#lease.seek();
      await this.#listener.begin();
    });
    if (!begun.ok) return begun;
    this.#lease.begin();
    this.#poll = setInterval(() => this.#wrote(), postgresLimits.pollMs);
    this.#poll.unref();
    return ok(undefined);
  }

  moveMoney(pages: () => AsyncIterable<BankPage>): Promise<Result<number, StoreFailure>> {
    return this.#asked(() => moveInto(this.#database, pages));
  }

  role(): Role {
    return this.#lease.role;
  }

  seek(): Promise<Result<Role, StoreFailure>> {
    return this.#asked(() => this.#lease.seek());
  }

  onRole(listener: (role: Role) => void): { close(): void } {
    return this.#lease.onChange(listener);
  }

  onWritten(listener: () => void): { close(): void } {
    this.#written.add(listener);
    return { close: () => this.#written.delete(listener) };
  }

  load(from: 'state' | 'genesis'): ReturnType<Store['load']> {
    return this.#asked(() => this.#journal.load(from));
  }

  readAfter(index: number): ReturnType<Store['readAfter']> {
    return this.#asked(() => this.#journal.readAfter(index));
  }

  async append(rows: readonly JournalRow[]): ReturnType<Store['append']> {
    const appended = await this.#asked(async () => {
      const { fence } = this.#lease;
      if (fence === undefined) throw new StoreError('in_use', this.#whoLeads());
      await this.#journal.append(rows, fence);
    });
    if (!appended.ok && appended.error.kind === 'in_use') this.#lease.lost();
    return appended;
  }

  materialise(): ReturnType<Store['materialise']> {
    return this.#asked(async () => {
      if (this.#lease.fence === undefined) throw new StoreError('in_use', this.#whoLeads());
      return this.#journal.materialise();
    });
  }

  async backup(file: string): ReturnType<Store['backup']> {
    const { exportRows } = this.#options;
    if (exportRows === undefined)
      return err({ kind: 'refused', message: 'PostgreSQL is backed up with its own tools.' });
    const made = await this.#asked(() => exportRows(file, this.#pages()));
    return made.ok ? made.value : made;
  }

  verify(): ReturnType<Store['verify']> {
    return this.#asked(() => this.#journal.verify(migrations));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#poll);
    await this.#lease.close();
    await this.#listener.close();
    await this.#database.close();
  }

  /** Everything up to the last record of now. */
  async *#pages(): AsyncGenerator<readonly JournalRow[]> {
    const { head } = await this.#journal.load('state');
    let at = 0;
    while (at < head.index) {
      // oxlint-disable-next-line no-await-in-loop -- each page continues the one before
      const rows = await this.#journal.readAfter(at);
      const last = rows.at(-1);
      if (last === undefined) return;
      yield rows.filter(({ index }) => index <= head.index);
      at = last.index;
    }
  }

  #whoLeads(): string {
    const role = this.#lease.role;
    return role.kind === 'follower' && role.leader !== undefined
      ? `The gateway "${role.leader}" leads; this one follows.`
      : 'No gateway is known to lead now.';
  }

  async #asked<T>(ask: () => Promise<T>): Promise<Result<T, StoreFailure>> {
    if (this.#isClosed) return err({ kind: 'unavailable', message: 'The store was closed.' });
    try {
      return ok(await ask());
    } catch (cause) {
      return err(failureOf(cause));
    }
  }

  #wrote(): void {
    for (const listener of this.#written) listener();
  }

  #heard(channel: string, payload: string): void {
    if (channel === journalChannel) this.#wrote();
    else if (channel === leaseChannel) void this.seek();
    else if (channel === recallChannel) this.#recalled(payload);
  }

  #recalled(payload: string): void {
    const recall = recallOf(payload);
    if (recall === undefined) return;
    for (const listener of this.#recalls.get(recall.process) ?? []) listener(recall.accounts);
  }

  #networkOf(network: Network): NetworkStore {
    return {
      claim: (fact, value) => this.#asked(() => network.claim(fact, value)),
      reportsSince: (sinceMs) => this.#asked(() => network.reportsSince(sinceMs)),
      saveReports: (changes) =>
        this.#asked(async () => {
          const { fence } = this.#lease;
          if (fence === undefined) throw new StoreError('in_use', this.#whoLeads());
          await network.save(changes, fence);
        }),
    };
  }

  #bankOf(money: Money): SliceBank {
    let isClosed = false;
    const asked = async <T>(ask: () => Promise<T>): Promise<Result<T, BankFailure>> => {
      if (isClosed || this.#isClosed)
        return err({ kind: 'closed', message: 'The bank was closed.' });
      try {
        return ok(await ask());
      } catch (cause) {
        return err(bankFailureOf(cause));
      }
    };
    return {
      change: (batch) => asked(() => money.change(batch)),
      accounts: (query) => asked(() => money.accounts(query)),
      usage: (query) => asked(() => money.usage(query)),
      stale: (query) => asked(() => money.stale(query)),
      onRecall: (process, recall) => {
        const listeners = this.#recalls.get(process) ?? new Set();
        this.#recalls.set(process, listeners.add(recall));
        return { close: () => listeners.delete(recall) };
      },
      close: async () => {
        isClosed = true;
      },
    };
  }
}

/** Anybody who may connect may notify: what is not of our form is nobody's. */
function recallOf(
  payload: string,
): { readonly process: string; readonly accounts: readonly string[] } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('process' in value) || typeof value.process !== 'string') return undefined;
  if (!('accounts' in value) || !Array.isArray(value.accounts)) return undefined;
  const accounts = value.accounts.filter((each) => typeof each === 'string');
  return { process: value.process, accounts };
}
