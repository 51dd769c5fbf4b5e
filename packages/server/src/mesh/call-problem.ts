import type { DialProblem } from './handshake.ts';

/** Why there is no connection to a target. */
export type CallProblem =
  | DialProblem
  | { readonly kind: 'unknown-target'; readonly message: string }
  | { readonly kind: 'no-identity'; readonly message: string }
  /** Every address of it failed lately. */
  | { readonly kind: 'ejected'; readonly message: string; readonly waitMs: number };
