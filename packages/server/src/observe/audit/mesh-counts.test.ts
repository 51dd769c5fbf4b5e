import { expect, test } from 'vitest';
import { MeshCounts, type MeshDecision } from './mesh-counts.ts';

const allowed: MeshDecision = {
  edge: 'inbound',
  outcome: 'allowed',
  app: 'aa',
  instance: 'bb',
  verifiedBy: 'ra-tls',
  port: 443,
  decision: 'grant:0',
  error: undefined,
  source: '203.0.113.9',
};

test('a peer gets one record a minute for each thing that was decided, however often', () => {
  const counts = new MeshCounts();
  for (let i = 0; i < 1_000; i += 1) expect(counts.take(allowed, 60_000)).toEqual([]);
  counts.take({ ...allowed, outcome: 'denied', decision: 'deny', error: 'path' }, 61_000);
  const records = counts.flush(120_500);
  expect(records.map(({ fields }) => [fields['outcome'], fields['count']])).toEqual([
    ['allowed', 1_000],
    ['denied', 1],
  ]);
  expect(records[0]).toEqual({
    kind: 'mesh',
    v: 1,
    atMs: 120_500,
    fields: {
      app: 'aa',
      client: '203.0.113.9',
      count: 1_000,
      decision: 'grant:0',
      edge: 'inbound',
      error: undefined,
      instance: 'bb',
      minute_ms: 60_000,
      outcome: 'allowed',
      port: 443,
      verified_by: 'ra-tls',
    },
  });
  expect(counts.flush(200_000)).toEqual([]);
});

test('a flood of different peers ends in one line without names', () => {
  const counts = new MeshCounts();
  for (let i = 0; i < 10_000; i += 1) {
    const refused = { ...allowed, outcome: 'refused', error: 'key_binding_invalid' } as const;
    counts.take({ ...refused, app: undefined, source: `10.0.${i >> 8}.${i & 255}` }, 0);
  }
  const records = counts.flush(0, true);
  expect(records.length).toBe(4_097);
  expect(records.at(-1)?.fields).toMatchObject({ count: 5_904, client: undefined });
});
