import { Fault } from '@postern/core/base';
import type { PlacedRecord } from '@postern/core/state/audit';
import { readBody, readLine } from '@postern/core/state/audit';
import { linesOf, listSegments } from './files.ts';

const decoder = new TextDecoder();

/** Records from one index up to and including another. What is damaged is a fault: `verify` says where and how. */
export async function* readRecords(
  dir: string,
  from: number,
  to: number,
): AsyncGenerator<PlacedRecord> {
  const segments = await listSegments(dir);
  const start = segments.findLastIndex(({ first }) => first <= Math.max(from, 1));
  for (const { file, first } of segments.slice(Math.max(start, 0))) {
    if (first > to) return;
    let index = first - 1;
    let isHeader = true;
    for await (const { lines } of linesOf(file)) {
      for (const line of lines) {
        if (isHeader) {
          isHeader = false;
          continue;
        }
        index += 1;
        if (index < from) continue;
        if (index > to) return;
        yield recordOf(line, index);
      }
    }
  }
}

function recordOf(line: Uint8Array, index: number): PlacedRecord {
  const split = readLine(line);
  const record = split === undefined ? undefined : readBody(decoder.decode(split.body));
  if (record === undefined || record.index !== index) {
    throw new Fault(`record ${index} of the audit log is damaged: run \`postern audit verify\``);
  }
  return record;
}
