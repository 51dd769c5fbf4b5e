import { describe, expect, test } from 'vitest';
import { amountMax } from './amount.ts';
import { crashProof, Till } from './till.ts';

const tillWith = (granted: Record<string, number>): Till => {
  const till = new Till();
  for (const [account, amount] of Object.entries(granted)) till.grant(account, amount);
  return till;
};

describe('a till', () => {
  test('N at once against room for k admit exactly k', () => {
    const till = tillWith({ a: 1_000 });
    const admitted = Array.from({ length: 500 }, (_, i) =>
      till.reserve(`r${i}`, ['a'], 100),
    ).filter((each) => each.ok);
    expect(admitted.length).toBe(10);
    expect(till.view('a')).toEqual({
      granted: 1_000,
      usable: 1_000,
      settled: 0,
      held: 1_000,
      open: 10,
    });
  });

  test('sets aside in every account or in none, and says what is lacking', () => {
    const till = tillWith({ a: 100, b: 30 });
    expect(till.reserve('r', ['a', 'b', 'c'], 50)).toEqual({
      ok: false,
      error: {
        kind: 'short',
        lacks: [
          { account: 'b', amount: 20 },
          { account: 'c', amount: 50 },
        ],
      },
    });
    expect(till.view('a').held).toBe(0);
    till.grant('b', 20);
    till.grant('c', 50);
    expect(till.reserve('r', ['a', 'b', 'c', 'a'], 50).ok).toBe(true);
    expect(['a', 'b', 'c'].map((account) => till.view(account).held)).toEqual([50, 50, 50]);
  });

  test('a stream reserves step by step; a refused step leaves it as it was', () => {
    const till = tillWith({ a: 100 });
    till.reserve('r', ['a'], 60);
    expect(till.extend('r', 30).ok).toBe(true);
    expect(till.extend('r', 11)).toEqual({
      ok: false,
      error: { kind: 'short', lacks: [{ account: 'a', amount: 1 }] },
    });
    expect(till.settle('r', 75)).toEqual({
      ok: true,
      value: { accounts: ['a'], charged: 75, reserved: 90, overrun: 0 },
    });
    expect(till.view('a')).toEqual({ granted: 100, usable: 100, settled: 75, held: 0, open: 0 });
  });

  test('a reservation ends exactly once', () => {
    const till = tillWith({ a: 100 });
    till.reserve('r', ['a'], 60);
    expect(till.reserve('r', ['a'], 1)).toEqual({ ok: false, error: { kind: 'duplicate' } });
    expect(till.settle('r', 10).ok).toBe(true);
    for (const again of [till.settle('r', 10), till.release('r'), till.extend('r', 1)])
      expect(again).toEqual({ ok: false, error: { kind: 'not-open' } });
    expect(till.view('a').settled).toBe(10);
  });

  test('what was never sent on costs nothing', () => {
    const till = tillWith({ a: 100 });
    till.reserve('r', ['a'], 60);
    expect(till.release('r')).toMatchObject({ ok: true, value: { charged: 0, reserved: 60 } });
    expect(till.view('a')).toMatchObject({ settled: 0, held: 0 });
  });

  test('what costs more than was reserved is charged all the same, and blocks what costs something', () => {
    const till = tillWith({ a: 100 });
    till.reserve('r', ['a'], 60);
    expect(till.settle('r', 150)).toMatchObject({ ok: true, value: { charged: 150, overrun: 90 } });
    expect(till.view('a').settled).toBe(150);
    expect(till.reserve('s', ['a'], 1)).toMatchObject({
      ok: false,
      error: { lacks: [{ account: 'a', amount: 51 }] },
    });
    expect(till.reserve('free', ['a'], 0).ok).toBe(true);
    expect(till.takeIdle('a', 10)).toBe(0);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER])(
    '%d is no amount',
    (amount) => {
      const till = tillWith({ a: 100 });
      till.reserve('r', ['a'], 10);
      const before = till.view('a');
      for (const refused of [
        till.reserve('s', ['a'], amount),
        till.extend('r', amount),
        till.settle('r', amount),
      ])
        expect(refused).toEqual({ ok: false, error: { kind: 'bad-amount' } });
      expect(till.view('a')).toEqual(before);
      expect(() => till.grant('a', amount)).toThrow('a grant is an amount');
    },
  );

  test('gives back only what is idle, and closes only when nothing is open', () => {
    const till = tillWith({ a: 100 });
    till.reserve('r', ['a'], 60);
    expect([till.takeIdle('a', 30), till.takeIdle('a', 30)]).toEqual([30, 10]);
    expect(till.close('a')).toBeUndefined();
    till.settle('r', 25);
    expect(till.close('a')).toEqual({ settled: 25, unspent: 35 });
    expect([till.close('a'), till.takeIdle('a', 1)]).toEqual([undefined, 0]);
    expect(() => till.allow('a', 0)).toThrow('a drawer for every slice');
    expect(till.view('a').granted).toBe(0);
  });

  test('reserves no more than the durable record allows, and a crash loses no more than that', () => {
    const till = new Till();
    till.grant('a', 1_000, 100);
    expect(till.reserve('r', ['a'], 150)).toMatchObject({
      ok: false,
      error: { lacks: [{ amount: 50 }] },
    });
    till.allow('a', 100);
    expect(till.reserve('r', ['a'], 150).ok).toBe(true);
    expect(crashProof({ granted: 1_000, usable: 200, settled: 0 })).toEqual({
      settled: 0,
      unspent: 800,
    });
    expect(crashProof({ granted: 1_000, usable: 200, settled: 1_100 })).toEqual({
      settled: 1_100,
      unspent: 0,
    });
    expect(() => till.allow('a', 801)).toThrow('no more than was granted');
  });

  test('one request pays from 256 accounts at most, and from none without a slice', () => {
    const till = new Till();
    expect(
      till.reserve(
        'r',
        Array.from({ length: 257 }, (_, i) => `a${i}`),
        0,
      ),
    ).toEqual({ ok: false, error: { kind: 'too-many' } });
  });
});

test('what nothing was set aside for is charged in every account or in none, whatever they hold', () => {
  const till = new Till();
  till.grant('a', 100);
  expect(till.reserve('r', ['a'], 80).ok).toBe(true);
  expect(till.charge(['a', 'b', 'a'], 50)).toBe(true);
  expect(till.view('a')).toMatchObject({ granted: 100, settled: 50, held: 80, open: 1 });
  expect(till.view('b')).toMatchObject({ granted: 0, settled: 50, held: 0 });
  expect(till.charge(['b', 'a'], amountMax)).toBe(false);
  expect(till.charge(['c'], 0.5)).toBe(false);
  expect(till.view('b').settled).toBe(50);
});
