import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChurnMap } from './churn-map.ts';

test('is what a Map is, whatever comes and goes', () => {
  const step = fc.record({
    act: fc.constantFrom('set', 'delete', 'get' as const),
    // Few keys, so that they meet; many, so that the table grows.
    key: fc.oneof(
      fc.integer({ min: 0, max: 20 }).map(String),
      fc.integer({ max: 5_000, min: 0 }).map(String),
      fc.string(),
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1_500, size: 'max' }), (steps) => {
      const [mine, plain] = [new ChurnMap<number>(), new Map<string, number>()];
      steps.forEach(({ act, key }, at) => {
        if (act === 'set') {
          mine.set(key, at);
          plain.set(key, at);
        } else if (act === 'delete') expect(mine.delete(key)).toBe(plain.delete(key));
        expect(mine.get(key)).toBe(plain.get(key));
        expect(mine.has(key)).toBe(plain.has(key));
        expect(mine.size).toBe(plain.size);
      });
      expect(mine.keys().toSorted()).toEqual([...plain.keys()].toSorted());
      expect(new Map(mine)).toEqual(plain);
    }),
    { numRuns: 50 },
  );
});

test('grows, and becomes small again', () => {
  const map = new ChurnMap<string>();
  const names = Array.from({ length: 10_000 }, (_, at) => `request-${at}`);
  for (const name of names) map.set(name, name);
  expect(map.size).toBe(10_000);
  expect(names.every((name) => map.get(name) === name)).toBe(true);
  for (const name of names.slice(1)) map.delete(name);
  expect(map.keys()).toEqual(['request-0']);
});
