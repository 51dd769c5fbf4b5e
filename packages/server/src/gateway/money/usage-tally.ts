import type { UsageRow } from './bank.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Rows that are sent at once; the rest waits for the next batch. */
const rowsPerBatch = 2_000;

/** Usage of the last moment, added up by what tells rows apart, until the next batch takes it. */
export class UsageTally {
  readonly #rows = new Map<string, Mutable<UsageRow>>();
  /** The row that was added to last: the next one is mostly of the same. */
  #last: Mutable<UsageRow> | undefined;

  add(row: UsageRow): void {
    const last = this.#last;
    if (last !== undefined && isSame(last, row)) {
      addTo(last, row);
      return;
    }
    const key = `${row.hourMs} ${row.principal} ${row.model} ${row.target} ${row.accounts} ${row.display}`;
    const known = this.#rows.get(key);
    if (known === undefined) {
      this.#last = { ...row };
      this.#rows.set(key, this.#last);
      return;
    }
    this.#last = known;
    addTo(known, row);
  }

  take(): readonly UsageRow[] {
    this.#last = undefined;
    const taken: UsageRow[] = [];
    for (const [key, row] of this.#rows) {
      if (taken.length >= rowsPerBatch) break;
      taken.push(row);
      this.#rows.delete(key);
    }
    return taken;
  }
}

function isSame(a: UsageRow, b: UsageRow): boolean {
  return (
    a.hourMs === b.hourMs &&
    a.principal === b.principal &&
    a.model === b.model &&
    a.target === b.target &&
    a.accounts === b.accounts &&
    a.display === b.display
  );
}

function addTo(sum: Mutable<UsageRow>, row: UsageRow): void {
  // Written out: a loop over the names costs as much as everything else here.
  sum.requests += row.requests;
  sum.estimated += row.estimated;
  sum.input += row.input;
  sum.cacheRead += row.cacheRead;
  sum.cacheWrite += row.cacheWrite;
  sum.output += row.output;
  sum.reasoning += row.reasoning;
  sum.cost += row.cost;
  sum.webSearches += row.webSearches;
  sum.storageSearches += row.storageSearches;
  sum.inputAudio += row.inputAudio;
  sum.outputAudio += row.outputAudio;
}
