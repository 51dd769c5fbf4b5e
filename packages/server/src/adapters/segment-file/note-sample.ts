import type { FileHandle } from 'node:fs/promises';
import { notesAfterCut, splitNotes } from '@postern/core/state/audit';
import { readAt, readOf } from './files.ts';

/** Notes of one file that are looked at. */
const sampleMax = 256;
/** Read at each place of a long file: some 150 notes, so that a whole one is among them whatever is cut. */
const windowBytes = 65_536;
/** From here on the windows do not touch: about 40,000 notes, a month of one a minute. */
const wholeBytesMax = sampleMax * windowBytes;

/**
 * Of the notes of a file the two newest and others at even distances, oldest first; none where there is no file. It takes no
 * more memory and time however long the file became. A place without a whole note gives what stands there instead.
 */
export function sampleNotes(file: string): Promise<readonly string[]> {
  return notesOf(file, evenly, places);
}

/** The notes at the end of a file, oldest first: all of a file that is not long. */
export function lastNotes(file: string): Promise<readonly string[]> {
  return notesOf(
    file,
    (notes) => notes,
    async (handle, size) => notesAfterCut(await readAt(handle, size - windowBytes, windowBytes)),
  );
}

type Notes = readonly string[];

async function notesOf(
  file: string,
  ofAll: (notes: Notes) => Notes,
  ofLong: (handle: FileHandle, size: number) => Promise<Notes>,
): Promise<Notes> {
  const notes = await readOf(file, async (handle) => {
    const { size } = await handle.stat();
    return size > wholeBytesMax
      ? ofLong(handle, size)
      : ofAll(splitNotes(await handle.readFile('utf8')));
  });
  return notes ?? [];
}

async function places(handle: FileHandle, size: number): Promise<Notes> {
  const step = (size - windowBytes) / (sampleMax - 1);
  const notes: string[] = [];
  for (let place = 0; place < sampleMax; place += 1) {
    const window = await readAt(handle, Math.round(place * step), windowBytes);
    notes.push(...(place < sampleMax - 1 ? [noteOf(window)] : newestOf(window)));
  }
  return notes;
}

/** Looked at in any case: the last may be what an append left that was cut short. */
const newestCount = 2;

function evenly(notes: Notes): Notes {
  const step = Math.ceil(notes.length / sampleMax);
  const newest = notes.length - newestCount;
  return notes.filter((_, at) => (notes.length - 1 - at) % step === 0 || at >= newest);
}

function newestOf(window: string): Notes {
  const notes = notesAfterCut(window);
  return notes.length === 0 ? [window] : notes.slice(-newestCount);
}

function noteOf(window: string): string {
  const notes = notesAfterCut(window);
  // The last of a window may be cut.
  return (notes.length > 1 ? notes[0] : undefined) ?? window;
}
