/**
 * The largest sum that limits count, in nano-USD nine million USD: a safe integer with room, so that a sum of two is still
 * told from an allowed one by a comparison.
 */
export const amountMax = 9_000_000_000_000_000;

/** A whole number from 0 to `amountMax`; NaN, fractions and negative numbers are none. */
export function isAmount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= amountMax;
}
