import { refusal } from '@postern/core/errors';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { earnRetry, fullRetryBudget, judgeFailure, retryWaitMs, spendRetry } from './retry.ts';
import { parseHttpDate, parseRetryAfter } from './retry-after.ts';

describe('the retry budget', () => {
  const rules = { times: 1, ratio: 0.2, burst: 3 };

  test('is spent retry by retry and earned by first tries', () => {
    let budget = fullRetryBudget(rules);
    for (let i = 0; i < 3; i += 1) budget = spendRetry(budget) ?? { tokens: -1 };
    expect(budget).toEqual({ tokens: 0 });
    expect(spendRetry(budget)).toBeUndefined();
    for (let i = 0; i < 5; i += 1) budget = earnRetry(rules, budget);
    expect(spendRetry(budget)?.tokens).toBeCloseTo(0);
  });

  test('never adds more than its share to the load, however much fails', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), (requests) => {
        let budget = fullRetryBudget(rules);
        let retries = 0;
        for (let i = 0; i < requests; i += 1) {
          budget = earnRetry(rules, budget);
          const after = spendRetry(budget);
          if (after === undefined) continue;
          budget = after;
          retries += 1;
        }
        expect(retries).toBeLessThanOrEqual(rules.burst + requests * rules.ratio + 1);
      }),
    );
  });
});

describe('the wait before the same target is asked again', () => {
  test('is what the server says and a little more, and never over a second', () => {
    expect(retryWaitMs({ retryAfterMs: 1_001 }, 0, 0)).toBeUndefined();
    expect(retryWaitMs({ retryAfterMs: 1_000 }, 0, 0.9)).toBe(1_000);
    expect(retryWaitMs({ retryAfterMs: 300 }, 0, 0)).toBe(350);
    expect(retryWaitMs({}, 0, 0)).toBe(50);
    expect(retryWaitMs({}, 0, 0.999)).toBe(100);
    expect(retryWaitMs({}, 3, 0)).toBe(400);
    expect(retryWaitMs({}, 9, 0.5)).toBe(750);
  });
});

describe('a failed attempt', () => {
  const at = (upstreamStatus: number) =>
    refusal('upstream_error', '', { detail: { upstreamStatus } });
  const connect = (cause: string) =>
    refusal('upstream_unavailable', '', { detail: { stage: 'connect', cause } });
  test.each([
    ['500', at(500), true, 'again'],
    ['502', at(502), true, 'again'],
    ['another 5xx', at(507), true, 'next'],
    ['a redirect', at(302), false, 'next'],
    ['a missing route', at(404), false, 'next'],
    ['503 or 529', refusal('upstream_overloaded', ''), true, 'next'],
    ['429', refusal('upstream_rate_limited', ''), false, 'next'],
    ['503 with a time', refusal('upstream_overloaded', '', { retryAfterMs: 9 }), true, 'again'],
    ['429 with a time', refusal('upstream_rate_limited', '', { retryAfterMs: 9 }), false, 'again'],
    ['no connection', connect('ECONNREFUSED'), true, 'again'],
    ['a broken handshake', connect('ECONNRESET'), true, 'again'],
    ['a certificate that does not verify', connect('CERT_HAS_EXPIRED'), true, 'next'],
    ['no first byte in time', refusal('upstream_timeout', ''), true, 'next'],
    [
      'half a head',
      refusal('upstream_error', '', { detail: { stage: 'first-byte' } }),
      true,
      'again',
    ],
    ['our credential', refusal('upstream_credential', ''), false, 'next'],
    [
      'a cancelled call',
      refusal('upstream_unavailable', '', { detail: { stage: 'cancelled' } }),
      false,
      'next',
    ],
    ['the caller’s own mistake', refusal('upstream_rejected', ''), false, 'nobody'],
    ['a shutdown', refusal('draining', ''), false, 'nobody'],
  ] as const)('by %s', (_, refused, isFault, ask) => {
    expect(judgeFailure(refused)).toEqual({ isFault, ask });
  });
});

describe('retry-after', () => {
  const now = Date.UTC(2026, 9, 21, 7, 27, 30);
  test.each([
    ['3', 3_000],
    [' 0 ', 0],
    ['1.5', 1_500],
    ['999999999', 86_400_000],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 30_000],
    ['Wednesday, 21-Oct-26 07:28:00 GMT', 30_000],
    ['Wed Oct 21 07:28:00 2026', 30_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 0],
    ['Sun Nov  6 08:49:37 1994', 0],
    ['Wed, 30 Feb 2027 07:28:00 GMT', undefined],
    ['Wed, 21 Oct 2026 24:28:00 GMT', undefined],
    ['Wed, 21 Oct 2026 07:28:00 CET', undefined],
    ['2026-10-21T07:28:00Z', undefined],
    ['-1', undefined],
    ['soon', undefined],
    ['', undefined],
  ])('%j is a wait of %j ms', (text, ms) => {
    expect(parseRetryAfter(text, now)).toBe(ms);
  });

  test('any date that a server writes as HTTP does is read back', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }),
        (date) => {
          const whole = Math.floor(date.getTime() / 1_000) * 1_000;
          expect(parseHttpDate(new Date(whole).toUTCString(), now)).toBe(whole);
        },
      ),
    );
  });

  test('any text is a wait of at most a day, or none', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const ms = parseRetryAfter(text, now);
        if (ms !== undefined) expect(ms >= 0 && ms <= 86_400_000).toBe(true);
      }),
    );
  });
});
