import type { Snapshot } from '@postern/core/state';
import {
  decodeState,
  emptySnapshot,
  encodeState,
  headOf,
  replay,
  snapshotOf,
} from '@postern/core/state';
import Database from 'better-sqlite3';
import type { StoredState, VerifyReport } from '../../control/store.ts';
import type { Engine } from './engine.ts';
import { sha256Hex } from './engine.ts';
import { sqliteLimits } from './limits.ts';
import { migrate, migrations, schemaText } from './migrations.ts';

/** Gives other work its turn. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Everything that can be known about a database from within: its pages, its schema, every hash of the chain, and that
 * the materialised state is what the journal adds up to. Records that are appended meanwhile are not looked at.
 */
export async function verifyDatabase(db: Database.Database, engine: Engine): Promise<VerifyReport> {
  const head = engine.head();
  const records = engine.count();
  const findings = [...pageFindings(db), ...schemaFindings(db)];
  const stored = engine.storedState();
  if (stored !== undefined && engine.state() === undefined) {
    findings.push('The materialised state does not have its digest.');
  }
  let at: Snapshot = emptySnapshot();
  while (at.index < head.index) {
    const stop =
      stored !== undefined && at.index < stored.head.index ? stored.head.index : head.index;
    const count = Math.min(sqliteLimits.verifyRowsPerTurn, stop - at.index);
    const after = replay(at, engine.readAfter(at.index, count), sha256Hex);
    if (!after.ok) {
      findings.push(`The journal is broken at record ${after.error.index}: ${after.error.what}.`);
      break;
    }
    if (after.value.index === at.index) {
      findings.push(`The journal ends at record ${at.index} instead of ${head.index}.`);
      break;
    }
    at = after.value;
    if (at.index === stored?.head.index) findings.push(...stateFindings(at, stored));
    await nextTurn();
  }
  return { intact: findings.length === 0, records, head, findings };
}

function pageFindings(db: Database.Database): readonly string[] {
  const lines = db.prepare('PRAGMA integrity_check').pluck().all();
  return lines.filter((line) => line !== 'ok').map((line) => `SQLite: ${String(line)}.`);
}

function schemaFindings(db: Database.Database): readonly string[] {
  const fresh = new Database(':memory:');
  try {
    migrate(fresh, { migrations, nowMs: 0, backUp: () => undefined });
    const same = schemaText(fresh) === schemaText(db);
    return same ? [] : ['The schema is not the one that this release makes.'];
  } finally {
    fresh.close();
  }
}

function stateFindings(at: Snapshot, stored: StoredState): readonly string[] {
  if (encodeState(at) === stored.body) return [];
  return [`The materialised state of record ${at.index} is not what the journal adds up to.`];
}

/** The materialised state of the last record, from the one before and what came since. */
export function materialisedState(engine: Engine): StoredState | undefined {
  const head = engine.head();
  let at = startOf(engine.state());
  while (at.index < head.index) {
    const after = replay(at, engine.readAfter(at.index), sha256Hex);
    if (!after.ok || after.value.index === at.index) return undefined;
    at = after.value;
  }
  return { head: headOf(at), atMs: at.atMs, body: encodeState(at) };
}

function startOf(stored: StoredState | undefined): Snapshot {
  const state = stored === undefined ? undefined : decodeState(stored.body);
  if (stored === undefined || state === undefined) return emptySnapshot();
  return snapshotOf(state, stored.head, stored.atMs);
}
