import { describe, expect, test } from 'vitest';
import { freePrice, highestPrice, openPriceBook, priceOf } from './book.ts';
import { priceFaults, snapshotFaults } from './fault.ts';
import type { PriceSnapshot, Rates } from './model.ts';
import { nanoUsdOf } from './money.ts';
import { ruleCovers } from './rule.ts';
import { priceSnapshot } from './snapshot.generated.ts';

const book = openPriceBook(priceSnapshot);
const autumn = Date.parse('2026-10-01T12:00:00Z');
const ask = (vendor: string, model: string, atMs = autumn) =>
  priceOf(book, { provider: 'p', site: { kind: 'vendor', vendor }, model, atMs });
const ratesAt = (vendor: string, model: string, atMs?: number): Rates => {
  const answer = ask(vendor, model, atMs);
  return answer.kind === 'unknown' ? {} : answer.price.rates;
};
const usd = (text: string): number => {
  const amount = nanoUsdOf(text);
  if (!amount.ok) throw new Error(amount.error);
  return amount.value;
};

describe('the snapshot', () => {
  test('says where it is from and has no fault', () => {
    expect(priceSnapshot.source.package).toBe('@pydantic/genai-prices');
    expect(priceSnapshot.source.licence).toBe('MIT');
    expect(snapshotFaults(priceSnapshot)).toEqual([]);
    expect(priceSnapshot.source.publishedOn <= priceSnapshot.generatedOn).toBe(true);
  });

  test('has the prices that the vendors publish', () => {
    expect(ratesAt('openai', 'gpt-4o')).toMatchObject({
      input: usd('2.50'),
      cacheRead: usd('1.25'),
      output: usd('10'),
    });
    expect(ratesAt('openai', 'gpt-4o-mini')).toMatchObject({
      input: usd('0.15'),
      cacheRead: usd('0.075'),
      output: usd('0.60'),
    });
    expect(ratesAt('openai', 'gpt-4.1')).toMatchObject({
      input: usd('2'),
      cacheRead: usd('0.50'),
      output: usd('8'),
    });
    expect(ratesAt('anthropic', 'claude-sonnet-4-5-20250929')).toMatchObject({
      input: usd('3'),
      cacheRead: usd('0.30'),
      cacheWrite: usd('3.75'),
      cacheWriteHour: usd('6'),
      output: usd('15'),
    });
    expect(ratesAt('anthropic', 'claude-opus-4-1-20250805')).toMatchObject({
      input: usd('15'),
      cacheWrite: usd('18.75'),
      cacheRead: usd('1.50'),
      output: usd('75'),
    });
    expect(ratesAt('google', 'gemini-2.5-flash')).toMatchObject({
      input: usd('0.30'),
      output: usd('2.50'),
    });
    expect(ratesAt('groq', 'llama-3.3-70b-versatile')).toMatchObject({
      input: usd('0.59'),
      output: usd('0.79'),
    });
    expect(ratesAt('aws', 'anthropic.claude-3-5-sonnet-20241022-v2:0')).toMatchObject({
      input: usd('3'),
      output: usd('15'),
    });
  });

  test('has the steps of long prompts', () => {
    const answer = ask('google', 'gemini-2.5-pro');
    expect(answer).toMatchObject({
      kind: 'listed',
      entry: 'google/gemini-2.5-pro',
      price: {
        rates: { input: usd('1.25'), cacheRead: usd('0.125'), output: usd('10') },
        steps: [
          {
            aboveTokens: 200_000,
            rates: { input: usd('2.50'), cacheRead: usd('0.25'), output: usd('15') },
          },
        ],
      },
    });
  });

  test('knows when a price changed', () => {
    expect(ratesAt('openai', 'o3', Date.parse('2025-06-09T23:59:59Z'))).toMatchObject({
      input: usd('10'),
      output: usd('40'),
    });
    expect(ratesAt('openai', 'o3', Date.parse('2025-06-10T00:00:00Z'))).toMatchObject({
      input: usd('2'),
      output: usd('8'),
    });
  });

  test('has the highest price in every class', () => {
    expect(highestPrice(priceSnapshot).rates).toMatchObject({
      input: usd('150'),
      output: usd('600'),
    });
    expect(highestPrice(priceSnapshot, 'anthropic').rates).toMatchObject({
      cacheWriteHour: usd('30'),
    });
    expect(highestPrice(priceSnapshot, 'nobody')).toEqual(highestPrice(priceSnapshot));
  });
});

