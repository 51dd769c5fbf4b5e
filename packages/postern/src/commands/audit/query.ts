import type { PlacedRecord } from '@postern/core/state/audit';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { table } from '../../output/table.ts';
import { countOf, filterOf } from './filter.ts';
import { columns, recordJson, recordRow } from './row.ts';
import { misused, openSource, recordsOf, refused } from './source.ts';

const shownMax = 100_000;

/**
 * The newest records that match. The log is read from one end to the other, some hundred thousand records a second: an
 * index beside it would be a second truth that nobody signs.
 */
export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const filter = filterOf(invocation, Date.now());
  if (!filter.ok) return misused(io, filter.error);
  const limit = countOf(String(options['limit'] ?? '100'), shownMax);
  if (!limit.ok) return misused(io, `--limit: ${limit.error}`);
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  let found: PlacedRecord[] = [];
  let matches = 0;
  for await (const record of recordsOf(source.value.dir, 1)) {
    if (!filter.value(record)) continue;
    matches += 1;
    found.push(record);
    if (found.length >= 2 * limit.value) found = found.slice(-limit.value);
  }
  found = found.slice(-limit.value);
  if (io.json) io.outJson({ matches, records: found.map(recordJson) });
  else if (found.length === 0) io.out('No record matches.');
  else {
    io.out(table(columns, found.map(recordRow)));
    if (matches > found.length)
      io.err(`The newest ${found.length} of ${matches}; more with --limit.`);
  }
  return exitCodes.ok;
};
