import { sql } from 'kysely';
import type { Database } from './database.ts';
import type { Fence } from './journal.ts';

export const leaseChannel = 'postern_lease';

/** Who may write the journal. */
export type Role =
  | { readonly kind: 'leader' }
  /** `leader` is the name of the gateway that leads, where one is known to. */
  | { readonly kind: 'follower'; readonly leader?: string };

export interface LeaseOptions {
  readonly database: Database;
  /** Of this process alone, never used again. */
  readonly holder: string;
  /** For people. */
  readonly name: string;
  readonly leaseMs: number;
}

/**
 * The lease of the one leader: a row with a number that rises with each new leader (a fencing token), which every append proves in its own
 * transaction. Who is late is refused there, whatever it believes: clocks of gateways decide nothing.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #listeners = new Set<(role: Role) => void>();
  #token: number | undefined;
  #role: Role = { kind: 'follower' };
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #ledUntilMs = 0;
  #isClosed = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** What an append has to prove; undefined while somebody else leads. */
  get fence(): Fence | undefined {
    return this.#token === undefined
      ? undefined
      : { holder: this.#options.holder, token: this.#token };
  }

  get role(): Role {
    // A leader that cannot reach the store for a whole lease may have been followed by another one.
    if (this.#role.kind === 'leader' && performance.now() > this.#ledUntilMs)
      return { kind: 'follower' };
    return this.#role;
  }

  onChange(listener: (role: Role) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Renews the lease, or takes it where nobody has it. Throws where the store does not answer. */
  async seek(): Promise<Role> {
    const asked = this.#turn.then(() => this.#ask());
    this.#turn = asked.catch(() => undefined);
    return asked;
  }

  /** Goes on asking by itself. */
  begin(): void {
    this.#arm();
  }

  /** An append was refused: somebody else leads, whatever the last answer was. */
  lost(): void {
    this.#token = undefined;
    this.#become({ kind: 'follower' });
    void this.seek().catch(() => undefined);
  }

  /** Lets the next one lead at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#turn;
    if (this.#token === undefined) return;
    this.#token = undefined;
    const { database, holder } = this.#options;
    await sql`UPDATE postern.control_lease SET holder = '', until_ms = 0 WHERE holder = ${holder}`
      .execute(database.db)
      .then(() => sql`SELECT pg_notify(${leaseChannel}, '')`.execute(database.db))
      // The lease ends by itself.
      .catch(() => undefined);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      void this.seek()
        .catch(() => this.#become(this.role))
        .then(() => this.#arm());
    }, this.#options.leaseMs / 3);
    this.#timer.unref();
  }

  async #ask(): Promise<Role> {
    if (this.#isClosed) return { kind: 'follower' };
    const { database, holder, name, leaseMs } = this.#options;
    const askedMs = performance.now();
    const { rows } = await sql<{ token: number }>`
      UPDATE postern.control_lease
      SET token = CASE WHEN holder = ${holder} THEN token ELSE token + 1 END, holder = ${holder},
        name = ${name}, until_ms = postern.now_ms() + ${leaseMs}::bigint
      WHERE id = 1 AND (holder IN ('', ${holder}) OR until_ms < postern.now_ms())
      RETURNING token`.execute(database.db);
    const [mine] = rows;
    if (mine !== undefined) {
      this.#token = mine.token;
      this.#ledUntilMs = askedMs + leaseMs;
      return this.#become({ kind: 'leader' });
    }
    this.#token = undefined;
    const row = await database.db
      .selectFrom('control_lease')
      .select('name')
      .where('id', '=', 1)
      .where('holder', '!=', '')
      .executeTakeFirst();
    return this.#become({
      kind: 'follower',
      ...(row === undefined ? {} : { leader: row.name }),
    });
  }

  #become(role: Role): Role {
    const before = this.#role;
    this.#role = role;
    if (before.kind !== role.kind) for (const listener of this.#listeners) listener(role);
    return role;
  }
}
