import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { filterOf } from './filter.ts';
import { csvColumns, csvLine, csvRow, recordJson } from './row.ts';
import { misused, openSource, recordsOf, refused } from './source.ts';

/** Every record that matches, as one JSON object or one CSV row a line. */
export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const format = options['format'] ?? 'jsonl';
  if (format !== 'jsonl' && format !== 'csv') {
    return misused(io, `--format ${String(format)}: it is jsonl or csv.`);
  }
  const filter = filterOf(invocation, Date.now());
  if (!filter.ok) return misused(io, filter.error);
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  if (format === 'csv') io.out(csvLine(['index', 'at', 'kind', ...csvColumns]));
  for await (const record of recordsOf(source.value.dir, 1)) {
    if (!filter.value(record)) continue;
    if (format === 'csv') io.out(csvRow(record));
    else io.outJson(recordJson(record));
  }
  return exitCodes.ok;
};
