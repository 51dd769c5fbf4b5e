import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type { Pool, PoolClient } from 'pg';

/**
 * A pool whose connections are closed once an answer did not come in time. The path to a server that moved, or whose network went away, breaks
 * without a word: such a connection stays silent for as long as the system sends its packets again, a quarter of an hour.
 */
export function heardPool(pool: Pool): PostgresPool {
  return {
    options: pool.options,
    connect: async () => heard(await pool.connect()),
    end: () => pool.end(),
  };
}

function heard(client: PoolClient): PostgresPoolClient {
  let silent: Error | undefined;
  const query = async (text: string, values: readonly unknown[]): Promise<unknown> => {
    // What comes after it, such as a rollback, would wait as long and hear as little.
    if (silent !== undefined) throw silent;
    try {
      return await client.query(text, [...values]);
    } catch (cause) {
      if (cause instanceof Error && cause.message === readTimeout) silent = cause;
      throw cause;
    }
  };
  return {
    // Without a cursor, which nobody configured, this is the form that is called.
    query: query as PostgresPoolClient['query'],
    release: (mustClose) => client.release(silent ?? mustClose),
  };
}

/** The driver gives it no code. */
const readTimeout = 'Query read timeout';
