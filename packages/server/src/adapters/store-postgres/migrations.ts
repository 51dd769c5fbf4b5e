import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { StoreError } from './failure.ts';
import type { Tables } from './tables.ts';

/** One step of the schema. Steps that were released never change. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

export const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'journal, materialised state and the lease of the leader',
    sql: `
CREATE TABLE postern.journal (
  idx bigint PRIMARY KEY CHECK (idx >= 1),
  at_ms bigint NOT NULL,
  prev_hash text NOT NULL CHECK (length(prev_hash) = 64),
  hash text NOT NULL UNIQUE CHECK (length(hash) = 64),
  body text NOT NULL
);

CREATE TABLE postern.materialised_state (
  idx bigint PRIMARY KEY,
  at_ms bigint NOT NULL,
  hash text NOT NULL,
  digest text NOT NULL,
  body text NOT NULL
);

CREATE TABLE postern.control_lease (
  id integer PRIMARY KEY CHECK (id = 1),
  token bigint NOT NULL,
  holder text NOT NULL,
  name text NOT NULL,
  until_ms bigint NOT NULL
);
INSERT INTO postern.control_lease VALUES (1, 0, '', '', 0);

CREATE FUNCTION postern.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
  $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE FUNCTION postern.journal_continues() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last record;
BEGIN
  SELECT idx, hash INTO last FROM postern.journal ORDER BY idx DESC LIMIT 1;
  IF NEW.idx <> coalesce(last.idx, 0) + 1 OR NEW.prev_hash <> coalesce(last.hash, repeat('0', 64)) THEN
    RAISE EXCEPTION 'record % does not continue the journal', NEW.idx USING ERRCODE = 'PS001';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER journal_continues BEFORE INSERT ON postern.journal
  FOR EACH ROW EXECUTE FUNCTION postern.journal_continues();

CREATE FUNCTION postern.journal_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'PS002';
END $$;
CREATE TRIGGER journal_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON postern.journal
  FOR EACH STATEMENT EXECUTE FUNCTION postern.journal_stays();
`,
  },
  {
    version: 2,
    name: 'accounts of budgets and the history of use',
    sql: `
CREATE TABLE postern.money_account (
  account text COLLATE "C" PRIMARY KEY,
  state text
);

CREATE TABLE postern.money_process (
  process text COLLATE "C" PRIMARY KEY,
  seq bigint NOT NULL CHECK (seq >= 0),
  seen_at_ms bigint NOT NULL
);

-- The key of a row is the digest of its six texts: they could outgrow a page of an index, a digest cannot.
CREATE TABLE postern.money_usage (
  digest text COLLATE "C" PRIMARY KEY,
  hour_ms bigint NOT NULL,
  principal text NOT NULL,
  display text NOT NULL,
  model text NOT NULL,
  target text NOT NULL,
  accounts text NOT NULL,
  requests bigint NOT NULL,
  estimated bigint NOT NULL,
  input bigint NOT NULL,
  cache_read bigint NOT NULL,
  cache_write bigint NOT NULL,
  output bigint NOT NULL,
  reasoning bigint NOT NULL,
  cost bigint NOT NULL
);
CREATE INDEX money_usage_hour ON postern.money_usage (hour_ms);
`,
  },
  {
    version: 3,
    name: 'what servers of one private network share',
    sql: `
CREATE TABLE postern.network_fact (
  name text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE postern.network_report (
  node text COLLATE "C" PRIMARY KEY,
  at_ms bigint NOT NULL,
  report text NOT NULL
);
CREATE INDEX network_report_at ON postern.network_report (at_ms);
`,
  },
  {
    version: 4,
    name: 'leases of the registry',
    sql: `
CREATE TABLE postern.registry_lease (
  uuid text PRIMARY KEY,
  renewed_at_ms bigint NOT NULL
);`,
  },
  {
    version: 5,
    name: 'searches and sound in the history of use',
    sql: `
ALTER TABLE postern.money_usage
  ADD COLUMN web_searches bigint NOT NULL DEFAULT 0,
  ADD COLUMN storage_searches bigint NOT NULL DEFAULT 0,
  ADD COLUMN input_audio bigint NOT NULL DEFAULT 0,
  ADD COLUMN output_audio bigint NOT NULL DEFAULT 0;
`,
  },
];

/** Held while the schema is looked at and changed, so that of gateways that start together one does it. */
const migrationLock = 0x50_53_54_31;

/**
 * Brings the schema to the newest version: forward only, one transaction a step, so that a crash leaves a schema that the next start continues
 * from. Refuses a newer schema and a history with gaps. Returns the version reached.
 */
export async function migrate(
  db: Kysely<Tables>,
  steps: readonly Migration[] = migrations,
): Promise<number> {
  const latest = steps.at(-1)?.version ?? 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    const reached = await db.transaction().execute(async (trx) => {
      await sql`SELECT pg_advisory_xact_lock(${migrationLock})`.execute(trx);
      const found = await versionOf(trx, steps);
      const step = steps.find(({ version }) => version === found + 1);
      if (step === undefined) return found;
      await sql.raw(step.sql).execute(trx);
      await sql`INSERT INTO postern.schema_migration VALUES (${step.version}, ${step.name},
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)`.execute(trx);
      return step.version;
    });
    if (reached === latest) return reached;
  }
}

/** The version that is there, after making sure that it is one of ours without gaps. */
async function versionOf(trx: Kysely<Tables>, steps: readonly Migration[]): Promise<number> {
  const there = await sql<{ is: boolean }>`
    SELECT to_regclass('postern.schema_migration') IS NOT NULL AS is`.execute(trx);
  if (there.rows[0]?.is !== true) {
    await sql`CREATE SCHEMA IF NOT EXISTS postern`.execute(trx);
    await sql`CREATE TABLE postern.schema_migration (
      version integer PRIMARY KEY, name text NOT NULL, applied_at_ms bigint NOT NULL)`.execute(trx);
    return 0;
  }
  const rows = await trx
    .withSchema('postern')
    .selectFrom('schema_migration')
    .select(['version', 'name'])
    .orderBy('version')
    .execute();
  const latest = steps.at(-1)?.version ?? 0;
  const found = rows.at(-1)?.version ?? 0;
  if (found > latest) {
    throw new StoreError(
      'unsupported',
      `The state in PostgreSQL was written by a newer release (schema ${found}; this one knows up to ${latest}). Run that release again, or restore a backup made by this one.`,
    );
  }
  const known = new Map(steps.map(({ version, name }) => [version, name]));
  const fits = rows.every(
    ({ version, name }, i) => version === i + 1 && known.get(version) === name,
  );
  if (fits) return found;
  throw new StoreError(
    'unsupported',
    `The schema in PostgreSQL has gaps: it says version ${found}, but its history does not add up to it. Restore a backup.`,
  );
}
