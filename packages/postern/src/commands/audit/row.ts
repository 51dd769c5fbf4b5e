import type { AuditFields, AuditValue, PlacedRecord } from '@postern/core/state/audit';
import { recordTime } from '@postern/core/state/audit';

/** A record as JSON for programs: the envelope and the fields side by side, the time readable. */
export function recordJson({
  index,
  kind,
  v,
  atMs,
  fields,
}: PlacedRecord): Record<string, unknown> {
  return { index, at: recordTime(atMs), kind, v, data: fields };
}

export const columns: readonly string[] = [
  'index',
  'time',
  'kind',
  'who',
  'what',
  'outcome',
  'where',
];

/** A record as a person reads it. */
export function recordRow({ index, kind, atMs, fields }: PlacedRecord): readonly string[] {
  const text = (name: string): string => {
    const value = fields[name];
    return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  };
  const who = text('caller') || principalOf(fields['actor']) || text('client');
  const what = text('operation') || text('tool') || text('model') || text('asked') || text('path');
  const output = text('tokens_output');
  const tokens = output === '' ? '' : ` ${inputOf(fields)} in, ${output} out`;
  const outcome = [text('outcome'), text('error')].filter((each) => each !== '').join(' ');
  const times = text('count') === '' ? '' : `${text('count')} times `;
  return [
    String(index),
    recordTime(atMs),
    kind,
    who,
    `${what}${tokens}`,
    `${times}${outcome}`,
    text('target') || text('listener'),
  ];
}

/** All that the model read, cached or not, as `postern usage` adds it up. */
function inputOf(fields: AuditFields): number {
  return ['tokens_input', 'tokens_cache_read', 'tokens_cache_write'].reduce((sum, name) => {
    const count = fields[name];
    return typeof count === 'number' ? sum + count : sum;
  }, 0);
}

function principalOf(actor: AuditValue | undefined): string {
  if (typeof actor !== 'object' || !('principal' in actor)) return '';
  const { principal } = actor;
  return typeof principal === 'string' ? principal : '';
}

/** RFC 4180, with a guard for spreadsheets: a text that begins like a formula gets an apostrophe in front. */
export function csvLine(cells: readonly string[]): string {
  return cells
    .map((cell) => (/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell))
    .map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
    .join(',');
}

/** The columns of an export that are fields: lists and objects are JSON. What has no column is in the last one, `data`. */
const csvColumns: readonly string[] = [
  'actor',
  'asked',
  'attempts',
  'bytes',
  'caller',
  'client',
  'count',
  'decision',
  'dialect',
  'duration_ms',
  'error',
  'estimated',
  'first_byte_ms',
  'journal_index',
  'listener',
  'method',
  'model',
  'operation',
  'outcome',
  'path',
  'request_id',
  'rule',
  'status',
  'target',
  'tokens_cache_read',
  'tokens_cache_write',
  'tokens_input',
  'tokens_output',
  'tokens_reasoning',
  'cost_nano_usd',
  'via',
];

const hasColumn: ReadonlySet<string> = new Set(csvColumns);

/** A record as a row; `data` is JSON of the fields without a column of their own, empty where there are none. */
export function csvRow({ index, kind, v, atMs, fields }: PlacedRecord): string {
  const cells = csvColumns.map((name) => {
    const value = fields[name];
    if (value === undefined) return '';
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
  return csvLine([String(index), recordTime(atMs), kind, ...cells, String(v), restOf(fields)]);
}

function restOf(fields: AuditFields): string {
  const rest = Object.entries(fields).filter(([name]) => !hasColumn.has(name));
  return rest.length === 0 ? '' : JSON.stringify(Object.fromEntries(rest));
}

export const csvHeader: string = csvLine(['index', 'at', 'kind', ...csvColumns, 'v', 'data']);
