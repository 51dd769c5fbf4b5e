import { copyFile, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok, toHex } from '@postern/core/base';
import type { Sha256 } from '@postern/core/state/audit';
import { Chain, readLine, readSegmentHeader, TreeEdge } from '@postern/core/state/audit';
import type { DurableMark } from './durable-mark.ts';
import type { SegmentPath } from './files.ts';
import { linesOf, listSegments, syncFolder } from './files.ts';

/** A place up to which a log is known to be whole: everything before it is not read again. */
export interface Resume {
  readonly size: number;
  readonly hash: Uint8Array;
  readonly edge: readonly Uint8Array[];
}

/** What cannot be repaired without losing what was acknowledged. */
export interface LogDamage {
  readonly index: number;
  readonly what: string;
}

export interface Recovered {
  readonly chain: Chain;
  readonly tree: TreeEdge;
  /** Where to go on writing; undefined where the next record begins a file. */
  readonly segment: { readonly file: string; readonly bytes: number } | undefined;
  /** Bytes of a batch that was cut off by a crash, now removed. */
  readonly tornBytes: number;
}

export interface RecoverOptions {
  readonly dir: string;
  readonly origin: string;
  readonly sha256: Sha256;
  readonly resume?: Resume | undefined;
  /** A record that was durable once: what is wrong up to it is damage, never a batch that was cut off. */
  readonly durable?: DurableMark | undefined;
}

interface Progress {
  readonly chain: Chain;
  readonly tree: TreeEdge;
  readonly skipUntil: number;
  readonly durable: DurableMark | undefined;
  /** Index of the last record that went by. */
  seen: number;
}

/**
 * Reads a log to its end. A batch that a crash cut off is removed: nobody was told that it is there. Damage of what was
 * durable is left as it is and reported.
 */
export async function recover(options: RecoverOptions): Promise<Result<Recovered, LogDamage>> {
  const { dir, sha256, resume, durable } = options;
  const size = resume?.size ?? 0;
  const floor = Math.max(size, durable?.index ?? 0);
  const all = await dropUnbegun(await listSegments(dir), floor);
  const chain = new Chain(sha256, resume);
  const tree = new TreeEdge(sha256, { size, hashes: resume?.edge ?? [] });
  const progress: Progress = { chain, tree, skipUntil: size, durable, seen: 0 };
  const from = all.findLastIndex(({ first }) => first <= size + 1);
  if (floor > 0 && from < 0) return err({ index: 1, what: 'the files of the log are gone' });
  if (size === 0 && all.length > 0 && all[0]?.first !== 1) {
    return err({ index: 1, what: 'the first file of the log is gone' });
  }
  const segments = all.slice(Math.max(from, 0));
  let tornBytes = 0;
  let bytes = 0;
  for (const [at, segment] of segments.entries()) {
    const read = await readSegment(options.origin, segment, progress);
    if (!read.ok) return read;
    bytes = read.value.bytes;
    if (read.value.torn === 0) continue;
    const index = progress.seen + 1;
    if (at < segments.length - 1 || index <= floor) {
      return err({ index, what: `record ${index} is damaged or missing` });
    }
    tornBytes = read.value.torn;
    await cutOff(segment.file, bytes, index);
  }
  if (progress.seen < floor) {
    const index = progress.seen + 1;
    return err({ index, what: `record ${index} is missing, although it was durable` });
  }
  const last = segments.at(-1);
  const segment = last === undefined ? undefined : { file: last.file, bytes };
  return ok({ chain, tree, segment, tornBytes });
}

/** A last file without a whole first line was about to be begun when the process died. */
async function dropUnbegun(
  segments: readonly SegmentPath[],
  floor: number,
): Promise<readonly SegmentPath[]> {
  const last = segments.at(-1);
  if (last === undefined || last.first <= floor) return segments;
  for await (const { lines } of linesOf(last.file)) {
    if (lines.length > 0) return segments;
  }
  await rm(last.file);
  await syncFolder(path.dirname(last.file));
  return segments.slice(0, -1);
}

/** How far a segment is good, and how many bytes come after that. */
interface SegmentEnd {
  readonly bytes: number;
  readonly torn: number;
}

async function readSegment(
  origin: string,
  segment: SegmentPath,
  progress: Progress,
): Promise<Result<SegmentEnd, LogDamage>> {
  const { size } = await stat(segment.file);
  let good = 0;
  for await (const { lines } of linesOf(segment.file)) {
    for (const line of lines) {
      if (good === 0) {
        const what = headerFlaw(line, origin, segment, progress);
        if (what !== undefined) return err({ index: segment.first, what });
        progress.seen = segment.first - 1;
      } else if (!takeLine(line, progress)) {
        return ok({ bytes: good, torn: size - good });
      }
      good += line.length + 1;
    }
  }
  return ok({ bytes: good, torn: size - good });
}

function headerFlaw(
  line: Uint8Array,
  origin: string,
  segment: SegmentPath,
  { chain, skipUntil }: Progress,
): string | undefined {
  const header = readSegmentHeader(line);
  const name = path.basename(segment.file);
  if (header === undefined || header.first !== segment.first)
    return `${name} has a broken first line`;
  if (header.origin !== origin) return `${name} belongs to another log, ${header.origin}`;
  const { size, hash } = chain.head;
  if (segment.first <= skipUntil) return undefined;
  if (segment.first !== size + 1) return `a file is missing before ${name}`;
  return toHex(header.before) === toHex(hash)
    ? undefined
    : `${name} does not continue the file before it`;
}

/** Whether the line is the next record. Up to the place that is known to be whole, lines are only counted. */
function takeLine(line: Uint8Array, progress: Progress): boolean {
  const record = readLine(line);
  if (record === undefined) return false;
  if (progress.seen < progress.skipUntil) {
    progress.seen += 1;
    const isLast = progress.seen === progress.skipUntil;
    return !isLast || toHex(record.hash) === toHex(progress.chain.head.hash);
  }
  const before = progress.chain.head;
  const hash = progress.chain.sealBytes(record.body);
  if (hash === undefined || toHex(hash) !== toHex(record.hash)) {
    // The chain has gone on with a record that is none; nothing after it is read, and a cut needs it as it was.
    progress.chain.rewind(before);
    return false;
  }
  const { durable } = progress;
  if (durable?.index === progress.chain.size && toHex(durable.hash) !== toHex(hash)) {
    // A record that fits the ones before it, but is not the one that was written.
    progress.chain.rewind(before);
    return false;
  }
  progress.tree.append(hash);
  progress.seen += 1;
  return true;
}

/** Removes a torn end. Whole lines in it were never acknowledged, but may be evidence: they are put aside. */
async function cutOff(file: string, bytes: number, index: number): Promise<void> {
  let lines = 0;
  for await (const piece of linesOf(file, bytes)) lines += piece.lines.length;
  if (lines > 0) await copyFile(file, path.join(path.dirname(file), `torn-${index}.bin`));
  const handle = await open(file, 'r+');
  try {
    await handle.truncate(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
