import { createHash } from 'node:crypto';
import type { Head, JournalRow } from '@postern/core/state';
import type { Database, Statement } from 'better-sqlite3';
import type { Loaded, StoredState } from '../../control/store.ts';
import { StoreError } from './failure.ts';
import { sqliteLimits } from './limits.ts';

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

const genesis: Head = { index: 0, hash: '0'.repeat(64) };

interface StateRow extends StoredState {
  readonly digest: string;
}

/** The journal in an open database: every statement prepared once, all values bound. */
export class Engine {
  readonly #db: Database;
  readonly #insert: Statement<[number, number, string, string, string]>;
  readonly #after: Statement<[number, number]>;
  readonly #head: Statement<[]>;
  readonly #state: Statement<[]>;
  readonly #count: Statement<[]>;

  constructor(db: Database) {
    this.#db = db;
    this.#insert = db.prepare(
      'INSERT INTO journal (idx, at_ms, prev_hash, hash, body) VALUES (?, ?, ?, ?, ?)',
    );
    this.#after = db.prepare(
      'SELECT idx, at_ms, prev_hash, hash, body FROM journal WHERE idx > ? ORDER BY idx LIMIT ?',
    );
    this.#head = db.prepare('SELECT idx, hash FROM journal ORDER BY idx DESC LIMIT 1');
    this.#state = db.prepare(
      'SELECT s.idx, s.at_ms, s.hash, s.digest, s.body FROM materialised_state s JOIN journal j ON j.idx = s.idx AND j.hash = s.hash ORDER BY s.idx DESC LIMIT 1',
    );
    this.#count = db.prepare('SELECT count(*) FROM journal').pluck();
  }

  head(): Head {
    const row = this.#head.get();
    if (row === undefined) return genesis;
    // The columns are those selected, in a STRICT table.
    const { idx, hash } = row as { readonly idx: number; readonly hash: string };
    return { index: idx, hash };
  }

  count(): number {
    return Number(this.#count.get());
  }

  append(rows: readonly JournalRow[]): void {
    this.#db
      .transaction(() => {
        const head = this.head();
        const first = rows[0];
        if (
          first !== undefined &&
          (first.index !== head.index + 1 || first.prevHash !== head.hash)
        ) {
          throw new StoreError(
            'conflict',
            `The journal ends at record ${head.index}, which record ${first.index} does not continue.`,
          );
        }
        for (const { index, atMs, prevHash, hash, body } of rows) {
          this.#insert.run(index, atMs, prevHash, hash, body);
        }
      })
      .immediate();
  }

  /** A page of rows, by count and by size; at least one where there is one. */
  readAfter(index: number, countMax: number = sqliteLimits.pageRowsMax): readonly JournalRow[] {
    const rows: JournalRow[] = [];
    let chars = 0;
    for (const raw of this.#after.iterate(index, countMax)) {
      // The columns are those selected, in a STRICT table.
      const row = raw as {
        readonly idx: number;
        readonly at_ms: number;
        readonly prev_hash: string;
        readonly hash: string;
        readonly body: string;
      };
      const { idx, at_ms: atMs, prev_hash: prevHash, hash, body } = row;
      rows.push({ index: idx, atMs, prevHash, hash, body });
      chars += body.length;
      if (chars > sqliteLimits.pageCharsMax) break;
    }
    return rows;
  }

  load(from: 'state' | 'genesis'): Loaded {
    const state = from === 'state' ? this.state() : undefined;
    return { state, rows: this.readAfter(state?.head.index ?? 0), head: this.head() };
  }

  /** The materialised state, if it belongs to this journal and its digest holds. */
  state(): StoredState | undefined {
    const stored = this.storedState();
    if (stored === undefined) return undefined;
    const { digest, ...state } = stored;
    return digest === stateDigest(state) ? state : undefined;
  }

  storedState(): StateRow | undefined {
    const row = this.#state.get();
    if (row === undefined) return undefined;
    // The columns are those selected, in a STRICT table.
    const { idx, at_ms, hash, digest, body } = row as {
      readonly idx: number;
      readonly at_ms: number;
      readonly hash: string;
      readonly digest: string;
      readonly body: string;
    };
    return { head: { index: idx, hash }, atMs: at_ms, digest, body };
  }

  saveState(state: StoredState): void {
    const { head, atMs, body } = state;
    this.#db
      .transaction(() => {
        this.#db.prepare('DELETE FROM materialised_state').run();
        this.#db
          .prepare(
            'INSERT INTO materialised_state (idx, at_ms, hash, digest, body) VALUES (?, ?, ?, ?, ?)',
          )
          .run(head.index, atMs, head.hash, stateDigest(state), body);
      })
      .immediate();
  }
}

/** Binds a materialised state to its place: a state of another record does not pass for this one's. */
function stateDigest({ head, atMs, body }: StoredState): string {
  return sha256Hex(`postern.state.v1\n${head.index}\n${head.hash}\n${atMs}\n${body}`);
}
