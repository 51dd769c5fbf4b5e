import { expect, test } from 'vitest';
import { onceUnlessItFails } from './once.ts';

test('is made with the first question, for all who ask', async () => {
  let made = 0;
  const once = onceUnlessItFails(() => Promise.resolve((made += 1)));
  expect(once.begun()).toBeUndefined();
  expect(await Promise.all([once(), once()])).toEqual([1, 1]);
  expect(await once()).toBe(1);
  expect(await once.begun()).toBe(1);
});

test('a fault is everybody’s who waited for it, and nobody’s after them', async () => {
  let asked = 0;
  const once = onceUnlessItFails(() => {
    asked += 1;
    return asked === 1 ? Promise.reject(new Error('EMFILE')) : Promise.resolve('there');
  });
  const waited = await Promise.allSettled([once(), once()]);
  expect(waited.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(once.begun()).toBeUndefined();
  expect(await once()).toBe('there');
  expect(asked).toBe(2);
});
