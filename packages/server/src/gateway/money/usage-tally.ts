import type { UsageRow } from './bank.ts';
import { usageCountFields } from './bank.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Rows that are sent at once; the rest waits for the next batch. */
const rowsPerBatch = 2_000;

/** Usage of the last moment, added up by what tells rows apart, until the next batch takes it. */
export class UsageTally {
  readonly #rows = new Map<string, Mutable<UsageRow>>();

  add(row: UsageRow): void {
    const key = `${row.hourMs} ${row.principal} ${row.model} ${row.target} ${row.accounts} ${row.display}`;
    const known = this.#rows.get(key);
    if (known === undefined) {
      this.#rows.set(key, { ...row });
      return;
    }
    for (const field of usageCountFields) known[field] += row[field];
  }

  take(): readonly UsageRow[] {
    const taken: UsageRow[] = [];
    for (const [key, row] of this.#rows) {
      if (taken.length >= rowsPerBatch) break;
      taken.push(row);
      this.#rows.delete(key);
    }
    return taken;
  }
}
