import { expect, test } from 'vitest';
import { Pages } from './pages.ts';

const bytes = (length: number): Uint8Array => new Uint8Array(length);

test('a page is kept for as long as nothing changed and everybody on it is there', () => {
  const pages = new Pages();
  const page = { version: '1', untilMs: 100, bytes: bytes(3) };
  pages.put('a', page);
  expect(pages.get('a', '1', 99)).toBe(page.bytes);
  expect(pages.get('b', '1', 99)).toBeUndefined();
  expect(pages.get('a', '2', 99)).toBeUndefined();
  pages.put('a', page);
  expect(pages.get('a', '1', 100)).toBeUndefined();
});

test('pages take no more than 64 MB; the oldest goes first', () => {
  const pages = new Pages();
  const half = 33_554_432 - 1_024;
  for (const key of ['a', 'b', 'c'])
    pages.put(key, { version: '', untilMs: 1, bytes: bytes(half) });
  const held = (key: string): boolean => pages.get(key, '', 0) !== undefined;
  expect(['a', 'b', 'c'].map(held)).toEqual([false, true, true]);
  pages.put('d', { version: '', untilMs: 1, bytes: bytes(2 * half + 2_048) });
  expect(['b', 'c', 'd'].map(held)).toEqual([true, true, false]);
});
