import { sql } from 'kysely';
import type { Database } from './database.ts';
import { StoreError } from './failure.ts';
import type { Fence } from './journal.ts';

/** What a machine last said, as text. */
export interface SavedReport {
  readonly node: string;
  readonly report: string;
}

/** Other servers' clocks differ from a commit's order by no more than a statement may take, ms. */
const overlapMs = 10_000;

/** What coordination servers of one network share besides the journal. None of it is secret. */
export class Network {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The value of a fact: the first that anybody claimed. */
  async claim(name: string, value: string | undefined): Promise<string | undefined> {
    const { db } = this.#database;
    if (value !== undefined) {
      await sql`INSERT INTO postern.network_fact VALUES (${name}, ${value}) ON CONFLICT DO NOTHING`.execute(
        db,
      );
    }
    const row = await db
      .selectFrom('network_fact')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirst();
    return row?.value;
  }

  /** Reports since a time of the server's clock, and up to which time they are; some may come twice. */
  async reportsSince(
    sinceMs: number,
  ): Promise<{ readonly reports: readonly SavedReport[]; readonly untilMs: number }> {
    const now = await sql<{ ms: number }>`SELECT postern.now_ms() AS ms`.execute(this.#database.db);
    const reports = await this.#database.db
      .selectFrom('network_report')
      .select(['node', 'report'])
      .where('at_ms', '>=', sinceMs - overlapMs)
      .execute();
    return { reports, untilMs: now.rows[0]?.ms ?? 0 };
  }

  /** What changed; `undefined`: the machine is gone. Only of the server that leads at that moment. */
  async save(changes: ReadonlyMap<string, string | undefined>, fence: Fence): Promise<void> {
    const gone = [...changes].flatMap(([node, report]) => (report === undefined ? [node] : []));
    const kept = [...changes].flatMap(([node, report]) =>
      report === undefined ? [] : [{ node, report }],
    );
    await this.#database.transaction(async (trx) => {
      const lease = await trx
        .selectFrom('control_lease')
        .select(['holder', 'token'])
        .where('id', '=', 1)
        .forShare()
        .executeTakeFirst();
      if (lease?.holder !== fence.holder || lease.token !== fence.token) {
        throw new StoreError('in_use', 'Another gateway leads.');
      }
      if (gone.length > 0) {
        await sql`DELETE FROM postern.network_report WHERE node = ANY(${gone}::text[])`.execute(
          trx,
        );
      }
      if (kept.length === 0) return;
      await sql`INSERT INTO postern.network_report
        SELECT node, postern.now_ms(), report FROM unnest(${kept.map(({ node }) => node)}::text[],
          ${kept.map(({ report }) => report)}::text[]) AS row(node, report)
        ON CONFLICT (node) DO UPDATE SET at_ms = excluded.at_ms, report = excluded.report`.execute(
        trx,
      );
    });
  }
}
