import OpenAI from 'openai';
import { expect } from 'vitest';
import { startScriptedUpstream, type ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';

/** A gateway before one scripted upstream that stands for servers of every API, and OpenAI's own client before it. */
export interface ResponsesFixture {
  readonly upstream: ScriptedUpstream;
  readonly gateway: TestGateway;
  readonly client: OpenAI;
  /** The latest request that the upstream received. */
  last(): ScriptedUpstream['received'][number];
  /** Its body. */
  sent(): unknown;
  stop(): Promise<void>;
}

export async function startResponses(): Promise<ResponsesFixture> {
  const upstream = await startScriptedUpstream();
  const key = { env: 'UP_KEY' };
  const openai = { kind: 'openai', baseUrl: `${upstream.url}/v1`, key };
  const gateway = await startGateway({
    env: { UP_KEY: 'sk-upstream-canary' },
    config: {
      providers: {
        oai: { ...openai, models: ['gpt-x', 'vectors'] },
        rsp: { ...openai, models: ['gpt-5-x'], api: ['responses'] },
        words: { ...openai, models: ['chatter'], api: ['chat'] },
        vec: { ...openai, models: ['bge'], api: ['embeddings'] },
        ant: {
          kind: 'anthropic',
          baseUrl: upstream.url,
          key,
          models: ['claude-x'],
          maxOutputTokens: 8192,
        },
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  const apiKey = await gateway.key('sdk');
  const last = () => {
    const request = upstream.received.at(-1);
    if (request === undefined) throw new Error('the upstream received nothing');
    return request;
  };
  return {
    upstream,
    gateway,
    client: new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 }),
    last,
    sent: () => JSON.parse(last().body) as unknown,
    stop: async () => {
      await gateway.stop();
      await upstream.close();
    },
  };
}

export const weather = {
  type: 'function',
  name: 'weather',
  description: 'Weather of a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  strict: null,
} as const;

export async function eventsOf(
  stream: AsyncIterable<OpenAI.Responses.ResponseStreamEvent>,
): Promise<OpenAI.Responses.ResponseStreamEvent[]> {
  const events: OpenAI.Responses.ResponseStreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** Numbers without a gap, and every event of an item names one that was added before it. */
export function expectWellFormed(events: readonly OpenAI.Responses.ResponseStreamEvent[]): void {
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
  const ids: string[] = [];
  for (const event of events) {
    if (event.type === 'response.output_item.added') {
      expect(event.output_index).toBe(ids.length);
      ids.push(event.item.id ?? '');
    }
    if ('item_id' in event && 'output_index' in event) {
      expect(event.item_id).toBe(ids[event.output_index]);
    }
    if (event.type === 'response.output_item.done') {
      expect(event.item.id).toBe(ids[event.output_index]);
    }
  }
  expect(new Set(ids).size).toBe(ids.length);
}
