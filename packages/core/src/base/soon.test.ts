import { expect, test } from 'vitest';
import { andThen } from './soon.ts';

test('what is there is gone on with at once, what comes when it comes', async () => {
  const seen: string[] = [];
  const next = (value: string): string => {
    seen.push(value);
    return `${value}!`;
  };
  expect(andThen('now', next)).toBe('now!');
  const later = andThen(Promise.resolve('later'), next);
  expect(seen).toEqual(['now']);
  expect(await later).toBe('later!');
  await expect(andThen(Promise.reject(new Error('no')), next)).rejects.toThrow('no');
  expect(seen).toEqual(['now', 'later']);
});
