import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { NoteKey, PlacedRecord } from '@postern/core/state/audit';
import { readBody, readLine, readNoteKey } from '@postern/core/state/audit';
import {
  linesOf,
  listSegments,
  nodeSha256,
  readLogKey,
} from '@postern/server/adapters/segment-file';
import { resolveSettings } from '@postern/server/app/settings';
import type { ExitCode, Invocation } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';

/**
 * The audit commands read the files themselves, of a running Postern or of a copy: the log is append-only, so that both
 * are the same, and whoever doubts a gateway need not ask it.
 */
export interface LogSource {
  readonly dir: string;
  readonly key: NoteKey;
}

/** The folder that `--dir` names, else the one of the state folder; and the key that signs for it. */
export async function openSource(invocation: Invocation): Promise<Result<LogSource, string>> {
  const { options } = invocation;
  const dir = folderOf(invocation);
  if (!existsSync(dir)) {
    return err(
      `There is no audit log in ${dir}. Name its folder with --dir, or the state folder with --state.`,
    );
  }
  const given = options['key'];
  const key = typeof given === 'string' ? readNoteKey(given, nodeSha256) : await readLogKey(dir);
  if (key !== undefined) return ok({ dir, key });
  return err(
    typeof given === 'string'
      ? 'That is no public key. It has the form NAME+ID+BASE64: postern audit key'
      : `${dir} names no public key (key.pub). Give yours with --key.`,
  );
}

function folderOf({ options, io }: Invocation): string {
  const given = options['dir'];
  if (typeof given === 'string') return path.resolve(given);
  return path.join(resolveSettings(io.flags, io.env).stateDir, 'audit');
}

export function refused(io: Io, message: string): ExitCode {
  io.err(message);
  return exitCodes.failed;
}

export function misused(io: Io, message: string): ExitCode {
  io.err(message);
  return exitCodes.usage;
}

const decoder = new TextDecoder();

/** Where reading stopped, so that it can go on when more was written. */
export interface Cursor {
  file: string;
  offset: number;
}

/**
 * Records from an index on, in order. A damaged one is passed over: `verify` says where and how. With a cursor, reading
 * goes on where it stopped, and the cursor with it.
 */
export async function* recordsOf(
  dir: string,
  from: number,
  cursor?: Cursor,
): AsyncGenerator<PlacedRecord> {
  const all = await listSegments(dir);
  const start = all.findLastIndex(({ first }) => first <= Math.max(from, 1));
  const segments = all.slice(Math.max(start, 0));
  for (const { file } of segments) {
    if (cursor !== undefined && file < cursor.file) continue;
    const offset = cursor?.file === file ? cursor.offset : 0;
    for await (const { lines, end } of linesOf(file, offset)) {
      for (const line of lines) {
        const split = readLine(line);
        const record = split === undefined ? undefined : readBody(decoder.decode(split.body));
        if (record !== undefined && record.index >= from) yield record;
      }
      if (cursor !== undefined) Object.assign(cursor, { file, offset: end });
    }
  }
}

/** The index of the last record: the last segment is counted, no other. */
export async function lastIndex(dir: string): Promise<number> {
  const last = (await listSegments(dir)).at(-1);
  if (last === undefined) return 0;
  let lines = 0;
  for await (const piece of linesOf(last.file)) lines += piece.lines.length;
  return last.first + Math.max(lines - 1, 0) - 1;
}
