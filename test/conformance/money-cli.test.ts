/** What operators see of money: `postern usage`, `postern budget show` and `budget refill` against a running gateway. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, type Ended } from '../e2e/process.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { call, routes, whole } from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: { oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up', 'two'] } },
      identities: keysAsTags(),
      prices: { '**': { input: '3', output: '15' } },
      budgets: {
        team: { usd: '100', every: 'month', match: ['*'] },
        each: { usd: '0.01', every: 'day', per: 'key', match: ['*'] },
      },
    },
    policy: granting({ 'tag:key': { models: ['**'] } }),
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const postern = (...words: readonly string[]): Promise<Ended> =>
  cli(words, { stateDir: gateway.stateDir });

/** What a command prints with `--json`. */
async function json(...words: readonly string[]): Promise<unknown> {
  const { code, out, err } = await postern(...words, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as unknown;
}

function nanoUsd(text: string): number {
  const [whole = '0', fraction = ''] = text.split('.');
  return Number(whole) * 1_000_000_000 + Number(fraction.padEnd(9, '0'));
}

function sum(...amounts: readonly (number | undefined)[]): number {
  return amounts.reduce<number>((all, each) => all + (each ?? Number.NaN), 0);
}

async function ask(key: string, model: string): Promise<void> {
  upstream.expect(whole['openai-chat']);
  const body = { ...routes['openai-chat'].body(model, false), max_tokens: 100 };
  const answer = await call(gateway, { path: '/v1/chat/completions', key, body });
  expect(answer.status).toBe(200);
}

describe('before anything was used', () => {
  test('the commands say so', async () => {
    expect(await postern('usage')).toMatchObject({ code: 0, out: 'Nothing was used.\n' });
    const unknown = await postern('budget', 'show', 'nothing');
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain('postern budget show');
    // The list of routes is for who calls the API.
    expect(unknown.err).not.toContain('HTTP reference');
  });
});

describe('after some use', () => {
  beforeAll(async () => {
    const [ann, bob] = [await gateway.key('ann'), await gateway.key('bob')];
    await ask(ann, 'oai/up');
    await ask(ann, 'oai/two');
    await ask(bob, 'oai/up');
  });

  test('use is shown by user, model, budget and hour, the dearest first', async () => {
    const byUser = await postern('usage');
    expect(byUser.code).toBe(0);
    const [head, ...rows] = byUser.out.trimEnd().split('\n');
    expect(head).toMatch(/^user +requests +input +output +usd$/i);
    expect(rows.join('\n')).toMatch(/ann \(key:key_\w+\) +2 +22 +14 +0\.000276/);
    expect(rows.join('\n')).toMatch(/bob \(key:key_\w+\) +1 +11 +7 +0\.000138/);
    expect(await json('usage', '--by', 'model')).toMatchObject([
      { key: 'oai/up', requests: 2, input_tokens: 22, output_tokens: 14, nano_usd: 276_000 },
      { key: 'oai/two', requests: 1, usd: '0.000138' },
    ]);
    expect(await json('usage', '--by', 'budget')).toMatchObject([
      { key: 'team', nano_usd: 414_000 },
      { key: expect.stringMatching(/^each\//), nano_usd: 276_000 },
      { key: expect.stringMatching(/^each\//), nano_usd: 138_000 },
    ]);
    expect((await postern('usage', '--by', 'hour')).out).toMatch(/^\d{4}-\d\d-\d\d \d\d /m);
  });

  test('since when is asked as people ask, and what is no time is refused', async () => {
    expect(await json('usage', '--since', '2h')).toHaveLength(2);
    // Less than an hour is all of that hour.
    expect(await json('usage', '--since', '5m')).toHaveLength(2);
    expect(await json('usage', '--since', '2999-01-01T00:00:00Z')).toEqual([]);
    const wrong = await postern('usage', '--since', 'yesterday-ish');
    expect([wrong.code, wrong.out]).toEqual([2, '']);
    expect(wrong.err).toContain('--since');
    expect((await postern('usage', '--by', 'moon')).code).toBe(2);
  });

  test('budgets show what is left, and are filled up or get an amount', async () => {
    const shown = await postern('budget', 'show', 'team');
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/^account +capacity +every +left +held +spent +lost$/im);
    expect(shown.out).toMatch(/^team +100\.00 +month +[\d.]+ +[\d.]+ +0\.000414 +0\.00$/m);
    const each = (await json('budget', 'show', 'each')) as { account: string; spent_usd: string }[];
    expect(each.map(({ spent_usd }) => spent_usd).toSorted()).toEqual(['0.000138', '0.000276']);
    const [first] = each;
    expect(await json('budget', 'refill', first?.account ?? '', '--usd', '0.5')).toMatchObject([
      { account: first?.account, capacity_usd: '0.01' },
    ]);
    const after = (await json('budget', 'show', first?.account ?? '')) as {
      remaining_usd: string;
      held_usd: string;
    }[];
    expect(Number(after[0]?.remaining_usd)).toBeGreaterThan(0.5);
    expect((await postern('budget', 'refill', 'nothing')).code).toBe(1);
    const all = await postern('budget', 'refill', 'each');
    expect(all.code).toBe(0);
    expect(all.out.trimEnd().split('\n').length).toBeGreaterThanOrEqual(3);
  });

  test('once something was put in, the columns of the table add up', async () => {
    expect((await postern('budget', 'refill', 'team', '--usd', '7.000000001')).code).toBe(0);
    const { out } = await postern('budget', 'show', 'team');
    const [head, row = ''] = out.trimEnd().split('\n');
    expect(head).toMatch(/^account +capacity +every +left +held +spent +lost +refilled$/i);
    const [, capacity, , left, , spent, lost, refilled] = row.split(/ +/).map(nanoUsd);
    expect(sum(capacity, refilled)).toBe(sum(left, spent, lost));
    expect(refilled).toBe(7_000_000_001);
  });

  test('an amount that is none is a mistake of the command line', async () => {
    for (const usd of ['abc', '-5', '0.0000000001', '99999999']) {
      // oxlint-disable-next-line no-await-in-loop -- one command after the other
      const { code, err } = await postern('budget', 'refill', 'team', '--usd', usd);
      expect([usd, code]).toEqual([usd, 2]);
      expect(err).toMatch(/^--usd: /);
      expect(err).not.toContain('param');
    }
  });

  test('an answer that nobody reported the usage of is counted, and the table says how many are', async () => {
    const [answered] = whole['openai-chat'].pieces;
    if (typeof answered !== 'string') throw new Error('a whole answer is one text');
    const { usage: _, ...silent } = JSON.parse(answered);
    upstream.expect({ pieces: [JSON.stringify(silent)] });
    const body = { ...routes['openai-chat'].body('oai/two', false), max_tokens: 100 };
    const key = await gateway.key('cyd');
    expect((await call(gateway, { path: '/v1/chat/completions', key, body })).status).toBe(200);
    const { out } = await postern('usage');
    expect(out).toMatch(/^user +requests +input +output +estimated +usd$/im);
    expect(out).toMatch(/^cyd \(key:key_\w+\) +1 +[1-9]\d* +[1-9]\d* +1 +0\.\d*[1-9]$/m);
    expect(out).toMatch(/^bob \(key:key_\w+\) +1 +11 +7 +0 +0\.000138$/m);
  });
});
