import path from 'node:path';
import { ContentStore } from '@postern/server/adapters/content-file';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';
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
  if (options['content'] === true) {
    const caller = options['caller'];
    await exportContent(io, source.value.dir, typeof caller === 'string' ? caller : undefined);
    return exitCodes.ok;
  }
  if (format === 'csv') io.out(csvLine(['index', 'at', 'kind', ...csvColumns]));
  for await (const record of recordsOf(source.value.dir, 1)) {
    if (!filter.value(record)) continue;
    if (format === 'csv') io.out(csvRow(record));
    else io.outJson(recordJson(record));
  }
  return exitCodes.ok;
};

/** Conversations that were kept and not erased, one JSON object a line. */
async function exportContent(io: Io, dir: string, caller: string | undefined): Promise<void> {
  for await (const { atMs, requestId, ...rest } of new ContentStore(
    path.join(dir, 'content'),
  ).read()) {
    if (caller !== undefined && rest.caller !== caller) continue;
    io.outJson({ at: new Date(atMs).toISOString(), request_id: requestId, ...rest });
  }
}
