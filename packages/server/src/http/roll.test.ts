import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Roll } from './roll.ts';

test('who was added and has not left is there, once', () => {
  const steps = fc.array(fc.record({ who: fc.nat(9), leaves: fc.boolean() }));
  fc.assert(
    fc.property(steps, (taken) => {
      const all = Array.from({ length: 10 }, (_, name) => ({ name, place: -1 }));
      const roll = new Roll<(typeof all)[number]>();
      const here = new Set<number>();
      for (const { who, leaves } of taken) {
        const one = all[who];
        if (one === undefined || leaves !== here.has(who)) continue;
        if (leaves) roll.delete(one);
        else roll.add(one);
        if (leaves) here.delete(who);
        else here.add(who);
      }
      const seen: number[] = [];
      roll.each(({ name }) => void seen.push(name));
      expect(new Set(seen)).toEqual(here);
      expect(seen).toHaveLength(here.size);
      expect(roll.size).toBe(here.size);
    }),
  );
});

test('those who leave while they are looked at are looked at once, and so is everybody else', () => {
  const all = Array.from({ length: 50 }, (_, name) => ({ name, place: -1 }));
  const roll = new Roll<(typeof all)[number]>();
  for (const one of all) roll.add(one);
  const seen: number[] = [];
  roll.each((one) => {
    seen.push(one.name);
    if (one.name % 3 !== 0) roll.delete(one);
  });
  expect(seen.toSorted((a, b) => a - b)).toEqual(all.map(({ name }) => name));
  expect(roll.size).toBe(17);
  const [first] = all;
  if (first !== undefined) roll.delete(first);
  if (first !== undefined) roll.delete(first);
  expect(roll.size).toBe(16);
});
