import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freeSlot, noSlots, takeSlot } from './concurrency.ts';

test('N at once against a limit of k admit exactly k, and as many again once they are done', () => {
  fc.assert(
    fc.property(fc.nat(50), fc.nat(100), (limit, tries) => {
      for (let round = 0, slots = noSlots; round < 2; round += 1) {
        let admitted = 0;
        for (let i = 0; i < tries; i += 1) {
          const next = takeSlot(slots, limit);
          if (next === undefined) continue;
          slots = next;
          admitted += 1;
        }
        expect(admitted).toBe(Math.min(limit, tries));
        for (let i = 0; i < admitted; i += 1) slots = freeSlot(slots);
        expect(slots).toEqual(noSlots);
      }
    }),
  );
});

test('a slot that is given back twice, and a limit that is none, are bugs', () => {
  expect(() => freeSlot(noSlots)).toThrow('a slot is given back once');
  for (const limit of [-1, 0.5, Number.NaN])
    expect(() => takeSlot(noSlots, limit)).toThrow('a limit of slots');
});
