import { expect, test } from 'vitest';
import { parseSince } from './when.ts';

const now = Date.parse('2026-03-15T12:00:00Z');

test.each([
  ['2h', now - 7_200_000],
  ['2026-03-01', Date.parse('2026-03-01T00:00:00Z')],
  ['2028-02-29', Date.parse('2028-02-29T00:00:00Z')],
  ['2026-03-01T01:02:03+01:00', Date.parse('2026-03-01T00:02:03Z')],
])('%s is a time', (text, ms) => expect(parseSince(text, now)).toEqual({ ok: true, value: ms }));

test.each(['2026-02-31', '2026-02-29', '2026-13-01', '2026-02-31T00:00:00Z', '2026-3-1', '', 'x'])(
  '%j is none',
  (text) => expect(parseSince(text, now).ok).toBe(false),
);
