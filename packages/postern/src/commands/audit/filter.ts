import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { isPrincipalKey } from '@postern/core/identity';
import type { PlacedRecord } from '@postern/core/state/audit';
import type { Invocation } from '../../command.ts';
import { parseSince } from '../../output/when.ts';

/** Options that must equal a field of a record. */
export const equalOptions: Readonly<Record<string, string>> = {
  caller: 'caller',
  client: 'client',
  model: 'model',
  outcome: 'outcome',
  error: 'error',
  operation: 'operation',
  request: 'request_id',
};

export type RecordFilter = (record: PlacedRecord) => boolean;

/** The times that `--since` and `--until` name, in milliseconds: from the one on, before the other. */
export interface Span {
  readonly sinceMs: number;
  readonly untilMs: number;
}

export function spanOf({ options }: Invocation, nowMs: number): Result<Span, string> {
  const bounds = { since: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  for (const option of ['since', 'until'] as const) {
    const text = options[option];
    if (typeof text !== 'string') continue;
    const bound = parseSince(text, nowMs);
    if (!bound.ok) return err(`--${option}: ${bound.error}.`);
    bounds[option] = bound.value;
  }
  return ok({ sinceMs: bounds.since, untilMs: bounds.until });
}

/** The principal that an option names, or a sentence: a mere name would match nothing, and look like somebody without records. */
export function principalIn(
  { options }: Invocation,
  option: string,
): Result<string | undefined, string> {
  const text = options[option];
  if (typeof text !== 'string') return ok(undefined);
  if (isPrincipalKey(text)) return ok(text);
  return err(
    `--${option}: "${text}" is no principal as the log has them, such as key:key_01j…. \`postern usage\` and \`postern audit tail\` show them.`,
  );
}

/** The records that the options of a command name; all of them must agree. */
export function filterOf(invocation: Invocation, nowMs: number): Result<RecordFilter, string> {
  const { options } = invocation;
  const span = spanOf(invocation, nowMs);
  if (!span.ok) return span;
  const { sinceMs, untilMs } = span.value;
  const tests: RecordFilter[] = [({ atMs }) => atMs >= sinceMs && atMs < untilMs];
  const caller = principalIn(invocation, 'caller');
  if (!caller.ok) return caller;
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
