import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesText, pairsOf } from '../../http/index.ts';
import type { Counted } from './limiter.ts';
import { rateLines } from './rate-lines.ts';

const now = Date.UTC(2026, 0, 2, 3, 4, 5);

function counted(
  rooms: readonly (readonly ['requests' | 'tokens', number, number, number])[],
): Counted {
  return {
    rates: rooms.map(([counts, units], i) => {
      return { key: `${i}`, limit: { units, periodMs: 60_000, burst: units }, cost: 1, counts };
    }),
    rooms: rooms.map(([, , remaining, resetMs], i) => ({ key: `${i}`, remaining, resetMs })),
  };
}

test('the tightest of each kind is said as OpenAI says it', () => {
  const lines = rateLines(
    counted([
      ['requests', 60, 59, 1_000],
      ['requests', 10, 0, 61_000],
      ['tokens', 1_000_000_000, 999_998_999, 1],
    ]),
    'openai',
    now,
  );
  expect(lines === undefined ? '' : linesText(lines)).toBe(
    'x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1m1s\r\n' +
      'x-ratelimit-limit-tokens: 1000000000\r\nx-ratelimit-remaining-tokens: 999998999\r\nx-ratelimit-reset-tokens: 1ms\r\n',
  );
});

test('and as Anthropic says it', () => {
  const lines = rateLines(counted([['tokens', 40_000, 39_000, 1_500]]), 'anthropic', now);
  expect(lines === undefined ? [] : pairsOf(lines)).toEqual([
    ['anthropic-ratelimit-tokens-limit', '40000'],
    ['anthropic-ratelimit-tokens-remaining', '39000'],
    ['anthropic-ratelimit-tokens-reset', '2026-01-02T03:04:07Z'],
  ]);
});

test('without a rate there is nothing to say', () => {
  expect(rateLines(counted([]), 'openai', now)).toBeUndefined();
});

test('every number is said in its digits, whichever came before it', () => {
  const number = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 1e14 }));
  fc.assert(
    fc.property(number, number, number, (limit, remaining, other) => {
      const lines = rateLines(
        counted([
          ['requests', limit, remaining, 0],
          ['tokens', other, limit, 999],
        ]),
        'openai',
        now,
      );
      expect(lines === undefined ? [] : pairsOf(lines).map(([, value]) => value)).toEqual([
        `${limit}`,
        `${remaining}`,
        '0ms',
        `${other}`,
        `${limit}`,
        '999ms',
      ]);
    }),
  );
});
