import path from 'node:path';
import { recordTime } from '@postern/core/state/audit';
import { ContentStore } from '@postern/server/adapters/content-file';
import type { ExitCode, Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { equalOptions, filterOf, principalIn, spanOf } from './filter.ts';
import { csvHeader, csvRow, recordJson } from './row.ts';
import { misused, openSource, recordsOf, refused } from './source.ts';

/** Every record that matches, as one JSON object or one CSV row a line. */
export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const format = options['format'] ?? 'jsonl';
  if (format !== 'jsonl' && format !== 'csv') {
    return misused(io, `--format ${String(format)}: it is jsonl or csv.`);
  }
  if (options['content'] === true) return exportContent(invocation);
  const filter = filterOf(invocation, Date.now());
  if (!filter.ok) return misused(io, filter.error);
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  if (format === 'csv') io.out(csvHeader);
  for await (const record of recordsOf(source.value.dir, 1)) {
    if (!filter.value(record)) continue;
    if (format === 'csv') io.out(csvRow(record));
    else io.outJson(recordJson(record));
  }
  return exitCodes.ok;
};

/** Conversations that were kept and not erased, one JSON object a line. */
async function exportContent(invocation: Invocation): Promise<ExitCode> {
  const { io, options } = invocation;
  const strange = ['kind', ...Object.keys(equalOptions)].find(
    (option) => options[option] !== undefined && !contentOptions.includes(option),
  );
  if (strange !== undefined || options['format'] === 'csv') {
    const what = strange === undefined ? '--format csv' : `--${strange}`;
    return misused(
      io,
      `${what} is of records. Conversations are JSON, and chosen by --caller, --request, --since and --until.`,
    );
  }
  const caller = principalIn(invocation, 'caller');
  if (!caller.ok) return misused(io, caller.error);
  const span = spanOf(invocation, Date.now());
  if (!span.ok) return misused(io, span.error);
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  const { sinceMs, untilMs } = span.value;
  const { request } = options;
  const store = new ContentStore(path.join(source.value.dir, 'content'));
  for await (const { atMs, requestId, ...rest } of store.read()) {
    if (caller.value !== undefined && rest.caller !== caller.value) continue;
    if (typeof request === 'string' && requestId !== request) continue;
    if (atMs < sinceMs || atMs >= untilMs) continue;
    io.outJson({ at: recordTime(atMs), request_id: requestId, ...rest });
  }
  return exitCodes.ok;
}

/** Filters that conversations have, too. */
const contentOptions: readonly string[] = ['caller', 'request'];
