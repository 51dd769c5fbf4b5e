import { expect, test } from 'vitest';
import { createLineWriter } from './line-writer.ts';

test('lines of one turn go out in order and in one write', async () => {
  const written: string[] = [];
  const write = createLineWriter({ write: (text) => written.push(text) });
  write('a\n');
  write('b\n');
  expect(written).toEqual([]);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(written).toEqual(['a\nb\n']);
  write('c\n');
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(written).toEqual(['a\nb\n', 'c\n']);
});
