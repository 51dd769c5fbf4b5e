import { expect, test } from 'vitest';
import { usageCountFields, type UsageRow } from './bank.ts';
import { UsageTally } from './usage-tally.ts';

const row: UsageRow = {
  hourMs: 0,
  principal: 'key:a',
  display: 'a',
  model: 'm',
  target: 'p/m',
  accounts: '',
  requests: 1,
  estimated: 2,
  input: 3,
  cacheRead: 4,
  cacheWrite: 5,
  output: 6,
  reasoning: 7,
  cost: 8,
  webSearches: 9,
  storageSearches: 10,
  inputAudio: 11,
  outputAudio: 12,
};

test('rows that are told apart by nothing add up in every count, and the others stay apart', () => {
  const tally = new UsageTally();
  const others = [
    { ...row, principal: 'key:b' },
    { ...row, hourMs: 3_600_000 },
  ];
  tally.add(row);
  tally.add(row);
  for (const other of others) tally.add(other);
  tally.add(row);
  tally.add({ ...row });
  const [first, ...rest] = tally.take();
  for (const field of usageCountFields)
    expect([field, first?.[field]]).toEqual([field, 4 * row[field]]);
  expect(rest).toEqual(others);
  expect(tally.take()).toEqual([]);
  tally.add(row);
  expect(tally.take()).toEqual([row]);
  expect(row.requests).toBe(1);
});
