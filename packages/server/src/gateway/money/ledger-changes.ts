import type { BankChange, SliceProof, Till } from '@postern/core/quota';
import { amountMax } from '@postern/core/quota';
import type { Desk } from './ledger-desk.ts';
import { idleMs } from './ledger-times.ts';

/** At most so many changes come of one desk. */
export const deskChangesMax = 5;

export interface DeskMoment {
  /** The id of this process's slices. */
  readonly slice: string;
  readonly now: number;
  /** Once in a while everything that was settled is reported. */
  readonly isTick: boolean;
  /** What somebody waits for, or a busy account would like ahead. */
  readonly ask: { readonly need: number; readonly want: number } | undefined;
  /** What was taken out because others need it; undefined where nobody asked. */
  readonly recalled: number | undefined;
}

/** What the bank is told of one account, in this order: what was spent, what is owed, what goes back, what is asked for. */
export function changesOf(desk: Desk, till: Till, moment: DeskMoment): readonly BankChange[] {
  const { slice, now, isTick, ask, recalled } = moment;
  const { account, budget } = desk;
  const view = till.view(account);
  const isOwing = view.settled + view.held > view.granted;
  const changes: BankChange[] = [];
  // Where the bank refuses even that, it is asked again in a while.
  const mustOpen = !desk.hasSlice && isOwing && (isTick || ask !== undefined);
  if (mustOpen) changes.push({ kind: 'lease', budget, account, slice, need: 0, want: 0 });
  const isOpen = desk.hasSlice || mustOpen;
  const isDue = isTick || ask !== undefined || isOwing || recalled !== undefined;
  if (desk.isDirty && isDue && isOpen) {
    desk.isDirty = false;
    const settled = Math.max(0, view.settled - desk.base);
    changes.push({ kind: 'report', account, slice, settled });
  }
  if (isOwing && isOpen) {
    const granted = view.settled + view.held - desk.base;
    changes.push({ kind: 'cover', account, slice, granted });
  }
  const isIdle = isTick && isOpen && ask === undefined && now - desk.lastUsedMs >= idleMs;
  const idle = (recalled ?? 0) + (isIdle ? till.takeIdle(account, amountMax) : 0);
  if (idle > 0 && isOpen)
    changes.push({ kind: 'return', account, slice, granted: grantedOf(desk, till) });
  if (ask !== undefined) changes.push({ kind: 'lease', budget, account, slice, ...ask });
  return changes;
}

/** What the slice of this process holds in all, as far as this process knows. */
export function grantedOf(desk: Desk, till: Till): number {
  return Math.max(0, till.view(desk.account).granted - desk.base);
}

/** Closes the drawer of an account, with what ends the slice there is; undefined while something is open. */
export function proofOf(desk: Desk, till: Till): SliceProof | undefined {
  const granted = grantedOf(desk, till);
  const proof = till.close(desk.account);
  if (proof === undefined || !desk.hasSlice) return undefined;
  const settled = Math.max(0, proof.settled - desk.base);
  return { settled, unspent: Math.min(proof.unspent, Math.max(0, granted - settled)) };
}

/**
 * Takes what lies idle out of the drawers that others need it from, also where somebody waits here: parts of an amount that lie in several
 * processes are of use to nobody until they come together in the account.
 */
export function takeRecalled(desks: Iterable<Desk>, till: Till): Map<Desk, number> {
  const taken = new Map<Desk, number>();
  for (const desk of desks) {
    if (!desk.isRecalled) continue;
    desk.isRecalled = false;
    taken.set(desk, till.takeIdle(desk.account, amountMax));
  }
  return taken;
}

/** Puts back what found no place in a batch; the next one takes it. */
export function putBack(taken: ReadonlyMap<Desk, number>, till: Till): void {
  for (const [desk, idle] of taken) {
    till.grant(desk.account, idle);
    desk.isRecalled = true;
  }
}
