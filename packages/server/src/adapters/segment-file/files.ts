import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { Fault } from '@postern/core/base';
import { segmentNameForm } from '@postern/core/state/audit';
import { segmentLimits } from './limits.ts';

/** A segment by the index of its first record, which is its name. */
export interface SegmentPath {
  readonly file: string;
  readonly first: number;
}

/** The segments of a folder in order; none where there is no folder. */
export async function listSegments(dir: string): Promise<readonly SegmentPath[]> {
  const names = await readdir(dir).catch((cause: unknown) => {
    if (isCode(cause, 'ENOENT')) return [];
    throw cause;
  });
  return names
    .filter((name) => segmentNameForm.test(name))
    .toSorted()
    .map((name) => ({ file: path.join(dir, name), first: Number(name.slice(0, 20)) }));
}

export async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
}

/** A new name is durable once its folder is. */
export async function syncFolder(dir: string): Promise<void> {
  // Windows has no such call for folders.
  if (process.platform === 'win32') return;
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isCode(cause: unknown, ...codes: readonly string[]): boolean {
  return cause instanceof Error && 'code' in cause && codes.includes(String(cause.code));
}

/** What is read of a file; undefined where there is none. */
export async function readOf<T>(
  file: string,
  read: (handle: FileHandle) => Promise<T>,
): Promise<T | undefined> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    if (isCode(cause, 'ENOENT')) return undefined;
    throw cause;
  });
  try {
    return handle === undefined ? undefined : await read(handle);
  } finally {
    await handle?.close();
  }
}

/** The text of a small file, where there is one. */
export function textOf(file: string): Promise<string | undefined> {
  return readOf(file, (handle) => handle.readFile('utf8'));
}

/** As text what stands at a place of a file; less where it ends. */
export async function readAt(handle: FileHandle, at: number, bytes: number): Promise<string> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await handle.read(buffer, 0, bytes, at);
  return buffer.toString('utf8', 0, bytesRead);
}

/** So many bytes from a place of a file on, in pieces; a piece is valid until the next one. A file that has less throws. */
export async function* piecesOf(
  handle: FileHandle,
  from: number,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(bytes, segmentLimits.readBytes));
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await handle.read(
      buffer,
      0,
      Math.min(buffer.length, bytes - at),
      from + at,
    );
    if (bytesRead === 0) throw new Fault(`a file of the audit log ended ${bytes - at} bytes early`);
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** All of it at a place in a file, however many calls that takes. */
export async function writeAll(
  handle: FileHandle,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = pieces;
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev([...rest], at);
    at += bytesWritten;
    rest = after(rest, bytesWritten);
  }
}

function after(pieces: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written;
  let index = 0;
  for (const piece of pieces) {
    if (skip < piece.length) break;
    skip -= piece.length;
    index += 1;
  }
  const [first, ...rest] = pieces.slice(index);
  return first === undefined ? [] : [first.subarray(skip), ...rest];
}

/** Some lines of a file, without their line feeds; valid until the next ones are asked for. */
export interface Lines {
  readonly lines: readonly Uint8Array[];
  /** Where in the file the line after these begins. */
  readonly end: number;
  /** Bytes after the last line feed, at the end of the file only. */
  readonly rest: number;
}

/** The lines of a file from an offset on. A line that is longer than one piece of the file ends the reading as a rest. */
export async function* linesOf(file: string, offset = 0): AsyncGenerator<Lines> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(segmentLimits.readBytes);
    let kept = 0;
    let at = offset;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, kept, buffer.length - kept, at + kept);
      const filled = kept + bytesRead;
      const lines: Uint8Array[] = [];
      let start = 0;
      for (let lf = buffer.indexOf(10); lf >= 0 && lf < filled; lf = buffer.indexOf(10, start)) {
        lines.push(buffer.subarray(start, lf));
        start = lf + 1;
      }
      const isEnd = bytesRead === 0 || (start === 0 && filled === buffer.length);
      at += start;
      yield { lines, end: at, rest: isEnd ? filled - start : 0 };
      if (isEnd) return;
      buffer.copyWithin(0, start, filled);
      kept = filled - start;
    }
  } finally {
    await handle.close();
  }
}
