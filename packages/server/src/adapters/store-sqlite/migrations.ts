import type { Database } from 'better-sqlite3';
import { StoreError } from './failure.ts';

/** One step of the schema. Steps that were released never change. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

export const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'journal and materialised state',
    sql: `
CREATE TABLE journal (
  idx INTEGER PRIMARY KEY CHECK (idx >= 1),
  at_ms INTEGER NOT NULL,
  prev_hash TEXT NOT NULL CHECK (length(prev_hash) = 64),
  hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
  body TEXT NOT NULL
) STRICT;

CREATE TABLE materialised_state (
  idx INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  hash TEXT NOT NULL,
  digest TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE schema_migration (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  applied_at_ms INTEGER NOT NULL
) STRICT;

CREATE TRIGGER journal_is_contiguous BEFORE INSERT ON journal
WHEN NEW.idx <> (SELECT coalesce(max(idx), 0) + 1 FROM journal)
BEGIN SELECT raise(ABORT, 'the journal has no gaps'); END;

CREATE TRIGGER journal_keeps_records BEFORE DELETE ON journal
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_stays_as_written BEFORE UPDATE ON journal
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
`,
  },
  {
    version: 2,
    name: 'accounts of budgets and the history of use',
    sql: `
CREATE TABLE money_account (
  account TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (json_valid(state))
) STRICT, WITHOUT ROWID;

CREATE TABLE money_process (
  process TEXT PRIMARY KEY,
  seq INTEGER NOT NULL CHECK (seq >= 1),
  seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE money_usage (
  hour_ms INTEGER NOT NULL,
  principal TEXT NOT NULL,
  display TEXT NOT NULL,
  model TEXT NOT NULL,
  target TEXT NOT NULL,
  accounts TEXT NOT NULL,
  requests INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  input INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  output INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, principal, display, model, target, accounts)
) STRICT, WITHOUT ROWID;
`,
  },
  {
    version: 3,
    name: 'leases of the registry',
    sql: `
CREATE TABLE registry_lease (
  uuid TEXT PRIMARY KEY,
  renewed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`,
  },
  {
    version: 4,
    name: 'searches and sound in the history of use',
    sql: `
ALTER TABLE money_usage ADD COLUMN web_searches INTEGER NOT NULL DEFAULT 0;
ALTER TABLE money_usage ADD COLUMN storage_searches INTEGER NOT NULL DEFAULT 0;
ALTER TABLE money_usage ADD COLUMN input_audio INTEGER NOT NULL DEFAULT 0;
ALTER TABLE money_usage ADD COLUMN output_audio INTEGER NOT NULL DEFAULT 0;
`,
  },
];

/** `PST1` in ASCII: tells a state file of Postern from any other SQLite file. */
const applicationId = 0x50535431;

export interface MigrateOptions {
  readonly migrations: readonly Migration[];
  readonly nowMs: number;
  /** Called once before the first step on a database that holds something: copies it aside. */
  readonly backUp: (from: number, to: number) => void;
}

/**
 * Brings a database to the newest schema: forward only, one transaction a step, so that a crash leaves a schema that
 * the next start continues from. Refuses a newer schema, one that is too old for the steps at hand, and a history
 * with gaps. Returns the version reached.
 */
export function migrate(db: Database, options: MigrateOptions): number {
  const steps = options.migrations;
  const first = steps[0]?.version ?? 1;
  const latest = steps.at(-1)?.version ?? 0;
  const found = versionOf(db);
  if (found > latest) {
    throw new StoreError(
      'unsupported',
      `The state was written by a newer release (schema ${found}; this one knows up to ${latest}). Run that release again, or restore a backup made by this one.`,
    );
  }
  if (found > 0 && found < first - 1) {
    throw new StoreError(
      'unsupported',
      `The state is too old for this release (schema ${found}; it starts from ${first - 1}). Run a release in between once, then this one.`,
    );
  }
  if (found > 0) checkHistory(db, found, steps);
  const missing = steps.filter(({ version }) => version > found);
  if (found > 0 && missing.length > 0) options.backUp(found, latest);
  for (const step of missing) apply(db, step, options.nowMs);
  return latest;
}

function versionOf(db: Database): number {
  const id = db.pragma('application_id', { simple: true });
  const version = Number(db.pragma('user_version', { simple: true }));
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
  if (id === 0 && version === 0 && tables === 0) return 0;
  if (id !== applicationId || version < 1) {
    throw new StoreError('unsupported', 'The state file is a database of some other program.');
  }
  return version;
}

/** The steps that were applied must be the steps that we know, without gaps. */
function checkHistory(db: Database, found: number, steps: readonly Migration[]): void {
  const rows = db.prepare('SELECT version, name FROM schema_migration ORDER BY version').all();
  const known = new Map(steps.map(({ version, name }) => [version, name]));
  const fits = rows.every((row, i) => {
    // The columns are those of schema_migration, whose table is STRICT.
    const { version, name } = row as { readonly version: number; readonly name: string };
    return version === i + 1 && (known.get(version) ?? name) === name;
  });
  if (fits && rows.length === found) return;
  throw new StoreError(
    'unsupported',
    `The schema of the state has gaps: it says version ${found}, but its history does not add up to it. Restore a backup.`,
  );
}

function apply(db: Database, step: Migration, nowMs: number): void {
  db.transaction(() => {
    db.exec(step.sql);
    db.prepare('INSERT INTO schema_migration (version, name, applied_at_ms) VALUES (?, ?, ?)').run(
      step.version,
      step.name,
      nowMs,
    );
    db.pragma(`application_id = ${applicationId}`);
    db.pragma(`user_version = ${step.version}`);
  }).exclusive();
}

/** Every object of the schema as its own SQL, by name: what two databases of one version have in common. */
export function schemaText(db: Database): string {
  return db
    .prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name')
    .pluck()
    .all()
    .join(';\n\n');
}
