import type { BankChange } from '@postern/core/quota';
import { crashProof } from '@postern/core/quota';
import type { StaleSlice } from './bank.ts';
import type { LedgerOptions } from './ledger-options.ts';

/** How the slices of processes that are gone end: what nothing proves unspent is lost. */
export async function endsOf(
  slices: readonly StaleSlice[],
  { proofOf, onEvent }: LedgerOptions,
): Promise<readonly BankChange[]> {
  const ends: BankChange[] = [];
  for (const slice of slices) {
    // oxlint-disable-next-line no-await-in-loop -- seldom, and one log is read after the other
    const known = await proofOf?.(slice);
    const proof = crashProof({
      granted: slice.granted,
      usable: known?.usable ?? slice.granted,
      settled: Math.max(known?.settled ?? 0, slice.settled),
    });
    ends.push({ kind: 'end', account: slice.account, slice: slice.slice, proof });
    const lost = slice.granted - proof.settled - proof.unspent;
    if (lost > 0) onEvent?.({ kind: 'swept', account: slice.account, lost });
  }
  return ends;
}
