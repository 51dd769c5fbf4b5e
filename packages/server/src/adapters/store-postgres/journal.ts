import { createHash } from 'node:crypto';
import type { Head, JournalRow } from '@postern/core/state';
import {
  decodeState,
  emptySnapshot,
  encodeState,
  headOf,
  replay,
  snapshotOf,
} from '@postern/core/state';
import type { Transaction } from 'kysely';
import { sql } from 'kysely';
import type { Loaded, StoredState, VerifyReport } from '../../control/store.ts';
import type { Database } from './database.ts';
import { StoreError } from './failure.ts';
import { postgresLimits } from './limits.ts';
import type { Migration } from './migrations.ts';
import type { Tables } from './tables.ts';

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** What a writer proves in the transaction in which it writes. */
export interface Fence {
  readonly holder: string;
  readonly token: number;
}

export const journalChannel = 'postern_journal';

interface StateRow extends StoredState {
  readonly digest: string;
}

/** The journal in PostgreSQL. Who writes holds the lease at that moment, and what is written continues what is there. */
export class Journal {
  readonly #database: Database;
  readonly #bytesMax: number;
  /** An append whose outcome is unknown may still be under way on the server. */
  #isDoubtful = false;

  constructor(database: Database, bytesMax: number) {
    this.#database = database;
    this.#bytesMax = bytesMax;
  }

