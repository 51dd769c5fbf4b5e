import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lastNotes, sampleNotes } from './note-sample.ts';

let work = '';
let file = '';
beforeEach(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'postern-notes-'));
  file = path.join(work, 'checkpoints');
});
afterEach(() => rm(work, { recursive: true, force: true }));

/** As long as one of ours with a journal and one signature. */
const noteAt = (size: number): string =>
  `log.example/a\n${size}\n${'root'.repeat(11)}\nat ${size}\nchain ${'ab'.repeat(32)}\njournal 3 ${'cd'.repeat(32)}\n\n— log.example/a ${'sign'.repeat(24)}\n`;

const sizeOf = (note: string): number => Number(note.split('\n')[1]);

async function writeNotes(count: number): Promise<void> {
  const notes = Array.from({ length: count }, (_, at) => `${noteAt(at + 1)}\n`);
  await writeFile(file, notes.join(''));
}

const isWhole = (note: string): boolean => note === noteAt(sizeOf(note));

test('a file that is not there has no notes, and each of a short one is looked at', async () => {
  expect(await sampleNotes(file)).toEqual([]);
  expect(await lastNotes(file)).toEqual([]);
  await writeNotes(200);
  expect((await sampleNotes(file)).map(sizeOf)).toEqual(
    Array.from({ length: 200 }, (_, at) => at + 1),
  );
  await writeNotes(1_000);
  const some = (await sampleNotes(file)).map(sizeOf);
  expect(some).toHaveLength(251);
  expect(some.slice(-3)).toEqual([996, 999, 1_000]);
});

test('of a file of 24 MB the newest and others at even distances are looked at', async () => {
  await writeNotes(60_000);
  const some = await sampleNotes(file);
  expect(some).toHaveLength(257);
  expect(some.every(isWhole)).toBe(true);
  const sizes = some.map(sizeOf);
  expect(sizes.slice(-2)).toEqual([59_999, 60_000]);
  const steps = sizes.slice(1, -1).map((size, at) => size - (sizes[at] ?? 0));
  // The windows are at even distances; the newest note is at the end of the last one.
  expect(Math.min(...steps)).toBeGreaterThan(200);
  expect(Math.max(...steps)).toBeLessThan(500);
  const last = await lastNotes(file);
  expect(last.at(-1)).toBe(noteAt(60_000));
  expect(last.every(isWhole)).toBe(true);
});

test('what is damaged in a long file is a strange note, and an end that was cut off hides none before it', async () => {
  await writeNotes(60_000);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(400_000), 0, 400_000, 8_000_000);
  const { size } = await handle.stat();
  await handle.truncate(size - 120);
  await handle.close();
  const some = await sampleNotes(file);
  expect(some).toHaveLength(257);
  const strange = some.filter((note) => !isWhole(note));
  expect(strange.length).toBeGreaterThanOrEqual(4);
  expect(strange.length).toBeLessThanOrEqual(8);
  expect(some.at(-2)).toBe(noteAt(59_999));
  expect((await lastNotes(file)).filter(isWhole).at(-1)).toBe(noteAt(59_999));
});
