import { expect, test } from 'vitest';
import { createMemoryLimits } from '../../adapters/limits-memory/index.ts';
import type { Conversation, Usage } from '@postern/core/dialect';
import type { PriceOverride, Site } from '@postern/core/price';
import { openPriceBook } from '@postern/core/price';
import { priceSnapshot } from '@postern/core/price/snapshot';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import { createMemoryVault, openMemoryBank } from '../../../../../test/fakes/bank-memory.ts';
import { Ledger } from './ledger.ts';
import type { Money } from './purse.ts';
import { Purse } from './purse.ts';
import { Tariffs } from './tariff.ts';
import { Terms } from './terms.ts';

const local = { usd: 1, every: 'day', refill: 'boundary', per: 'all', match: ['*'] } as const;
const terms = new Terms({ budgets: { local: { ...local, match: ['*'] } }, limits: {} });
const caller = {
  subject: { authority: 'local', id: 'uid:1', kind: 'operator', display: 'me', selectors: [] },
} as const;
const usage = {
  input: 20,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 100,
  reasoning: 0,
};

function moneyOf(
  unknown: 'refuse' | 'highest',
  site: Site = { kind: 'unlisted' },
  overrides: readonly PriceOverride[] = [],
): Money {
  const clock = createFakeClock();
  const vault = createMemoryVault(() => clock.nowMs());
  const bank = openMemoryBank(vault);
  const ledger = new Ledger({ bank, process: 'p', clock, staleAfterMs: 0 });
  return {
    ledger: () => ledger,
    limits: createMemoryLimits({ nowMs: () => clock.nowMs() }),
    whenDown: 'refuse',
    nowMs: () => clock.nowMs(),
    tariffs: new Tariffs({
      book: () => Promise.resolve(openPriceBook(priceSnapshot, overrides)),
      site: () => site,
      hasOverrides: overrides.length > 0,
      unknown,
      nowMs: () => clock.nowMs(),
    }),
  };
}

let ids = 0;
function purse(money: Money, more: Partial<Conversation> = {}): Purse {
  const found = terms.of(caller, {}, { selectorsOf: () => [] });
  if (!found.ok) throw new Error(found.error);
  ids += 1;
  return new Purse(money, {
    id: `r${ids}`,
    caller,
    terms: found.value,
    model: 'upstream/m',
    maxOutputTokens: 4_096,
    taken: undefined,
    conversation: {
      model: 'm',
      stream: false,
      streamUsage: false,
      system: [],
      messages: [{ role: 'user', content: [{ kind: 'text', text: 'Hello' }] }],
      tools: [],
      extensions: { dialect: 'openai-chat', fields: {} },
      ...more,
    },
  });
}

test('a model of unknown price gets an answer within the dollar: the cap is what a part of it pays for', async () => {
  const money = moneyOf('highest');
  for (const stream of [false, true]) {
    const one = purse(money, { stream });
    // oxlint-disable-next-line no-await-in-loop -- the second one finds what the first one left
    const terms = await one.begin({ provider: 'upstream', model: 'm' });
    if (!terms.ok) throw new Error(terms.error.message);
    expect(terms.value.maxOutputTokens).toBeGreaterThanOrEqual(256);
    expect(terms.value.maxOutputTokens).toBeLessThan(4_096);
    expect(one.settle(usage, false)).toBeGreaterThan(0);
    one.close();
  }
});

test('a cap of the caller is never changed: it is refused, with what there is room for', async () => {
  const refused = await purse(moneyOf('highest'), { maxOutputTokens: 4_096 }).begin({
    provider: 'upstream',
    model: 'm',
  });
  expect(refused).toMatchObject({ ok: false, error: { code: 'budget_exhausted' } });
  expect(!refused.ok && refused.error.message).toMatch(/room for about \d+ output tokens/);
});

test('with a configuration, what has no price is not sent', async () => {
  const refused = await purse(moneyOf('refuse')).begin({ provider: 'upstream', model: 'm' });
  expect(refused).toMatchObject({ ok: false, error: { code: 'price_unknown' } });
});

test('every attempt is charged: a silent one for its prompt, a refused one nothing', async () => {
  const one = purse(moneyOf('highest'));
  await one.begin({ provider: 'upstream', model: 'a' });
  one.lapse('refused');
  expect(one.cost).toBe(0);
  await one.begin({ provider: 'upstream', model: 'b' });
  one.lapse('unknown');
  const prompt = one.cost;
  expect(prompt).toBeGreaterThan(0);
  await one.begin({ provider: 'upstream', model: 'c' });
  const last = one.settle(usage, false);
  one.close();
  one.close();
  expect(one.cost).toBe(prompt + last);
});

