import type { PlacedRecord } from '@postern/core/state/audit';
import { expect, test } from 'vitest';
import { csvHeader, csvRow, recordJson, recordRow } from './row.ts';

function placed(fields: PlacedRecord['fields'], more: Partial<PlacedRecord> = {}): PlacedRecord {
  return { index: 7, kind: 'tool', v: 1, atMs: 1_772_359_230_000, fields, ...more };
}

/** RFC 4180, as a program reads it. */
function cellsOf(line: string): readonly string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
}

test('a row has every field of a record: in its column, or in the last one', () => {
  const fields = {
    actor: { channel: 'mcp', principal: 'key:key_1' },
    args_sha256: 'ab',
    outcome: 'allowed',
    plan: 'p,"1"\n',
    tool: 'list_devices',
  };
  const names = cellsOf(csvHeader);
  const cells = cellsOf(csvRow(placed(fields)));
  expect(cells).toHaveLength(names.length);
  const row = Object.fromEntries(names.map((name, at) => [name, cells[at]]));
  expect(row).toMatchObject({ index: '7', kind: 'tool', v: '1', outcome: 'allowed' });
  expect(JSON.parse(row['actor'] ?? '')).toEqual(fields.actor);
  const { args_sha256, plan, tool } = fields;
  expect(JSON.parse(row['data'] ?? '')).toEqual({ args_sha256, plan, tool });
});

test('a row without other fields has nothing in the last column', () => {
  expect(cellsOf(csvRow(placed({ outcome: 'allowed' }))).at(-1)).toBe('');
});

test.each(['=1+1', '+1', '-1', '@a', '\t=1', '\r=1'])(
  'what begins like a formula of a spreadsheet is text: %j',
  (model) => expect(cellsOf(csvRow(placed({ model })))).toContain(`'${model}`),
);

test('a time that no calendar reaches is printed as its number', () => {
  for (const atMs of [8.64e15 + 1, -8.64e15 - 1, Number.MAX_SAFE_INTEGER]) {
    const record = placed({}, { atMs });
    expect(recordJson(record)['at']).toBe(String(atMs));
    expect(recordRow(record)[1]).toBe(String(atMs));
    // A minus begins a formula.
    expect(csvRow(record)).toContain(`7,${atMs < 0 ? "'" : ''}${atMs},tool,`);
  }
  expect(recordJson(placed({}, { atMs: 8.64e15 }))['at']).toBe('+275760-09-13T00:00:00.000Z');
});

test('a row of a table tells apart what went in and what came out', () => {
  const counts = { tokens_cache_read: 184, tokens_cache_write: 5, tokens_input: 588 };
  const request = { model: 'm/x', ...counts, tokens_output: 69, tokens_reasoning: 64 };
  expect(recordRow(placed(request, { kind: 'request' }))).toContain('m/x 777 in, 69 out');
  const embedding = { model: 'm/x', tokens_input: 9, tokens_output: 0 };
  expect(recordRow(placed(embedding, { kind: 'request' }))).toContain('m/x 9 in, 0 out');
  expect(recordRow(placed({ model: 'm/x' }, { kind: 'request' }))).toContain('m/x');
});
