import type { AuditRecord } from '@postern/core/state/audit';

/** Accounts of one record. */
const accountsPerMark = 128;
/** What they may take of its 32 kB: a name may be that of a token's subject, 255 characters of three bytes. */
const bytesPerMark = 30_000;
/** Beside a name: quotes, commas, and what was spent. */
const bytesBesideName = 20;

/** What an account has spent. Changed in place: a map of numbers would take a new one for every request. */
interface Total {
  readonly account: string;
  spent: number;
}

/**
 * What the requests on the record came to, for each account since the ledger of this process began. Written into the log now
 * and then, so that after a crash nobody needs to read all of it to know what a slice has paid.
 */
export class SpentMarks {
  readonly #totals = new Map<string, Total>();
  /** Since the last mark. */
  readonly #changed = new Set<Total>();
  #process: string | undefined;

  /** The first record of a ledger: what comes after it belongs to this process. */
  begin(process: string, nowMs: number): AuditRecord {
    this.#process = process;
    this.#totals.clear();
    this.#changed.clear();
    return { kind: 'ledger.begun', v: 1, atMs: Math.trunc(nowMs), fields: { process } };
  }

  /** Counts a request whose record was taken. */
  add(accounts: readonly string[], cost: number): void {
    if (this.#process === undefined || cost === 0) return;
    for (const account of accounts) {
      const total = this.#totalOf(account);
      total.spent += cost;
      this.#changed.add(total);
    }
  }

  /** Totals of the accounts that changed since the last call. They hold for the place in the log where they are appended. */
  take(nowMs: number): readonly AuditRecord[] {
    const process = this.#process;
    if (process === undefined) return [];
    const changed = [...this.#changed];
    this.#changed.clear();
    const records: AuditRecord[] = [];
    for (let at = 0; at < changed.length; ) {
      const some = firstOf(changed, at);
      at += some.length;
      const accounts = some.map(({ account }) => account);
      const spent = some.map((total) => total.spent);
      const fields = { accounts, process, spent_nano_usd: spent };
      records.push({ kind: 'ledger.mark', v: 1, atMs: Math.trunc(nowMs), fields });
    }
    return records;
  }

  #totalOf(account: string): Total {
    let total = this.#totals.get(account);
    if (total === undefined) {
      total = { account, spent: 0 };
      this.#totals.set(account, total);
    }
    return total;
  }
}

/** As many from a place on as fit into one record, at least one. */
function firstOf(totals: readonly Total[], from: number): readonly Total[] {
  let end = from;
  let bytes = 0;
  while (end < totals.length && end - from < accountsPerMark) {
    bytes += 3 * (totals[end]?.account.length ?? 0) + bytesBesideName;
    if (end > from && bytes > bytesPerMark) break;
    end += 1;
  }
  return totals.slice(from, end);
}
