import { assert } from '../base/index.ts';
import type { Target } from './catalog.ts';

const weightDefault = 1;

/**
 * The order in which one request tries its targets: tier by tier, and inside a tier drawn by weight, so that over many
 * requests each is first as often as its weight says, and all of a tier come before the next one. Targets without a
 * tier are one each, in the order given. `random` gives numbers in [0, 1).
 */
export function orderTargets(targets: readonly Target[], random: () => number): readonly Target[] {
  if (targets.every(({ tier }) => tier === undefined)) return targets;
  const tiers = new Map<string, Target[]>();
  targets.forEach((target, index) => {
    const key = target.tier === undefined ? `alone ${index}` : `tier ${target.tier}`;
    const tier = tiers.get(key);
    if (tier === undefined) tiers.set(key, [target]);
    else tier.push(target);
  });
  return [...tiers.values()].flatMap((tier) => drawn(tier, random));
}

function drawn(tier: readonly Target[], random: () => number): readonly Target[] {
  const left = [...tier];
  const order: Target[] = [];
  while (left.length > 0) {
    const [picked] = left.splice(pick(left, random()), 1);
    assert(picked !== undefined, 'one of those left is picked');
    order.push(picked);
  }
  return order;
}

function pick(targets: readonly Target[], random: number): number {
  const total = targets.reduce((sum, target) => sum + weightOf(target), 0);
  let rest = random * total;
  for (const [index, target] of targets.entries()) {
    rest -= weightOf(target);
    if (rest < 0) return index;
  }
  return targets.length - 1;
}

function weightOf({ weight }: Target): number {
  return weight ?? weightDefault;
}
