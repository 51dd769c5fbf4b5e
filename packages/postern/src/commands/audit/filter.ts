import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { PlacedRecord } from '@postern/core/state/audit';
import type { Invocation } from '../../command.ts';
import { spanMs } from '../../output/when.ts';

/** Options that must equal a field of a record. */
const equalOptions: Readonly<Record<string, string>> = {
  caller: 'caller',
  client: 'client',
  model: 'model',
  outcome: 'outcome',
  error: 'error',
  operation: 'operation',
  request: 'request_id',
};

export type RecordFilter = (record: PlacedRecord) => boolean;

/** Epoch ms of `2h` (that long ago) or of an RFC 3339 time. */
export function parsePast(text: string, nowMs: number): number | undefined {
  const ms = spanMs(text);
  if (ms !== undefined) return nowMs - ms;
  if (!/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)) {
    return undefined;
  }
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** The records that the options of a command name; all of them must agree. */
export function filterOf({ options }: Invocation, nowMs: number): Result<RecordFilter, string> {
  const tests: RecordFilter[] = [];
  for (const [option, isRight] of [
    ['since', (at: number, bound: number) => at >= bound],
    ['until', (at: number, bound: number) => at < bound],
  ] as const) {
    const text = options[option];
    if (typeof text !== 'string') continue;
    const bound = parsePast(text, nowMs);
    if (bound === undefined) {
      return err(
        `--${option} ${text}: give a span such as 2h or 7d, or a time such as 2030-01-31T12:00:00Z.`,
      );
    }
    tests.push(({ atMs }) => isRight(atMs, bound));
  }
  const kind = options['kind'];
  if (typeof kind === 'string') tests.push((record) => record.kind === kind);
  for (const [option, field] of Object.entries(equalOptions)) {
    const value = options[option];
    if (typeof value === 'string') tests.push(({ fields }) => fields[field] === value);
  }
  return ok((record) => tests.every((passes) => passes(record)));
}

/** A whole number from 1 to a bound, or a sentence. */
export function countOf(text: string, max: number): Result<number, string> {
  const count = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= max ? ok(count) : err(`${text} is no number from 1 to ${max}.`);
}
