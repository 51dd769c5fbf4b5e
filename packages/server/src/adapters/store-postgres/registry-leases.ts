import type { Lease as NodeLease } from '@postern/core/registry';
import { sql } from 'kysely';
import type { LeaseBatch } from '../../control/registry/ports.ts';
import type { Database } from './database.ts';

/** When nodes of the registry were last heard of: whoever leads next knows whom the leader before had given up. */
export class RegistryLeases {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async load(): Promise<readonly NodeLease[]> {
    const { rows } = await sql<{ uuid: string; renewedAtMs: number }>`
      SELECT uuid, renewed_at_ms AS "renewedAtMs" FROM postern.registry_lease`.execute(
      this.#database.db,
    );
    return rows;
  }

  /** One statement for all that gathered. A heartbeat that another gateway wrote later stays. */
  async write({ renewed, gone }: LeaseBatch): Promise<void> {
    await this.#database.transaction(async (trx) => {
      if (gone.length > 0) {
        await sql`DELETE FROM postern.registry_lease WHERE uuid = ANY(${gone}::text[])`.execute(
          trx,
        );
      }
      if (renewed.length === 0) return;
      const uuids = renewed.map(({ uuid }) => uuid);
      const times = renewed.map(({ renewedAtMs }) => renewedAtMs);
      await sql`
        INSERT INTO postern.registry_lease (uuid, renewed_at_ms)
        SELECT * FROM unnest(${uuids}::text[], ${times}::bigint[])
        ON CONFLICT (uuid) DO UPDATE SET
          renewed_at_ms = greatest(registry_lease.renewed_at_ms, excluded.renewed_at_ms)`.execute(
        trx,
      );
    });
  }
}
