import type { JsonObject } from '@postern/core/base';
import { openPriceBook } from '@postern/core/price';
import { priceSnapshot } from '@postern/core/price/snapshot';
import { expect, test } from 'vitest';
import { createMemoryVault, openMemoryBank } from '../../../../test/fakes/bank-memory.ts';
import type { FakeGateway } from '../../../../test/fakes/gateway.ts';
import { createFakeGateway, settled } from '../../../../test/fakes/gateway.ts';
import { createFakeProvider, FakeAnswer } from '../../../../test/fakes/provider.ts';
import { createMemoryLimits } from '../adapters/limits-memory/index.ts';
import { Ledger, MoneyDesk, Tariffs, Terms } from './money/index.ts';

/** A project of OpenAI's may be set up for a faster tier: what was asked for plainly, or not at all, comes and costs as `priority`. */

const provider = createFakeProvider({
  id: 'oai',
  dialects: ['openai-chat', 'openai-responses'],
  models: ['gpt-5'],
});
const responder = createFakeProvider({
  id: 'rsp',
  dialects: ['openai-responses'],
  models: ['gpt-5'],
});
const daily = { usd: 10, every: 'day', refill: 'boundary', per: 'all' } as const;

function openGateway(): Promise<FakeGateway> {
  return createFakeGateway({
    providers: [provider, responder],
    change: (options) => {
      const { clock } = options;
      const nowMs = (): number => clock.nowMs();
      const bank = openMemoryBank(createMemoryVault(nowMs));
      const terms = new Terms({ budgets: { team: { ...daily, match: ['*'] } }, limits: {} });
      const ledger = new Ledger({ bank, process: 'p', clock, staleAfterMs: 0 });
      const tariffs = new Tariffs({
        book: () => Promise.resolve(openPriceBook(priceSnapshot)),
        site: () => ({ kind: 'vendor', vendor: 'openai' }),
        hasOverrides: false,
        unknown: 'refuse',
        nowMs,
      });
      const desk = new MoneyDesk({
        bank,
        ledger: () => ledger,
        terms: () => terms,
        newId: () => 'i',
        nowMs,
      });
      const money = {
        terms,
        tariffs,
        limits: createMemoryLimits({ nowMs }),
        desk,
        whenDown: 'refuse',
        nowMs,
        ledger: () => ledger,
      } as const;
      return { ...options, view: () => ({ ...options.view(), money }) };
    },
  });
}

const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };
const plain = 10 * 1_250 + 10 * 10_000;
const chat = { id: 'c', object: 'chat.completion', created: 1, model: 'gpt-5' };
const choices = [
  { index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' },
];
const whole = (value: JsonObject): FakeAnswer =>
  new FakeAnswer().write(JSON.stringify(value)).end();
const sse = (frames: readonly string[]): FakeAnswer =>
  new FakeAnswer('text/event-stream').write(...frames).end();
const chunk = (tier: string, delta: JsonObject, more: JsonObject = {}): string =>
  `data: ${JSON.stringify({ ...chat, object: 'chat.completion.chunk', service_tier: tier, choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`;
const chatStream = (tier: string): readonly string[] => [
  chunk(tier, { role: 'assistant', content: '' }),
  chunk(tier, { content: 'Hello' }),
  chunk(tier, {}, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
  chunk(tier, {}, { choices: [], usage }),
  'data: [DONE]\n\n',
];
const response = (tier: string, more: JsonObject = {}): JsonObject => ({
  id: 'r',
  object: 'response',
  created_at: 1,
  status: 'completed',
  model: 'gpt-5',
  service_tier: tier,
  output: [
    {
      type: 'message',
      id: 'm',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Hello', annotations: [] }],
    },
  ],
  usage: { input_tokens: 10, output_tokens: 10, total_tokens: 20 },
  ...more,
});
const responseStream = (tier: string): readonly string[] =>
  [
    {
      type: 'response.created',
      response: response('auto', { status: 'in_progress', output: [], usage: null }),
    },
    { type: 'response.completed', response: response(tier) },
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);

const messages = [{ role: 'user', content: 'hi' }];
const inChat = { model: 'oai/gpt-5', max_completion_tokens: 50, messages };
const inResponses = { model: 'rsp/gpt-5', max_output_tokens: 50, input: 'hi' };
const translated = { ...inChat, model: 'rsp/gpt-5' };
const chatPath = '/v1/chat/completions';

test.each<[string, string, JsonObject, (tier: string) => FakeAnswer]>([
  ['chat', chatPath, inChat, (service_tier) => whole({ ...chat, choices, usage, service_tier })],
  [
    'chat whose usage comes last',
    chatPath,
    inChat,
    (service_tier) => whole({ service_tier, ...chat, choices, usage: { ...usage, x: {} } }),
  ],
  ['a stream of chat', chatPath, { ...inChat, stream: true }, (tier) => sse(chatStream(tier))],
  ['Responses', '/v1/responses', inResponses, (tier) => whole(response(tier))],
  [
    'a stream of Responses',
    '/v1/responses',
    { ...inResponses, stream: true },
    (tier) => sse(responseStream(tier)),
  ],
  ['Responses asked for in chat', chatPath, translated, (tier) => whole(response(tier))],
  [
    'a stream of Responses asked for in chat',
    chatPath,
    { ...translated, stream: true },
    (tier) => sse(responseStream(tier)),
  ],
  [
    'a stream of chat asked for in Messages',
    '/v1/messages',
    { model: 'oai/gpt-5', max_tokens: 50, messages, stream: true },
    (tier) => sse(chatStream(tier)),
  ],
])('%s costs by the tier that it came at', async (_name, path, body, answer) => {
  const gateway = await openGateway();
  for (const [tier, cost, estimated] of [
    ['default', plain, false],
    ['flex', plain, false],
    ['priority', 3 * plain, true],
  ] as const) {
    (body['model'] === 'rsp/gpt-5' ? responder : provider).expect(answer(tier));
    // oxlint-disable-next-line no-await-in-loop -- one request after the other
    await gateway.ask({ path, body });
    // oxlint-disable-next-line no-await-in-loop -- as above
    await settled();
    expect({ tier, ...gateway.settlements.at(-1) }).toMatchObject({
      tier,
      status: 200,
      outcome: 'complete',
      cost,
      estimated,
    });
  }
});

test('a caller who leaves a stream pays for it by its tier', async () => {
  const gateway = await openGateway();
  const costs: unknown[] = [];
  for (const tier of ['default', 'priority']) {
    const frames = chatStream(tier).slice(0, 2);
    provider.expect(new FakeAnswer('text/event-stream').write(...frames));
    const open = gateway.open({ path: chatPath, body: { ...inChat, stream: true } });
    // oxlint-disable-next-line no-await-in-loop -- one request after the other
    await settled();
    open.leave();
    // oxlint-disable-next-line no-await-in-loop -- as above
    await open.done;
    costs.push(gateway.settlements.at(-1)?.cost);
  }
  expect(costs[0]).toBeGreaterThan(0);
  expect(costs[1]).toBe(3 * Number(costs[0]));
});
