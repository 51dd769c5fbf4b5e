import { expect, test } from 'vitest';
import { sayAtEndOfTurn } from './end-of-turn.ts';

const endOfTurn = async (): Promise<void> =>
  await new Promise((resolve) => {
    setImmediate(resolve);
  });

function speakers(count: number, said: number[]): void {
  for (let number = 0; number < count; number += 1)
    sayAtEndOfTurn({ say: () => void said.push(number) });
}

test('what is said in one turn is said at its end, in order', async () => {
  const said: number[] = [];
  const ended = endOfTurn();
  speakers(3, said);
  expect(said).toEqual([]);
  await Promise.resolve();
  expect(said).toEqual([]);
  await ended;
  await endOfTurn();
  expect(said).toEqual([0, 1, 2]);
});

test('of many, nobody waits for more than sixty-three others', async () => {
  const said: number[] = [];
  speakers(65, said);
  expect(said).toHaveLength(64);
  await endOfTurn();
  expect(said).toHaveLength(65);
});

test('who speaks may make others speak, also many of them', async () => {
  const said: number[] = [];
  sayAtEndOfTurn({ say: () => speakers(100, said) });
  await endOfTurn();
  await endOfTurn();
  expect(said).toHaveLength(100);
});
