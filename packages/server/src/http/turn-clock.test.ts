import { setImmediate as endOfTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { turnClock } from './turn-clock.ts';

test('a clock is read once in a turn, and anew in the next', async () => {
  let reads = 0;
  const nowMs = turnClock(() => (reads += 1));
  expect([nowMs(), nowMs()]).toEqual([1, 1]);
  await Promise.resolve();
  expect(nowMs()).toBe(1);
  await endOfTurn();
  expect([nowMs(), nowMs()]).toEqual([2, 2]);
});

test('who asks at the end of a turn does not keep the time for the one after next', async () => {
  let reads = 0;
  const nowMs = turnClock(() => (reads += 1));
  await endOfTurn();
  expect(nowMs()).toBe(1);
  await endOfTurn();
  await endOfTurn();
  expect(nowMs()).toBe(2);
});
