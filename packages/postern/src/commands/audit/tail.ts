import { setTimeout as wait } from 'node:timers/promises';
import type { PlacedRecord } from '@postern/core/state/audit';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';
import { table } from '../../output/table.ts';
import { countOf } from './filter.ts';
import { columns, recordJson, recordRow } from './row.ts';
import type { Cursor } from './source.ts';
import { lastIndex, misused, openSource, recordsOf, refused } from './source.ts';

const pollMs = 300;

/** The last records, and with `--follow` those that come, until a signal. */
export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const count = countOf(String(options['lines'] ?? '10'), 10_000);
  if (!count.ok) return misused(io, `--lines: ${count.error}`);
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  const { dir } = source.value;
  const cursor: Cursor = { file: '', offset: 0 };
  const from = Math.max(1, (await lastIndex(dir)) - count.value + 1);
  const last: PlacedRecord[] = [];
  for await (const record of recordsOf(dir, from, cursor)) last.push(record);
  if (io.json) for (const record of last) io.outJson(recordJson(record));
  else io.out(table(columns, last.map(recordRow)));
  while (options['follow'] === true) {
    await wait(pollMs);
    for await (const record of recordsOf(dir, from, cursor)) show(io, record);
  }
  return exitCodes.ok;
};

function show(io: Io, record: PlacedRecord): void {
  if (io.json) io.outJson(recordJson(record));
  else
    io.out(
      recordRow(record)
        .filter((cell) => cell !== '')
        .join('  '),
    );
}
