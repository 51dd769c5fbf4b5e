import { setImmediate as endOfTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Settlement } from '../observe/index.ts';
import { Settlements } from './settlements.ts';

/** Nothing here looks at anything but the id. */
const settled = (id: string): Settlement => ({ request: { id } }) as unknown as Settlement;

function gathering(): { settlements: Settlements; done: string[]; faults: string[] } {
  const done: string[] = [];
  const faults: string[] = [];
  const settlements = new Settlements(
    [
      ({ request }) => {
        if (request.id === 'bad') throw new Error('a defect');
        done.push(`log ${request.id}`);
      },
      ({ request }) => void done.push(`record ${request.id}`),
    ],
    (fault, id) => void faults.push(`${id}: ${String(fault)}`),
  );
  return { settlements, done, faults };
}

test('each step is done for all requests of a turn, in their order, at its end', async () => {
  const { settlements, done } = gathering();
  settlements.take(settled('a'));
  settlements.take(settled('b'));
  await Promise.resolve();
  expect(done).toEqual([]);
  await endOfTurn();
  expect(done).toEqual(['log a', 'log b', 'record a', 'record b']);
  settlements.take(settled('c'));
  await endOfTurn();
  expect(done.slice(4)).toEqual(['log c', 'record c']);
});

test('whoever ends need not wait, and nothing is done twice', async () => {
  const { settlements, done } = gathering();
  settlements.take(settled('a'));
  settlements.flush();
  expect(done).toEqual(['log a', 'record a']);
  await endOfTurn();
  expect(done).toHaveLength(2);
});

test('a defect keeps nothing from the other steps and requests, and is told', async () => {
  const { settlements, done, faults } = gathering();
  settlements.take(settled('bad'));
  settlements.take(settled('good'));
  await endOfTurn();
  expect(done).toEqual(['log good', 'record bad', 'record good']);
  expect(faults).toEqual(['bad: Error: a defect']);
});