test('a faster tier has no listed price, but may have one of the operator', async () => {
  const site = { kind: 'vendor', vendor: 'openai' } as const;
  const target = { provider: 'oai', model: 'gpt-5' };
  const fields = { service_tier: 'priority' };
  const fast = { extensions: { dialect: 'openai-chat', fields }, maxOutputTokens: 200 } as const;
  const plain = { maxOutputTokens: 200 };
  const listed = moneyOf('refuse', site);
  expect(await purse(listed, plain).begin(target)).toMatchObject({ ok: true });
  const refused = await purse(listed, fast).begin(target);
  expect(refused).toMatchObject({ ok: false, error: { code: 'price_unknown' } });
  expect(!refused.ok && refused.error.message).toContain('at the tier that this request asks for');
  expect(await purse(listed, plain).begin(target)).toMatchObject({ ok: true });
  // Another format has no word for the tier: it is dropped on the way.
  expect(await purse(listed, fast).begin(target, false)).toMatchObject({ ok: true });

  const price = { rates: { input: 2_500_000_000, output: 20_000_000_000 } };
  const own = purse(moneyOf('refuse', site, [{ target: 'oai/*', price }]), fast);
  expect(await own.begin(target)).toMatchObject({ ok: true });
  expect(own.settle(usage, false)).toBe(20 * 2_500 + 100 * 20_000);

  const highest = purse(moneyOf('highest', site), fast);
  expect(await highest.begin(target)).toMatchObject({ ok: true });
  expect(highest.settle(usage, false)).toBeGreaterThan(20 * 2_500 + 100 * 20_000);
});

test('an answer that came at a faster tier unasked is never charged too little, and from then on that much is set aside', async () => {
  const money = moneyOf('refuse', { kind: 'vendor', vendor: 'openai' });
  const target = { provider: 'oai', model: 'gpt-5' };
  const plain = 20 * 1_250 + 100 * 10_000;
  const settled = async (more: Partial<Conversation>, used: Usage, isEstimated = false) => {
    const one = purse(money, { maxOutputTokens: 200, ...more });
    expect(await one.begin(target)).toMatchObject({ ok: true });
    return [one.settle(used, isEstimated), one.isAssumed];
  };
  expect(await settled({}, usage)).toEqual([plain, false]);
  expect(await settled({}, usage, true)).toEqual([plain, false]);
  expect(await settled({}, { ...usage, tier: 'priority' })).toEqual([3 * plain, true]);
  // How an answer came of which nobody says is as with the one before.
  expect(await settled({}, usage, true)).toEqual([3 * plain, false]);
  expect(await settled({}, usage)).toEqual([plain, false]);
  const named = {
    extensions: { dialect: 'openai-chat', fields: { service_tier: 'default' } },
  } as const;
  expect(await settled(named, usage, true)).toEqual([plain, false]);

  // A dollar pays for 99,000 tokens of it at the plain price, and for a third of them here.
  const many = { maxOutputTokens: 60_000 };
  expect(await purse(money, many).begin(target)).toMatchObject({
    ok: false,
    error: { code: 'budget_exhausted' },
  });
  expect(await purse(money, { ...many, ...named }).begin(target)).toMatchObject({ ok: true });
});

test('several prompts are several answers, and what there is room for is told of each of them', async () => {
  const price = { rates: { input: 0, output: 100_000_000_000 } };
  const money = moneyOf('refuse', { kind: 'unlisted' }, [{ target: '**', price }]);
  const target = { provider: 'upstream', model: 'm' };
  // A dollar pays for 10,000 tokens.
  const asked = (prompts: number, maxOutputTokens: number) =>
    purse(money, {
      maxOutputTokens,
      extensions: {
        dialect: 'openai-completions',
        fields: { prompt: Array.from({ length: prompts }, () => 'hi') },
      },
    }).begin(target);
  const refused = await asked(100, 1_000);
  expect(refused).toMatchObject({ ok: false, error: { code: 'budget_exhausted' } });
  expect(!refused.ok && refused.error.message).toContain('room for about 99 output tokens');
  const choices = await purse(money, { maxOutputTokens: 1_001, choices: 10 }).begin(target);
  expect(!choices.ok && choices.error.message).toContain('room for about 999 output tokens');
  expect(await asked(100, 99)).toMatchObject({ ok: true });
});

/** A dollar pays for 100,000 tokens of output, prompts are free. */
const tenCents = { rates: { input: 0, output: 10_000_000_000 } };

test.each<[string, string, Partial<Conversation>]>([
  ['by its name', 'gpt-5-mini', {}],
  ['by its name, where the format has no word for less', 'o3', { reasoning: { kind: 'off' } }],
  ['because it is asked to', 'm', { reasoning: { kind: 'effort', effort: 'low' } }],
  ['as long as it likes', 'm', { reasoning: { kind: 'adaptive' } }],
  ['within a budget', 'm', { reasoning: { kind: 'tokens', budgetTokens: 1_024 } }],
])(
  'what thinks unseen is set aside for at once, so that no budget is overrun: %s',
  async (_why, model, more) => {
    const money = moneyOf('refuse', { kind: 'unlisted' }, [{ target: '**', price: tenCents }]);
    const open: Purse[] = [];
    for (let asked = 0; asked < 50; asked += 1) {
      const one = purse(money, { stream: true, maxOutputTokens: 30_000, ...more });
      // oxlint-disable-next-line no-await-in-loop -- each one finds what the last one left
      if ((await one.begin({ provider: 'up', model })).ok) open.push(one);
    }
    const thinking = { ...usage, output: 30_000, reasoning: 29_990 };
    let spent = 0;
    for (const one of open) spent += one.settle(thinking, false);
    expect([open.length, spent]).toEqual([3, 900_000_000]);
  },
);