describe('priceOf', () => {
  test.each([
    ['openai', 'GPT-4o '],
    ['openai', 'gpt-4o-20240806'],
    ['aws', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    [
      'aws',
      'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    ],
    ['azure', 'gpt-4o'],
    ['openai', 'gpt-5.4-2026-03-05'],
  ])('%s knows %s', (vendor, model) => {
    expect(ask(vendor, model).kind).toBe('listed');
  });

  test.each([
    ['openai', 'gpt-4o-of-my-own'],
    ['openai', 'ft:gpt-4o:team::id'],
    ['openai', 'gpt-5.4-2026-03-0x'],
    ['openai', 'whisper-1'],
    ['mistral', 'mistral-nemo:free'],
    ['nobody', 'gpt-4o'],
    ['openai', ''],
    ['openai', 'g'.repeat(100_000)],
    ['openai', '__proto__'],
  ])('%s has no price for %s, which is not a price of zero', (vendor, model) => {
    expect(ask(vendor, model)).toEqual({ kind: 'unknown', why: 'unlisted-model' });
  });

  test('a place that no vendor has is unknown, and a self-hosted one is free', () => {
    expect(
      priceOf(book, { provider: 'p', site: { kind: 'unlisted' }, model: 'gpt-4o', atMs: autumn }),
    ).toEqual({ kind: 'unknown', why: 'unlisted-site' });
    expect(
      priceOf(book, {
        provider: 'p',
        site: { kind: 'self-hosted' },
        model: 'gpt-4o',
        atMs: autumn,
      }),
    ).toEqual({ kind: 'self-hosted', price: freePrice });
  });

  test('the operator’s first matching price wins over everything', () => {
    const price = { rates: { input: 1, output: 2 } };
    const own = openPriceBook(priceSnapshot, [
      { target: 'gpu/llama-*', price },
      { target: 'gpu/**', price: freePrice },
      { target: 'openai/gpt-4o', price },
    ]);
    const target = (provider: string, model: string) =>
      priceOf(own, {
        provider,
        site: provider === 'gpu' ? { kind: 'self-hosted' } : { kind: 'vendor', vendor: 'openai' },
        model,
        atMs: autumn,
      });
    expect(target('gpu', 'llama-4')).toEqual({ kind: 'override', price, target: 'gpu/llama-*' });
    expect(target('gpu', 'a/b')).toEqual({ kind: 'override', price: freePrice, target: 'gpu/**' });
    expect(target('openai', 'gpt-4o')).toEqual({
      kind: 'override',
      price,
      target: 'openai/gpt-4o',
    });
    expect(target('openai', 'gpt-4o-mini').kind).toBe('listed');
  });
});

const small = (models: PriceSnapshot['vendors'][number]['models']): PriceSnapshot => ({
  source: { package: 'x', version: '1', licence: 'MIT', publishedOn: '2026-01-01' },
  generatedOn: '2026-01-02',
  vendors: [{ id: 'v', models }],
});
const flat = (input: number) => ({ rates: { input, output: 0 } });

test('the first entry in order counts, whether it names a model or has a rule', () => {
  const own = openPriceBook(
    small([
      { id: 'a', match: ['x-1'], periods: [{ price: flat(1) }] },
      { id: 'b', match: [{ startsWith: 'x-' }], periods: [{ price: flat(2) }] },
      { id: 'c', match: ['x-2'], periods: [{ price: flat(3) }] },
      { id: 'd', match: [{ endsWith: '-free' }, 'y'], periods: [] },
      { id: 'e', match: [{ contains: 'y' }], periods: [{ price: flat(4) }] },
    ]),
  );
  const input = (model: string) => {
    const answer = priceOf(own, {
      provider: 'p',
      site: { kind: 'vendor', vendor: 'v' },
      model,
      atMs: 0,
    });
    return answer.kind === 'listed' ? answer.price.rates.input : answer.kind;
  };
  expect(['x-1', 'x-2', 'x-3', 'y', 'y-free', 'yy'].map(input)).toEqual([
    1,
    2,
    2,
    'unknown',
    'unknown',
    4,
  ]);
});

test('hours of the day wrap around midnight, and the last period that holds counts', () => {
  const own = openPriceBook(
    small([
      {
        id: 'a',
        match: ['a'],
        periods: [
          { price: flat(1) },
          { from: '2026-02-01', price: flat(2) },
          { daily: [79_200, 3_600], price: flat(3) },
        ],
      },
    ]),
  );
  const input = (at: string) => {
    const answer = priceOf(own, {
      provider: 'p',
      site: { kind: 'vendor', vendor: 'v' },
      model: 'a',
      atMs: Date.parse(at),
    });
    return answer.kind === 'listed' ? answer.price.rates.input : 0;
  };
  expect(
    [
      '2026-01-31T12:00:00Z',
      '2026-02-01T12:00:00Z',
      '2026-01-31T22:00:00Z',
      '2026-01-31T00:59:59.999Z',
      '2026-01-31T01:00:00Z',
      '1969-12-31T23:00:00Z',
    ].map(input),
  ).toEqual([1, 2, 3, 3, 1, 3]);
});

test.each([
  [{ startsWith: 'ab' }, 'abc', 'aab'],
  [{ endsWith: 'bc' }, 'abc', 'bca'],
  [{ contains: 'b' }, 'abc', 'ac'],
  [{ shape: 'm-####' }, 'm-2026', 'm-20260'],
  [{ shape: 'm-#*' }, 'm-2x', 'm-'],
  [{ all: [{ startsWith: 'a' }, { not: { endsWith: 'z' } }] }, 'ab', 'az'],
  [{ any: ['a', 'b'] }, 'b', 'c'],
])('%j covers %s and not %s', (rule, yes, no) => {
  expect([ruleCovers(rule, yes), ruleCovers(rule, no)]).toEqual([true, false]);
});

test('faults are named: twice, no integer, no day, a step that falls, a condition on the first period', () => {
  const bad = small([
    { id: 'a', match: ['A'], periods: [{ from: '2026-13-01', price: { rates: { input: 0.5 } } }] },
    {
      id: 'a',
      match: [],
      periods: [{ price: { ...flat(2), steps: [{ aboveTokens: 5, rates: flat(1).rates }] } }],
    },
  ]);
  expect(snapshotFaults(bad)).toEqual([
    'v: a is there twice',
    'v: a: rule "A" is empty or not in lower case',
    'v: a: 2026-13-01 is no day',
    'v: a: the first period needs to hold always',
    'v: a: input: 0.5 is no rate',
    'v: a: 0 rules',
    ...[
      'input',
      'inputAudio',
      'inputImage',
      'inputVideo',
      'cacheRead',
      'cacheReadAudio',
      'cacheReadImage',
      'cacheWrite',
      'cacheWriteHour',
    ].map((field) => `v: a: ${field} is cheaper above 5 tokens`),
  ]);
  expect(priceFaults({ rates: {} })).toEqual(['neither input nor output has a rate']);
});
