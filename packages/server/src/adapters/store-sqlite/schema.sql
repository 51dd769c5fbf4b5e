-- The schema that the migrations add up to. A test compares the two; nothing reads this file at run time.

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
  cost INTEGER NOT NULL, web_searches INTEGER NOT NULL DEFAULT 0, storage_searches INTEGER NOT NULL DEFAULT 0, input_audio INTEGER NOT NULL DEFAULT 0, output_audio INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (hour_ms, principal, display, model, target, accounts)
) STRICT, WITHOUT ROWID;

CREATE TABLE registry_lease (
  uuid TEXT PRIMARY KEY,
  renewed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
