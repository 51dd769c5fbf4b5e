import { expect, test } from 'vitest';
import { createLineWriter } from './line-writer.ts';

const gathered = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 15);
  });

/** A stream that has written what it was given, and remembers it. */
function sinkInto(written: string[]): { write(bytes: Uint8Array): void } {
  return { write: (bytes) => void written.push(Buffer.from(bytes).toString()) };
}

test('lines of some milliseconds go out in order and in one write', async () => {
  const written: string[] = [];
  const write = createLineWriter(sinkInto(written));
  write('a\n');
  write('bé漢😀\n');
  expect(written).toEqual([]);
  await gathered();
  expect(written).toEqual(['a\nbé漢😀\n']);
  write('c\n');
  await gathered();
  expect(written).toEqual(['a\nbé漢😀\n', 'c\n']);
});

test('more than there is room for goes out in order, and a line longer than that', async () => {
  const written: string[] = [];
  const write = createLineWriter(sinkInto(written));
  const lines = Array.from({ length: 3_000 }, (_, index) => `${index} ${'x'.repeat(50)}\n`);
  lines.splice(2_000, 0, `${'漢'.repeat(50_000)}\n`);
  for (const line of lines) write(line);
  await gathered();
  expect(written.join('')).toBe(lines.join(''));
});

test('what a slow reader has not taken is not written over', async () => {
  const held: Uint8Array[] = [];
  const write = createLineWriter({ write: (bytes) => held.push(bytes), writableLength: 1 });
  write('first\n');
  await gathered();
  write('second\n');
  await gathered();
  expect(held.map((bytes) => Buffer.from(bytes).toString())).toEqual(['first\n', 'second\n']);
});
