/**
 * @module The price snapshot, in a folder of its own so that only who needs it loads it (220 kB of source).
 *
 * Promises: published prices, dated, in order; made by `tools/prices.ts` and by nothing else. Refuses: edits by hand;
 * operators write their own prices over it.
 */
export { priceSnapshot } from '../snapshot.generated.ts';
