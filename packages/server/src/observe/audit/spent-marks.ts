import type { AuditRecord } from '@postern/core/state/audit';

/** Accounts of one record: names are short, and a record has 32 kB. */
const accountsPerMark = 128;

/**
 * What the requests on the record came to, for each account since the ledger of this process began. Written into the log now
 * and then, so that after a crash nobody needs to read all of it to know what a slice has paid.
 */
export class SpentMarks {
  readonly #totals = new Map<string, number>();
  readonly #changed = new Set<string>();
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
      this.#totals.set(account, (this.#totals.get(account) ?? 0) + cost);
      this.#changed.add(account);
    }
  }

  /** Totals of the accounts that changed since the last call. They hold for the place in the log where they are appended. */
  take(nowMs: number): readonly AuditRecord[] {
    const process = this.#process;
    if (process === undefined) return [];
    const accounts = [...this.#changed];
    this.#changed.clear();
    const records: AuditRecord[] = [];
    for (let at = 0; at < accounts.length; at += accountsPerMark) {
      const some = accounts.slice(at, at + accountsPerMark);
      const spent = some.map((account) => this.#totals.get(account) ?? 0);
      const fields = { accounts: some, process, spent_nano_usd: spent };
      records.push({ kind: 'ledger.mark', v: 1, atMs: Math.trunc(nowMs), fields });
    }
    return records;
  }
}
