import { expect, test } from 'vitest';
import { Deadlines } from './deadlines.ts';

const everyMs = 10;

function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

function untilSaid(said: readonly string[], count: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (said.length >= count) resolve();
      else setTimeout(look, 1);
    };
    look();
  });
}

test('whoever is under way is looked at again and again, until they are taken off', async () => {
  const deadlines = new Deadlines(everyMs);
  const said: string[] = [];
  const one = { place: -1, check: () => void said.push('looked') };
  deadlines.add(one);
  await untilSaid(said, 2);
  deadlines.delete(one);
  const before = said.length;
  await untilSaid(['', '', ''], 3);
  expect(said).toHaveLength(before);
});

test('after this process was held up, what arrived meanwhile is read before anybody is judged', async () => {
  const deadlines = new Deadlines(everyMs);
  const said: string[] = [];
  const one = { place: -1, check: () => void said.push('judged') };
  deadlines.add(one);
  // What is read comes in its own phase of the loop, behind the timers, as an immediate does.
  setImmediate(() => {
    hold(everyMs * 6);
    said.length = 0;
    setImmediate(() => void said.push('read'));
  });
  await untilSaid(said, 2);
  deadlines.delete(one);
  expect(said.slice(0, 2)).toEqual(['read', 'judged']);
});
