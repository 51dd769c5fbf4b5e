import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Result } from '@postern/core/base';
import type { JournalRow } from '@postern/core/state';
import { genesis, sealRecord } from '@postern/core/state';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../control/store.ts';
import { SqliteClient } from './client.ts';
import { openDatabase } from './database.ts';
import { sha256Hex } from './engine.ts';
import type { RestoreOptions } from './index.ts';
import { inspectBackup, openSqliteStore, restoreBackup } from './index.ts';
import { migrations } from './migrations.ts';
import { schemaKnown } from './schema.ts';

const actor = { principal: 'local:uid:1000', channel: 'control-socket' } as const;

let base = '';
let dir = '';
const stores: Store[] = [];
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'postern-sqlite-'));
  dir = join(base, 'state');
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(base, { recursive: true, force: true });
});

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

async function open(at = dir): Promise<Store> {
  const store = value(await openSqliteStore(at));
  stores.push(store);
  return store;
}

function rows(count: number, salt = ''): JournalRow[] {
  const all: JournalRow[] = [];
  for (let n = 1; n <= count; n += 1) {
    const generation = {
      number: n,
      digest: sha256Hex(`${n}`),
      text: `{"note":"${salt}${n}"}`,
      appliedBy: actor.principal,
      appliedAtMs: n,
    };
    const events = [{ kind: 'config.applied', generation } as const];
    const record = { atMs: n, actor, command: 'config.apply', events } as const;
    all.push(sealRecord(all.at(-1) ?? genesis, record, sha256Hex));
  }
  return all;
}

/** A backup of some records, made by a store that is closed again. */
async function backup(count: number, salt = ''): Promise<string> {
  const file = join(base, `${salt}${count}.postern-backup`);
  const store = await open(join(base, `source-${salt}${count}`));
  value(await store.append(rows(count, salt)));
  value(await store.materialise());
  value(await store.backup(file));
  await store.close();
  return file;
}

describe('the state folder', () => {
  test('nobody but its owner can read it', async () => {
    const store = await open();
    value(await store.append(rows(3)));
    const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
    expect(await mode(dir)).toBe(0o700);
    for (const name of readdirSync(dir)) expect(await mode(join(dir, name)), name).toBe(0o600);
    expect(readdirSync(dir)).toContain('state.db-wal');
  });

  test('a second owner is told which process has it', async () => {
    await open();
    const second = await openSqliteStore(dir);
    expect(second).toMatchObject({ ok: false, error: { kind: 'in_use' } });
    expect(!second.ok && second.error.message).toContain(
      `The state folder ${dir} is in use by process ${process.pid} on `,
    );
    expect(!second.ok && second.error.message).toContain('POSTERN_STATE');
  });

  test('a file that is no database, or of another program, is refused and stays as it was', async () => {
    await (await open()).close();
    const file = join(dir, 'state.db');
    await writeFile(file, 'not a database at all, but long enough to have a header '.repeat(20));
    const before = await readFile(file);
    expect(await openSqliteStore(dir)).toMatchObject({ ok: false, error: { kind: 'corrupt' } });
    expect((await readFile(file)).equals(before)).toBe(true);
  });

  test('an unusable folder is unavailable, not a crash', async () => {
    await writeFile(join(base, 'file'), '');
    expect(await openSqliteStore(join(base, 'file', 'state'))).toMatchObject({
      ok: false,
      error: { kind: 'unavailable' },
    });
  });

  test('what is older is copied aside, whole and private, before it is migrated', async () => {
    const store = await open();
    value(await store.append(rows(3)));
    await store.close();
    const next = {
      version: schemaKnown + 1,
      name: 'next',
      sql: 'CREATE TABLE next (x INTEGER) STRICT',
    };
    const options = { dir, nowMs: 5, bytesMax: 2 ** 30, steps: [...migrations, next] };
    openDatabase(options).close();
    openDatabase(options).close();
    const name = `before-schema-${schemaKnown + 1}-from-${schemaKnown}-5.db`;
    expect(readdirSync(join(dir, 'backups'))).toEqual([name]);
    const copy = join(dir, 'backups', name);
    expect((await stat(copy)).mode & 0o777).toBe(0o600);
    const db = new Database(copy, { readonly: true });
    expect(db.prepare('SELECT count(*) FROM journal').pluck().get()).toBe(3);
    expect(db.pragma('user_version', { simple: true })).toBe(schemaKnown);
    db.close();
  });

  test('use from before searches and sound were counted apart has none, and what comes is added to it', async () => {
    const steps = migrations.filter(({ version }) => version <= 3);
    const old = openDatabase({ dir, nowMs: 5, bytesMax: 2 ** 30, steps });
    old.db
      .prepare(
        `INSERT INTO money_usage VALUES (0, 'key:a', 'a', 'm', 'p/m', '', 1, 0, 10, 0, 0, 5, 0, 7)`,
      )
      .run();
    old.close();
    const opened = value(await openSqliteStore(dir));
    stores.push(opened);
    const asked = { sinceMs: 0, by: 'model' } as const;
    const before = { input: 10, cacheRead: 0, cacheWrite: 0, output: 5, reasoning: 0, cost: 7 };
    const none = { webSearches: 0, storageSearches: 0, inputAudio: 0, outputAudio: 0 };
    expect(value(await opened.bank.usage(asked))).toEqual([
      { key: 'm', display: 'm', requests: 1, estimated: 0, ...before, ...none },
    ]);
    const said = { principal: 'key:a', display: 'a', model: 'm', target: 'p/m', accounts: '' };
    const some = { webSearches: 1, storageSearches: 2, inputAudio: 3, outputAudio: 4 };
    const row = { hourMs: 0, ...said, requests: 1, estimated: 0, ...before, ...some };
    value(await opened.bank.change({ process: 'p', seq: 1, changes: [], usage: [row] }));
    expect(value(await opened.bank.usage(asked))).toMatchObject([
      { requests: 2, cost: 14, ...some },
    ]);
  });

  test('what is newer is refused with a sentence', async () => {
    await (await open()).close();
    const db = new Database(join(dir, 'state.db'));
    db.pragma('user_version = 9');
    db.close();
    const refused = await openSqliteStore(dir);
    expect(refused).toMatchObject({ ok: false, error: { kind: 'unsupported' } });
    expect(!refused.ok && refused.error.message).toContain('newer release (schema 9');
  });
});

