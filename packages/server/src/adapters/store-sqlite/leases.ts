import type { Lease } from '@postern/core/registry';
import type { Database, Statement } from 'better-sqlite3';
import type { LeaseBatch } from '../../control/registry/ports.ts';

/** The leases of the registry in an open database. */
export class LeaseEngine {
  readonly #db: Database;
  readonly #renew: Statement<[string, number]>;
  readonly #forget: Statement<[string]>;

  constructor(db: Database) {
    this.#db = db;
    this.#renew = db.prepare(
      'INSERT OR REPLACE INTO registry_lease (uuid, renewed_at_ms) VALUES (?, ?)',
    );
    this.#forget = db.prepare('DELETE FROM registry_lease WHERE uuid = ?');
  }

  load(): readonly Lease[] {
    // The columns are those selected, in a STRICT table.
    return this.#db
      .prepare('SELECT uuid, renewed_at_ms AS renewedAtMs FROM registry_lease')
      .all() as Lease[];
  }

  write({ renewed, gone }: LeaseBatch): void {
    this.#db
      .transaction(() => {
        for (const { uuid, renewedAtMs } of renewed) this.#renew.run(uuid, renewedAtMs);
        for (const uuid of gone) this.#forget.run(uuid);
      })
      .immediate();
  }
}
