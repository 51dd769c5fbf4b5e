import type { Transaction } from 'kysely';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Pool, types } from 'pg';
import type { PoolConfig } from 'pg';
import { isTransient, StoreError } from './failure.ts';
import { heardPool } from './heard-pool.ts';
import { postgresLimits } from './limits.ts';
import type { Tables } from './tables.ts';

/** 64-bit integers as numbers: all of ours are times, counts and nano-USD below 2⁵³, and a larger one is a defect. */
const parsers: PoolConfig['types'] = {
  getTypeParser: (oid, format) => {
    if (oid !== types.builtins.INT8) return types.getTypeParser(oid, format);
    return (text: string) => {
      const value = Number(text);
      if (!Number.isSafeInteger(value)) throw new StoreError('corrupt', `${text} is too large.`);
      return value;
    };
  },
};

export function connectionConfig(url: string): PoolConfig {
  return {
    connectionString: url,
    types: parsers,
    application_name: 'postern',
    connectionTimeoutMillis: postgresLimits.connectMs,
    keepAlive: true,
  };
}

/** The connections of one process, and the queries over them. */
export class Database {
  readonly db: Kysely<Tables>;
  readonly #pool: Pool;

  constructor(url: string, connections: number) {
    this.#pool = new Pool({
      ...connectionConfig(url),
      max: connections,
      statement_timeout: postgresLimits.statementMs,
      query_timeout: postgresLimits.answerMs,
      lock_timeout: postgresLimits.lockMs,
      idle_in_transaction_session_timeout: postgresLimits.answerMs,
      // What is acknowledged survives a loss of power, whatever the role's or database's default is.
      options: '-c synchronous_commit=on',
      allowExitOnIdle: true,
    });
    // An idle connection that breaks is replaced with the next query; whoever asks then learns about a server that is gone.
    this.#pool.on('error', () => undefined);
    // One that breaks between two statements of a transaction says so to nobody else; its next statement fails.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
    this.db = new Kysely<Tables>({
      dialect: new PostgresDialect({ pool: heardPool(this.#pool) }),
    }).withSchema('postern');
  }

  /** One transaction; once more where it lost against another one. */
  async transaction<T>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- the next attempt is made because this one failed
        return await this.db.transaction().execute(work);
      } catch (cause) {
        if (attempt === postgresLimits.attempts || !isTransient(cause)) throw cause;
      }
    }
  }

  /** Refuses a server on which what is acknowledged may be lost, or text come back changed. */
  async check(): Promise<void> {
    const { rows } = await sql<{ encoding: string; version: number }>`
      SELECT current_setting('server_encoding') AS encoding,
        current_setting('server_version_num')::integer AS version`.execute(this.db);
    const [row] = rows;
    if (row?.encoding !== 'UTF8') {
      throw new StoreError(
        'unsupported',
        `The database has the encoding ${row?.encoding ?? '?'}; create one with ENCODING 'UTF8'.`,
      );
    }
    if (row.version < 130_000) {
      throw new StoreError('unsupported', 'PostgreSQL 13 or later is needed.');
    }
  }

  async close(): Promise<void> {
    await this.db.destroy();
  }
}