describe('a thread that dies', () => {
  test('fails its calls, and the next call has another thread', async () => {
    const client = value(await SqliteClient.open({ dir, bytesMax: 2 ** 30 }));
    value(await client.call('append', rows(2)));
    // A method that does not exist is a defect in the thread, which ends it.
    const crashed = client.call('nonsense' as 'verify');
    expect(await crashed).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
    const [one, two] = await Promise.all([client.call('readAfter', 0), client.call('verify')]);
    expect(value(one)).toHaveLength(2);
    expect(value(two).intact).toBe(true);
    await client.close();
  });
});

describe('damage inside', () => {
  const tampering: readonly (readonly [what: string, sql: string, finding: string])[] = [
    [
      'a changed record',
      `DROP TRIGGER journal_stays_as_written; UPDATE journal SET body = replace(body, '"note', '"nope') WHERE idx = 2`,
      'broken at record 2',
    ],
    [
      'a changed time',
      'DROP TRIGGER journal_stays_as_written; UPDATE journal SET at_ms = 7 WHERE idx = 3',
      'broken at record 3',
    ],
    [
      'a record cut out',
      'DROP TRIGGER journal_keeps_records; DELETE FROM journal WHERE idx = 2',
      'broken at record 2',
    ],
    [
      'a changed materialised state',
      `UPDATE materialised_state SET body = replace(body, '"number":4', '"number":5')`,
      'does not have its digest',
    ],
    ['a changed schema', 'DROP TRIGGER journal_keeps_records', 'schema is not the one'],
  ];
  for (const [what, sql, finding] of tampering) {
    test(`${what} is found`, async () => {
      const store = await open();
      value(await store.append(rows(4)));
      value(await store.materialise());
      await store.close();
      const db = new Database(join(dir, 'state.db'));
      db.exec(sql);
      db.close();
      const report = value(await (await open()).verify());
      expect(report.intact).toBe(false);
      expect(report.findings.join('\n')).toContain(finding);
    });
  }

  test('a materialised state that is damaged is passed over at the start', async () => {
    const store = await open();
    value(await store.append(rows(4)));
    value(await store.materialise());
    expect(value(await store.load('state')).state?.head.index).toBe(4);
    await store.close();
    const db = new Database(join(dir, 'state.db'));
    db.exec("UPDATE materialised_state SET body = body || ' '");
    db.close();
    const loaded = value(await (await open()).load('state'));
    expect(loaded.state).toBeUndefined();
    expect(loaded.rows).toHaveLength(4);
  });
});