test('a model that thought unasked is set aside for as one that thinks', async () => {
  const money = moneyOf('refuse', { kind: 'unlisted' }, [{ target: '**', price: tenCents }]);
  const target = { provider: 'up', model: 'm' };
  const begin = (more: Partial<Conversation> = {}) => {
    const one = purse(money, { stream: true, maxOutputTokens: 90_000, ...more });
    return { one, begun: one.begin(target) };
  };
  const asked = begin({ reasoning: { kind: 'effort', effort: 'high' } });
  expect(await asked.begun).toMatchObject({ ok: true });
  asked.one.settle({ ...usage, reasoning: 50 }, false);
  // Others did not ask for it: they have steps of 2,000.
  const [thought, wrote] = [begin(), begin()];
  expect([await thought.begun, await wrote.begun]).toMatchObject([{ ok: true }, { ok: true }]);
  thought.one.settle({ ...usage, reasoning: 50 }, false);
  wrote.one.settle(usage, false);

  const first = begin();
  expect(await first.begun).toMatchObject({ ok: true });
  const second = await begin().begun;
  expect(second).toMatchObject({ ok: false, error: { code: 'budget_exhausted' } });
  // Nor is one that says "none" and thinks all the same.
  const none = await begin({ reasoning: { kind: 'effort', effort: 'none' } }).begun;
  expect(none).toMatchObject({ ok: false, error: { code: 'budget_exhausted' } });
});

test('a stream that goes on far beyond its cap is paid for, or ends', async () => {
  const money = moneyOf('refuse', { kind: 'unlisted' }, [{ target: '**', price: tenCents }]);
  const one = purse(money, { stream: true, maxOutputTokens: 1_000 });
  expect(await one.begin({ provider: 'up', model: 'm' })).toMatchObject({ ok: true });
  // Counted by characters, an answer of 1,000 tokens may look like this.
  expect(one.grow(2_900)).toBeUndefined();
  expect(await one.grow(3_100)).toMatchObject({ ok: true });
  expect(one.grow(5_000)).toBeUndefined();
  expect(await one.grow(90_000)).toMatchObject({ ok: true });
  expect(await one.grow(101_000)).toMatchObject({ ok: false, error: { code: 'budget_exhausted' } });
});

test('an answer in pictures costs what pictures cost, and says so where that is assumed', async () => {
  const price = {
    rates: { input: 300_000_000, output: 2_500_000_000, outputImage: 30_000_000_000 },
  };
  const money = moneyOf('refuse', { kind: 'unlisted' }, [{ target: '**', price }]);
  const settled = async (used: Usage) => {
    const one = purse(money, { maxOutputTokens: 1_500 });
    expect(await one.begin({ provider: 'up', model: 'gemini-2.5-flash-image' })).toMatchObject({
      ok: true,
    });
    return [one.settle(used, false), one.isAssumed];
  };
  const painted = { ...usage, input: 0, output: 1_300 };
  expect(await settled(painted)).toEqual([1_300 * 30_000, true]);
  expect(await settled({ ...painted, outputImage: 1_290 })).toEqual([
    1_290 * 30_000 + 10 * 2_500,
    false,
  ]);
  expect(await settled({ ...painted, outputImage: 0 })).toEqual([1_300 * 2_500, false]);
});

test('vectors are set aside for and charged by their prompt: lists have no price for what they are', async () => {
  const money = moneyOf('refuse', { kind: 'vendor', vendor: 'openai' });
  const one = purse(money, { extensions: { dialect: 'openai-embeddings', fields: {} } });
  expect(await one.begin({ provider: 'oai', model: 'text-embedding-3-small' })).toMatchObject({
    ok: true,
  });
  expect(one.settle({ ...usage, input: 1_000, output: 0 }, false)).toBe(20_000);
});

test('the same by a route that does not say that it makes vectors', async () => {
  const money = moneyOf('refuse', { kind: 'vendor', vendor: 'aws' });
  const one = purse(money, { extensions: { dialect: 'bedrock-invoke', fields: {} } });
  const target = { provider: 'aws', model: 'amazon.titan-embed-text-v1' };
  expect(await one.begin(target)).toMatchObject({ ok: true });
  expect(one.settle({ ...usage, input: 1_000, output: 0 }, false)).toBe(100_000);
});

test('a model that searches by itself pays for it', async () => {
  const money = moneyOf('refuse', { kind: 'vendor', vendor: 'openai' });
  const one = purse(money, { maxOutputTokens: 200 });
  expect(await one.begin({ provider: 'oai', model: 'gpt-4o-search-preview' })).toMatchObject({
    ok: true,
  });
  expect(one.settle(usage, false)).toBe(20 * 2_500 + 100 * 10_000 + 25_000_000);
});
