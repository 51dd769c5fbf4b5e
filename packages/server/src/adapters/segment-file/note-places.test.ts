import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { splitNotes } from '@postern/core/state/audit';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notePlaces } from './note-places.ts';

let work = '';
let file = '';
beforeEach(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'postern-places-'));
  file = path.join(work, 'checkpoints');
});
afterEach(() => rm(work, { recursive: true, force: true }));

/** The notes that the places of a file lead to, each read there. */
async function notesOf(text: string): Promise<readonly string[]> {
  await writeFile(file, text);
  const handle = await open(file, 'r');
  const found: string[] = [];
  try {
    for await (const places of notePlaces(handle)) {
      for (const { at, bytes } of places) {
        const piece = Buffer.alloc(bytes);
        const { bytesRead } = await handle.read(piece, 0, bytes, at);
        found.push(splitNotes(piece.toString('utf8', 0, bytesRead))[0] ?? '');
      }
    }
  } finally {
    await handle.close();
  }
  return found;
}

const piece = fc.constantFrom('\n', '\n', '\n\n', '— a B\n', 'text\n1\n', 'é', '— ', ' ');

test('the notes of any file stand where they are found', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 16 }), async (pieces) => {
      const text = pieces.join('');
      expect(await notesOf(text)).toEqual(splitNotes(text));
    }),
  );
});

test('so do those at the edges of what is read at once', async () => {
  const note = 'text é\n7\nroot\n\n— a B\n';
  for (const before of [262_120, 262_130, 262_140, 262_143, 262_144]) {
    const long = Array.from({ length: Math.floor(before / 1_000) }, () => `${'x'.repeat(998)}\n\n`);
    const text = `${long.join('')}${'y'.repeat(before % 1_000)}\n\n${note}\n${note}`;
    const notes = await notesOf(text);
    expect(notes.length).toBe(splitNotes(text).length);
    expect(notes.slice(-2)).toEqual([note, note]);
  }
});

test('what does not end is one part, and what comes after it is found', async () => {
  const note = 'text\n7\nroot\n\n— a B\n';
  await writeFile(file, `${note}\n${'z'.repeat(900_000)}\n\n\n${note}`);
  const handle = await open(file, 'r');
  const found: (readonly [number, number, number])[] = [];
  for await (const places of notePlaces(handle)) {
    for (const { text, at, bytes } of places) found.push([at, bytes, text.length]);
  }
  await handle.close();
  expect(found).toMatchObject([
    [0, 21, 11],
    [22, 900_000, expect.any(Number)],
    // With a line feed that the end of the file does not have.
    [900_024, 23, 12],
  ]);
  expect(found[1]?.[2]).toBeLessThan(300_000);
});
