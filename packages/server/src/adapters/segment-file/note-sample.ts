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
export async function sampleNotes(file: string): Promise<readonly string[]> {
  const notes = await readOf(file, async (handle) => {
    const { size } = await handle.stat();
    return size <= wholeBytesMax
      ? evenly(splitNotes(await handle.readFile('utf8')))
      : places(handle, size);
  });
  return notes ?? [];
}

/** The notes at the end of a file, oldest first: all of a file that is not long. */
export async function lastNotes(file: string): Promise<readonly string[]> {
  const notes = await readOf(file, async (handle) => {
    const { size } = await handle.stat();
    if (size <= wholeBytesMax) return splitNotes(await handle.readFile('utf8'));
    return notesAfterCut(await readAt(handle, size - windowBytes, windowBytes));
  });
  return notes ?? [];
}

async function places(handle: FileHandle, size: number): Promise<readonly string[]> {
  const step = (size - windowBytes) / (sampleMax - 1);
  const notes: string[] = [];
  for (let place = 0; place < sampleMax; place += 1) {
    const window = await readAt(handle, Math.round(place * step), windowBytes);
    notes.push(...(place < sampleMax - 1 ? [noteOf(window)] : newestOf(window)));
  }
  return notes;
}

function evenly(notes: readonly string[]): readonly string[] {
  const step = Math.ceil(notes.length / sampleMax);
  return notes.filter((_, at) => (notes.length - 1 - at) % step === 0 || isNewest(at, notes));
}

/** Two: the last may be what an append left that was cut short. */
const isNewest = (at: number, notes: readonly string[]): boolean => at >= notes.length - 2;

function newestOf(window: string): readonly string[] {
  const notes = notesAfterCut(window);
  return notes.length === 0 ? [window] : notes.filter((_, at) => isNewest(at, notes));
}

function noteOf(window: string): string {
  const notes = notesAfterCut(window);
  // The last of a window may be cut.
  return (notes.length > 1 ? notes[0] : undefined) ?? window;
}
