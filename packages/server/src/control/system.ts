import type { RandomBytes, Sha256Hex } from '@postern/core/state';

/** What the control plane needs of the machine besides its store. */
export interface System {
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  /** A fresh identifier: letters and digits. */
  readonly newId: () => string;
  readonly sha256Hex: Sha256Hex;
  readonly randomBytes: RandomBytes;
}
