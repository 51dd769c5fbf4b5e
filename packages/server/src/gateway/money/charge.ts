import type { Usage } from '@postern/core/dialect';
import type { ModelPrice } from '@postern/core/price';
import { costOf, nanoUsdMax, rateOf, ratesFor } from '@postern/core/price';
import { withToolRates } from './tool-uses.ts';

/**
 * The cost of a usage of a model. Uses of tools that no rate covers cost what they do elsewhere; everything else is billed like output, the
 * dearest class: never for nothing.
 */
export function charge(price: ModelPrice, usage: Usage, model: string): number {
  let cost = costOf(price, usage);
  if (!cost.ok && cost.error.kind === 'unpriced') cost = costOf(withToolRates(price, model), usage);
  if (cost.ok) return cost.value;
  const rates = ratesFor(price, usage.input + usage.cacheRead + usage.cacheWrite);
  const dearest = Math.max(
    ...(['input', 'output'] as const).map((each) => rateOf(rates, each) ?? 0),
  );
  const tokens = usage.input + usage.cacheRead + usage.cacheWrite + usage.output;
  return Math.min(nanoUsdMax, Math.ceil((tokens / 1_000_000) * dearest));
}
