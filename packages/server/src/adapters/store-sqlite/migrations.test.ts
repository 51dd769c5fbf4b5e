import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import type { Migration } from './migrations.ts';
import { migrate, migrations, schemaText } from './migrations.ts';

const open: Database.Database[] = [];
afterEach(() => {
  for (const db of open.splice(0)) db.close();
});

function database(): Database.Database {
  const db = new Database(':memory:');
  open.push(db);
  return db;
}

const first: readonly Migration[] = [{ version: 1, name: 'one', sql: migrations[0]?.sql ?? '' }];
const second: readonly Migration[] = [
  ...first,
  { version: 2, name: 'two', sql: 'CREATE TABLE two (x INTEGER) STRICT' },
];
const broken: readonly Migration[] = [
  ...second,
  { version: 3, name: 'three', sql: 'CREATE TABLE three (x INTEGER) STRICT; SELECT nonsense' },
];

function run(db: Database.Database, steps: readonly Migration[]): string[] {
  const backups: string[] = [];
  migrate(db, {
    migrations: steps,
    nowMs: 1,
    backUp: (from, to) => backups.push(`${from} to ${to}`),
  });
  return backups;
}

describe('the schema', () => {
  test('is what schema.sql says', () => {
    const migrated = database();
    run(migrated, migrations);
    const written = database();
    written.exec(readFileSync(new URL('./schema.sql', import.meta.url), 'utf8'));
    expect(schemaText(migrated)).toBe(schemaText(written));
  });

  test('is numbered from 1 without gaps', () => {
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, i) => i + 1));
  });

  test('a new database is migrated without a copy, an old one only after one', () => {
    const db = database();
    expect(run(db, first)).toEqual([]);
    expect(run(db, second)).toEqual(['1 to 2']);
    expect(run(db, second)).toEqual([]);
    expect(db.pragma('user_version', { simple: true })).toBe(2);
  });

  test('a copy that fails stops the migration before it began', () => {
    const db = database();
    run(db, first);
    const backUp = (): void => {
      throw new Error('no room');
    };
    expect(() => migrate(db, { migrations: second, nowMs: 1, backUp })).toThrow('no room');
    expect(db.pragma('user_version', { simple: true })).toBe(1);
  });

  test('a step that fails leaves no trace, keeps those before it, and runs again', () => {
    const db = database();
    run(db, first);
    expect(() => run(db, broken)).toThrow('no such column');
    expect(db.pragma('user_version', { simple: true })).toBe(2);
    expect(schemaText(db)).toContain('CREATE TABLE two');
    expect(schemaText(db)).not.toContain('CREATE TABLE three');
    const mended = [
      ...second,
      { version: 3, name: 'three', sql: 'CREATE TABLE three (x INTEGER)' },
    ];
    expect(run(db, mended)).toEqual(['2 to 3']);
  });

  test('a newer schema is refused, with both numbers and a way out', () => {
    const db = database();
    run(db, second);
    expect(() => run(db, first)).toThrow(
      'The state was written by a newer release (schema 2; this one knows up to 1). Run that release again, or restore a backup made by this one.',
    );
  });

  test('a schema from before the first step at hand is refused, not skipped over', () => {
    const db = database();
    run(db, first);
    const later = [{ version: 3, name: 'three', sql: 'SELECT 1' }];
    expect(() => run(db, later)).toThrow('too old for this release (schema 1; it starts from 2)');
  });

  test('a history with a gap or another name is refused', () => {
    for (const tamper of [
      'DELETE FROM schema_migration WHERE version = 1',
      "UPDATE schema_migration SET name = 'other' WHERE version = 2",
    ]) {
      const db = database();
      run(db, second);
      db.exec(tamper);
      expect(() => run(db, second)).toThrow('has gaps');
    }
  });

  test('the database of another program is left alone', () => {
    const db = database();
    db.exec('CREATE TABLE notes (x)');
    expect(() => run(db, migrations)).toThrow('a database of some other program');
    const versioned = database();
    versioned.pragma('user_version = 1');
    expect(() => run(versioned, migrations)).toThrow('a database of some other program');
  });

  test('records cannot be changed, deleted or left out, even by SQL', () => {
    const db = database();
    run(db, migrations);
    const insert = 'INSERT INTO journal (idx, at_ms, prev_hash, hash, body) VALUES (?, 0, ?, ?, ?)';
    db.prepare(insert).run(1, '0'.repeat(64), 'a'.repeat(64), '{}');
    expect(() => db.prepare(insert).run(3, 'a'.repeat(64), 'b'.repeat(64), '{}')).toThrow(
      'no gaps',
    );
    expect(() => db.exec("UPDATE journal SET body = 'x'")).toThrow('append-only');
    expect(() => db.exec('DELETE FROM journal')).toThrow('append-only');
  });
});
