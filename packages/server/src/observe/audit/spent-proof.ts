import type { AuditValue, PlacedRecord } from '@postern/core/state/audit';

/**
 * Reads from a log what slices have paid, as far as it shows it. Records are given in order, from any place on; an account is
 * known from the first record of its ledger or the first mark on that names it.
 */
export class SpentProof {
  readonly #spent = new Map<string, Map<string, number>>();
  /** Ledgers whose beginning was seen: every account of them is known. */
  readonly #whole = new Set<string>();
  #process: string | undefined;

  take({ kind, fields }: PlacedRecord): void {
    if (kind === 'ledger.begun' && typeof fields['process'] === 'string') {
      this.#process = fields['process'];
      this.#whole.add(this.#process);
      this.#spent.set(this.#process, new Map());
    } else if (kind === 'ledger.mark' && typeof fields['process'] === 'string') {
      this.#process = fields['process'];
      this.#mark(this.#process, textsOf(fields['accounts']), listOf(fields['spent_nano_usd']));
    } else if (kind === 'request' && this.#process !== undefined) {
      this.#add(this.#process, textsOf(fields['accounts']), fields['cost_nano_usd']);
    }
  }

  /** What the slice of a process has paid from an account at least; undefined where the log does not reach back to it. */
  of(process: string, account: string): number | undefined {
    const known = this.#spent.get(process);
    return known?.get(account) ?? (this.#whole.has(process) ? 0 : undefined);
  }

  #mark(process: string, accounts: readonly string[], spent: readonly AuditValue[]): void {
    const known = this.#spent.get(process) ?? new Map<string, number>();
    this.#spent.set(process, known);
    accounts.forEach((account, at) => {
      const total = spent[at];
      if (typeof total === 'number') known.set(account, total);
    });
  }

  #add(process: string, accounts: readonly string[], cost: AuditValue | undefined): void {
    const known = this.#spent.get(process);
    if (known === undefined || typeof cost !== 'number') return;
    for (const account of accounts) {
      const before = known.get(account);
      if (before !== undefined || this.#whole.has(process)) {
        known.set(account, (before ?? 0) + cost);
      }
    }
  }
}

function listOf(value: AuditValue | undefined): readonly AuditValue[] {
  // `Array.isArray` alone does not narrow a readonly array.
  return Array.isArray(value) ? (value as readonly AuditValue[]) : [];
}

function textsOf(value: AuditValue | undefined): readonly string[] {
  return listOf(value).filter((each) => typeof each === 'string');
}
