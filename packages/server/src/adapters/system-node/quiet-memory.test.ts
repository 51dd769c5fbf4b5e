import { expect, test } from 'vitest';
import { QuietAfterWork } from './quiet-memory.ts';

/** At which looks it says that it is quiet. */
function quietAt(parts: readonly number[]): readonly number[] {
  const quiet = new QuietAfterWork();
  return parts.flatMap((part, at) => (quiet.look(part) ? [at] : []));
}

const rest = (looks: number): readonly number[] => Array.from({ length: looks }, () => 0.001);

test('memory goes back once, five quiet minutes after work', () => {
  expect(quietAt([0.9, ...rest(20)])).toEqual([5]);
});

test('each work has its own quiet', () => {
  expect(quietAt([0.3, ...rest(6), 0.06, ...rest(6)])).toEqual([5, 12]);
});

test('a call now and then is work', () => {
  expect(quietAt([0.9, ...rest(4), 0.02, ...rest(4), 0.02, ...rest(5)])).toEqual([15]);
});

test('without work there is nothing to give back', () => {
  expect(quietAt(rest(20))).toEqual([]);
});
