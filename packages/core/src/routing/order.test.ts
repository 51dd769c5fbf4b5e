import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Target } from './catalog.ts';
import { orderTargets } from './order.ts';

const at = (model: string, tier?: number, weight?: number): Target => ({
  provider: 'p',
  model,
  ...(tier === undefined ? {} : { tier }),
  ...(weight === undefined ? {} : { weight }),
});
const names = (targets: readonly Target[]): string => targets.map(({ model }) => model).join('');

test('targets without tiers keep their order', () => {
  const targets = [at('a'), at('b'), at('c')];
  expect(orderTargets(targets, () => 0.999)).toBe(targets);
});

test('a tier comes whole before the next, in the order that the numbers draw', () => {
  const targets = [at('a', 0, 3), at('b', 0, 1), at('c', 1)];
  expect(names(orderTargets(targets, () => 0))).toBe('abc');
  expect(names(orderTargets(targets, () => 0.74))).toBe('abc');
  expect(names(orderTargets(targets, () => 0.75))).toBe('bac');
  expect(names(orderTargets([at('x'), ...targets], () => 0.99))).toBe('xbac');
});

test('over many requests each target is first as often as its weight says', () => {
  const targets = [at('a', 0, 6), at('b', 0, 3), at('c', 0, 1)];
  const first: Record<string, number> = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 1_000; i += 1) {
    const [winner] = orderTargets(targets, () => (i + 0.5) / 1_000);
    first[winner?.model ?? ''] = (first[winner?.model ?? ''] ?? 0) + 1;
  }
  expect(first).toEqual({ a: 600, b: 300, c: 100 });
});

test('nothing is lost or doubled, and tiers never mix', () => {
  const target = fc.record({
    tier: fc.option(fc.nat(3), { nil: undefined }),
    weight: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(
      fc.array(target, { maxLength: 12 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999_999, noNaN: true })),
      (list, numbers) => {
        const targets = list.map(({ tier, weight }, i) => at(`m${i}`, tier, weight));
        const ordered = orderTargets(targets, () => numbers.next().value ?? 0);
        expect(ordered.toSorted((a, b) => a.model.localeCompare(b.model))).toEqual(
          targets.toSorted((a, b) => a.model.localeCompare(b.model)),
        );
        for (const tier of [0, 1, 2, 3]) {
          const places = ordered.flatMap((each, index) => (each.tier === tier ? [index] : []));
          const [start] = places;
          if (start !== undefined) expect(places.at(-1)).toBe(start + places.length - 1);
        }
      },
    ),
  );
});
