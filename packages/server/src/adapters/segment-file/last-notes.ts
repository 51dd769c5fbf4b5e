import { notesAfterCut, splitNotes } from '@postern/core/state/audit';
import { readAt, readOf } from './files.ts';

/** Read at the end of a long file: some 150 notes, so that a whole one is among them whatever is cut. */
const windowBytes = 65_536;
/** A longer file is not read whole: about 40,000 notes, a month of one a minute. */
const wholeBytesMax = 256 * windowBytes;

/**
 * The notes at the end of a file, oldest first: all of a file that is not long, none where there is no file. It takes no more
 * memory and time however long the file became.
 */
export async function lastNotes(file: string): Promise<readonly string[]> {
  const notes = await readOf(file, async (handle) => {
    const { size } = await handle.stat();
    return size > wholeBytesMax
      ? notesAfterCut(await readAt(handle, size - windowBytes, windowBytes))
      : splitNotes(await handle.readFile('utf8'));
  });
  return notes ?? [];
}