describe('a backup', () => {
  test('is one private file that says what it holds', async () => {
    const file = await backup(5);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(readdirSync(base).filter((name) => name.startsWith('.'))).toEqual([]);
    const { manifest, report } = value(await inspectBackup(file));
    expect(manifest).toMatchObject({ records: 5, headIndex: 5, headHash: rows(5)[4]?.hash });
    expect(report).toMatchObject({ intact: true, records: 5 });
  });

  test('a flipped bit is found in every class of byte', async () => {
    const file = await backup(30);
    const bytes = readFileSync(file);
    const firstLine = bytes.indexOf(10);
    const header = bytes.indexOf(10, firstLine + 1) + 1;
    const text = bytes.indexOf('note\\":\\"17', header, 'utf8');
    const hash = bytes.indexOf(rows(30)[11]?.hash ?? '', header, 'utf8');
    const state = bytes.indexOf('"generations"', header, 'utf8');
    expect(Math.min(text, hash, state)).toBeGreaterThan(header);
    const classes: Readonly<Record<string, number>> = {
      magic: 0,
      version: 15,
      'digest of the manifest': 17,
      'first line end': firstLine,
      manifest: firstLine + 5,
      'last of the manifest': header - 2,
      'second line end': header - 1,
      'database header': header,
      'schema version': header + 60,
      'record text': text,
      'record hash': hash,
      'materialised state': state,
      'unused space': header + 4_096 - 1_000,
      'last byte': bytes.length - 1,
    };
    const spread = Array.from({ length: 25 }, (_, i) => Math.floor((bytes.length * i) / 25));
    for (const [name, at] of [...Object.entries(classes), ...Object.entries(spread)]) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      await writeFile(file, flipped);
      const found = await inspectBackup(file);
      expect(found, `${name} at ${at}`).toMatchObject({ ok: false, error: { kind: 'corrupt' } });
    }
  }, 120_000);

  test('one that was cut off or added to is found', async () => {
    const file = await backup(3);
    const bytes = readFileSync(file);
    for (const wrong of [
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.from([0])]),
      bytes.subarray(0, 40),
      Buffer.alloc(0),
      Buffer.from('postern-backup 1 '),
    ]) {
      await writeFile(file, wrong);
      expect(await inspectBackup(file)).toMatchObject({ ok: false, error: { kind: 'corrupt' } });
    }
  });
});

describe('a restore', () => {
  const restore = async (
    file: string,
    more: Partial<RestoreOptions> = {},
  ): Promise<ReturnType<typeof restoreBackup>> =>
    restoreBackup({ file, dir, actor, nowMs: 99, ...more });

  test('continues the chain with a record of itself', async () => {
    const report = value(await restore(await backup(5)));
    expect(report.head.index).toBe(6);
    const store = await open();
    const loaded = value(await store.load('genesis'));
    expect(loaded.rows.slice(0, 5)).toEqual(rows(5));
    expect(loaded.rows[5]?.body).toContain('"command":"state.restored"');
    expect(value(await store.verify()).intact).toBe(true);
    expect((await stat(join(dir, 'state.db'))).mode & 0o777).toBe(0o600);
  });

  test('never into a folder that holds something, except configuration', async () => {
    const file = await backup(2);
    await open();
    expect(await restore(file)).toMatchObject({ ok: false, error: { kind: 'refused' } });
    const other = join(base, 'other');
    await (await open(other)).close();
    await rm(join(other, 'state.db'));
    await writeFile(join(other, 'notes.txt'), '');
    const refused = await restore(file, { dir: other });
    expect(!refused.ok && refused.error.message).toContain('it holds notes.txt');
    await rm(join(other, 'notes.txt'));
    await writeFile(join(other, 'postern.hujson'), '{}');
    expect((await restore(file, { dir: other })).ok).toBe(true);
  });

  test('a damaged backup leaves nothing behind that would start', async () => {
    const file = await backup(2);
    const bytes = readFileSync(file);
    bytes[bytes.length - 5] = 1;
    await writeFile(file, bytes);
    expect((await restore(file)).ok).toBe(false);
    expect(existsSync(dir) ? readdirSync(dir) : []).toEqual([]);
  });

  test('a fork of the checkpoint is refused; what contains it is not', async () => {
    const checkpoint = { index: 3, hash: rows(3)[2]?.hash ?? '' };
    const forked = await restore(await backup(5, 'fork'), { checkpoint });
    expect(!forked.ok && forked.error.message).toContain('is a fork: its record 3');
    expect((await restore(await backup(5), { checkpoint })).ok).toBe(true);
  });

  test('a backup from before the checkpoint needs to be meant', async () => {
    const file = await backup(2);
    const checkpoint = { index: 3, hash: rows(3)[2]?.hash ?? '' };
    const refused = await restore(file, { checkpoint });
    expect(!refused.ok && refused.error.message).toContain('ends at record 2, before');
    expect((await restore(file, { checkpoint, allowOlder: true })).ok).toBe(true);
  });

  test('a file that is not there is unavailable', async () => {
    expect(await restore(join(base, 'nothing'))).toMatchObject({
      ok: false,
      error: { kind: 'unavailable' },
    });
  });
});
