import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lastNotes } from './last-notes.ts';

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

test('a file that is not there has no notes, and a short one all of them', async () => {
  expect(await lastNotes(file)).toEqual([]);
  await writeNotes(200);
  const notes = await lastNotes(file);
  expect(notes.map(sizeOf)).toEqual(Array.from({ length: 200 }, (_, at) => at + 1));
  expect(notes.every(isWhole)).toBe(true);
});

test('of a file of 24 MB the newest are read, and an end that was cut off hides none before it', async () => {
  await writeNotes(60_000);
  const last = await lastNotes(file);
  expect(last.at(-1)).toBe(noteAt(60_000));
  expect(last.every(isWhole)).toBe(true);
  const handle = await open(file, 'r+');
  await handle.truncate((await handle.stat()).size - 120);
  await handle.close();
  expect((await lastNotes(file)).filter(isWhole).at(-1)).toBe(noteAt(59_999));
});