  async append(rows: readonly JournalRow[], fence: Fence): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    this.#isDoubtful = true;
    try {
      await this.#database.transaction((trx) => this.#appendIn(trx, { rows, first, fence }));
      this.#isDoubtful = false;
    } catch (cause) {
      // A refusal of ours rolled the transaction back before it could commit.
      if (cause instanceof StoreError) this.#isDoubtful = false;
      throw cause;
    }
  }

  async #appendIn(
    trx: Transaction<Tables>,
    write: {
      readonly rows: readonly JournalRow[];
      readonly first: JournalRow;
      readonly fence: Fence;
    },
  ): Promise<void> {
    const { rows, first, fence } = write;
    // The row is locked until the commit: nobody can begin to lead between this look and the commit.
    const lease = await trx
      .selectFrom('control_lease')
      .select(['holder', 'token', 'name'])
      .where('id', '=', 1)
      .forUpdate()
      .executeTakeFirst();
    if (lease === undefined || lease.holder !== fence.holder || lease.token !== fence.token) {
      const leader = lease === undefined || lease.holder === '' ? 'nobody' : lease.name;
      throw new StoreError('in_use', `This gateway does not lead any more; ${leader} does.`);
    }
    const head = await headIn(trx);
    if (first.index !== head.index + 1 || first.prevHash !== head.hash) {
      throw new StoreError(
        'conflict',
        `The journal ends at record ${head.index}, which record ${first.index} does not continue.`,
      );
    }
    await this.#expectRoom(trx, rows);
    await sql`INSERT INTO postern.journal
      SELECT * FROM unnest(${rows.map(({ index }) => index)}::bigint[], ${rows.map(({ atMs }) => atMs)}::bigint[],
        ${rows.map(({ prevHash }) => prevHash)}::text[], ${rows.map(({ hash }) => hash)}::text[],
        ${rows.map(({ body }) => body)}::text[]) AS row(idx, at_ms, prev_hash, hash, body) ORDER BY idx`.execute(
      trx,
    );
    await sql`SELECT pg_notify(${journalChannel}, ${String(rows.at(-1)?.index)})`.execute(trx);
  }

  async #expectRoom(trx: Transaction<Tables>, rows: readonly JournalRow[]): Promise<void> {
    const size = await sql<{
      bytes: number;
    }>`SELECT pg_total_relation_size('postern.journal') AS bytes`.execute(trx);
    const more = rows.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
    if ((size.rows[0]?.bytes ?? 0) + more <= this.#bytesMax) return;
    throw new StoreError('full', `The journal may not grow beyond ${this.#bytesMax} bytes.`);
  }

  /** A page of rows, by count and by size; at least one where there is one. */
  async readAfter(
    index: number,
    countMax: number = postgresLimits.pageRowsMax,
  ): Promise<readonly JournalRow[]> {
    if (this.#isDoubtful) await this.#outwait();
    // The running total is that of the rows before: the first one always comes.
    const { rows } = await sql<Tables['journal']>`SELECT idx, at_ms, prev_hash, hash, body FROM (
        SELECT page.*, sum(length(body)) OVER (ORDER BY idx) - length(body) AS chars_before
        FROM (SELECT * FROM postern.journal WHERE idx > ${index} ORDER BY idx LIMIT ${countMax}) AS page
      ) AS sized WHERE chars_before < ${postgresLimits.pageCharsMax} ORDER BY idx`.execute(
      this.#database.db,
    );
    return rows.map(({ idx, at_ms: atMs, prev_hash: prevHash, hash, body }) => ({
      index: idx,
      atMs,
      prevHash,
      hash,
      body,
    }));
  }

  /** An append holds the lease's row until it is over, also when nobody waits for it any more. */
  async #outwait(): Promise<void> {
    await this.#database.transaction((trx) =>
      trx.selectFrom('control_lease').select('id').where('id', '=', 1).forUpdate().execute(),
    );
    this.#isDoubtful = false;
  }

  async load(from: 'state' | 'genesis'): Promise<Loaded> {
    const state = from === 'state' ? await this.state() : undefined;
    // The head first: rows that come in between are beyond it.
    const head = await headIn(this.#database.db);
    const rows = await this.readAfter(state?.head.index ?? 0);
    return { state, rows: rows.filter(({ index }) => index <= head.index), head };
  }

  /** The materialised state, if it belongs to this journal and its digest holds. */
  async state(): Promise<StoredState | undefined> {
    const stored = await this.#storedState();
    if (stored === undefined) return undefined;
    const { digest, ...state } = stored;
    return digest === stateDigest(state) ? state : undefined;
  }

  async #storedState(): Promise<StateRow | undefined> {
    const row = await this.#database.db
      .selectFrom('materialised_state as s')
      .innerJoin('journal as j', (join) =>
        join.onRef('j.idx', '=', 's.idx').onRef('j.hash', '=', 's.hash'),
      )
      .select(['s.idx', 's.at_ms', 's.hash', 's.digest', 's.body'])
      .orderBy('s.idx', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { idx, at_ms: atMs, hash, digest, body } = row;
    return { head: { index: idx, hash }, atMs, digest, body };
  }

  async materialise(): Promise<Head> {
    const stored = await this.state();
    const decoded = stored === undefined ? undefined : decodeState(stored.body);
    let at =
      stored === undefined || decoded === undefined
        ? emptySnapshot()
        : snapshotOf(decoded, stored.head, stored.atMs);
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- each page continues the one before
      const rows = await this.readAfter(at.index);
      if (rows.length === 0) break;
      const after = replay(at, rows, sha256Hex);
      if (!after.ok)
        throw new StoreError('corrupt', `The journal is broken at record ${after.error.index}.`);
      at = after.value;
    }
    const state = { head: headOf(at), atMs: at.atMs, body: encodeState(at) };
    if (at.index === 0 || at.index === stored?.head.index) return state.head;
    await this.#database.transaction(async (trx) => {
      // Of two gateways that do it, the one that is further wins.
      await trx.deleteFrom('materialised_state').where('idx', '<=', at.index).execute();
      await trx
        .insertInto('materialised_state')
        .values({
          idx: at.index,
          at_ms: at.atMs,
          hash: at.headHash,
          digest: stateDigest(state),
          body: state.body,
        })
        .execute();
    });
    return state.head;
  }

  /** Everything that can be known from within: every hash of the chain, the state that it adds up to, the schema, whether commits are durable. */
  async verify(steps: readonly Migration[]): Promise<VerifyReport> {
    const { db } = this.#database;
    const head = await headIn(db);
    const counted = await sql<{
      count: number;
    }>`SELECT count(*) AS count FROM postern.journal WHERE idx <= ${head.index}`.execute(db);
    const findings = [...(await this.#settingFindings()), ...(await this.#schemaFindings(steps))];
    const stored = await this.#storedState();
    if (stored !== undefined && stored.digest !== stateDigest(stored))
      findings.push('The materialised state does not have its digest.');
    findings.push(...(await this.#chainFindings(head, stored)));
    return {
      intact: findings.length === 0,
      records: counted.rows[0]?.count ?? 0,
      head,
      findings,
    };
  }

  async #chainFindings(head: Head, stored: StateRow | undefined): Promise<readonly string[]> {
    let at = emptySnapshot();
    while (at.index < head.index) {
      const stop =
        stored !== undefined && at.index < stored.head.index ? stored.head.index : head.index;
      const count = Math.min(postgresLimits.pageRowsMax, stop - at.index);
      // oxlint-disable-next-line no-await-in-loop -- each page continues the one before
      const after = replay(at, await this.readAfter(at.index, count), sha256Hex);
      if (!after.ok)
        return [`The journal is broken at record ${after.error.index}: ${after.error.what}.`];
      if (after.value.index === at.index)
        return [`The journal ends at record ${at.index} instead of ${head.index}.`];
      at = after.value;
      if (at.index === stored?.head.index && encodeState(at) !== stored.body)
        return [`The materialised state of record ${at.index} is not what the journal adds up to.`];
    }
    return at.headHash === head.hash ? [] : ['The last record does not have its hash.'];
  }

  async #settingFindings(): Promise<readonly string[]> {
    const { rows } = await sql<{ name: string }>`SELECT name FROM pg_settings
      WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'`.execute(this.#database.db);
    return rows.map(
      ({ name }) =>
        `PostgreSQL runs with ${name} = off: a loss of power can lose what was acknowledged.`,
    );
  }

  async #schemaFindings(steps: readonly Migration[]): Promise<readonly string[]> {
    const { db } = this.#database;
    const applied = await db.selectFrom('schema_migration').select('version').execute();
    const triggers = await sql<{ name: string }>`SELECT tgname AS name FROM pg_trigger
      WHERE tgrelid = 'postern.journal'::regclass AND NOT tgisinternal AND tgenabled <> 'D'`.execute(
      db,
    );
    const names = new Set(triggers.rows.map(({ name }) => name));
    return [
      ...(applied.length === steps.length
        ? []
        : ['The schema is not the one that this release makes.']),
      ...['journal_continues', 'journal_stays']
        .filter((name) => !names.has(name))
        .map((name) => `The trigger ${name} of the journal is missing or off.`),
    ];
  }
}

async function headIn(db: Database['db']): Promise<Head> {
  const row = await db
    .selectFrom('journal')
    .select(['idx', 'hash'])
    .orderBy('idx', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? headOf(emptySnapshot()) : { index: row.idx, hash: row.hash };
}

/** Binds a materialised state to its place: a state of another record does not pass for this one's. */
function stateDigest({ head, atMs, body }: StoredState): string {
  return sha256Hex(`postern.state.v1\n${head.index}\n${head.hash}\n${atMs}\n${body}`);
}
