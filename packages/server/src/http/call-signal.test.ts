import { expect, test } from 'vitest';
import { abortSignalOf, Leaving } from './call-signal.ts';

test('whoever listens is told once, in order, and whoever stopped listening is not', () => {
  const leaving = new Leaving();
  const told: string[] = [];
  const listeners = ['a', 'b', 'c', 'd'].map((name) => () => void told.push(name));
  for (const listener of listeners) leaving.addEventListener('abort', listener);
  const [, second, , last] = listeners;
  for (const gone of [second, last, second]) {
    if (gone !== undefined) leaving.removeEventListener('abort', gone);
  }
  expect(leaving.aborted).toBe(false);
  leaving.abort();
  leaving.abort();
  expect(leaving.aborted).toBe(true);
  expect(told).toEqual(['a', 'c']);
  leaving.addEventListener('abort', () => void told.push('late'));
  expect(told).toEqual(['a', 'c']);
});

test('who is taken off by another listener before their turn is not told', () => {
  const leaving = new Leaving();
  const told: string[] = [];
  const second = (): void => void told.push('second');
  leaving.addEventListener('abort', () => leaving.removeEventListener('abort', second));
  leaving.addEventListener('abort', second);
  leaving.addEventListener('abort', () => void told.push('third'));
  leaving.abort();
  expect(told).toEqual(['third']);
});

test('it is given to the platform as a signal of the platform', () => {
  const leaving = new Leaving();
  const signal = abortSignalOf(leaving);
  expect(signal.aborted).toBe(false);
  leaving.abort();
  expect(signal.aborted).toBe(true);
  expect(abortSignalOf(leaving).aborted).toBe(true);
  expect(abortSignalOf(signal)).toBe(signal);
});
