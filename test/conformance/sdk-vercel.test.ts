/** The Vercel AI SDK against the gateway: each of its four clients before each of the four kinds of upstream. */
import process from 'node:process';
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import type { Completion, Conversation, DialectName } from '@postern/core/dialect';
import { dialectNamed } from '@postern/core/dialect';
import {
  APICallError,
  generateText,
  isStepCount,
  jsonSchema,
  type LanguageModel,
  type ModelMessage,
  streamText,
  tool,
} from 'ai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  exceptionMessage,
  eventStream,
  type FakeBedrock,
  region,
  startFakeBedrock,
  staticKey,
} from '../fakes/bedrock.ts';
import { asText, writtenAnswer } from '../fakes/dialect-answer.ts';
import { type ScriptedUpstream, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';

let bedrock: FakeBedrock;
let upstream: ScriptedUpstream;
let gateway: TestGateway;
let key = '';
const saved = { ...process.env };

beforeAll(async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: staticKey.id,
    AWS_SECRET_ACCESS_KEY: staticKey.secret,
  });
  bedrock = await startFakeBedrock();
  upstream = await startScriptedUpstream();
  const openai = { kind: 'openai', baseUrl: `${upstream.url}/v1` };
  gateway = await startGateway({
    config: {
      providers: {
        chat: { ...openai, models: ['up'], api: ['chat'] },
        rsp: { ...openai, models: ['up'], api: ['responses'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
        aws: { kind: 'bedrock', region, endpoint: bedrock.url, models: ['anthropic.up-v1:0'] },
      },
      prices: { 'aws/**': { input: 1, output: 2, cacheRead: '0.1', cacheWrite: '1.25' } },
      identities: keysAsTags('vercel'),
    },
    policy: everyKey,
  });
  key = await gateway.key('vercel');
});
afterAll(async () => {
  process.env = saved;
  await gateway.stop();
  await upstream.close();
  await bedrock.close();
});
beforeEach(() => {
  upstream.forget();
  bedrock.forget();
});

const clients: Readonly<Record<string, (model: string) => LanguageModel>> = {
  'openai chat': (model) => createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key }).chat(model),
  'openai responses': (model) =>
    createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key }).responses(model),
  anthropic: (model) => createAnthropic({ baseURL: `${gateway.url}/v1`, apiKey: key })(model),
  'amazon-bedrock': (model) =>
    createAmazonBedrock({ baseURL: `${gateway.url}/bedrock`, apiKey: key, region })(model),
};

interface Server {
  readonly model: string;
  /** Which format it is asked in, by the client that asks. */
  readonly dialect: (client: string) => DialectName;
}

const servers: Readonly<Record<string, Server>> = {
  'chat completions': { model: 'chat/up', dialect: () => 'openai-chat' },
  responses: { model: 'rsp/up', dialect: () => 'openai-responses' },
  messages: { model: 'ant/up', dialect: () => 'anthropic-messages' },
  bedrock: {
    model: 'aws/anthropic.up-v1:0',
    dialect: (client) => (client === 'anthropic' ? 'bedrock-invoke' : 'bedrock-converse'),
  },
};

const usage = {
  input: 21,
  cacheRead: 8,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 13,
  reasoning: 0,
};
const calls: Completion = {
  id: 'answer-1',
  model: 'up-2026',
  content: [
    { kind: 'text', text: 'Let me look.' },
    { kind: 'tool-call', id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' },
    { kind: 'tool-call', id: 'call_2', name: 'weather', arguments: '{"city":"Rome"}' },
  ],
  stop: 'tool-calls',
  usage,
  created: 1_700_000_000,
};
const said: Completion = {
  ...calls,
  id: 'answer-2',
  content: [{ kind: 'text', text: 'Rain in Oslo, sun in Rome.' }],
  stop: 'end',
};

function answerWith(dialect: DialectName, completion: Completion, stream: boolean): void {
  const answer = writtenAnswer(dialect, completion, stream);
  if (dialect.startsWith('bedrock')) bedrock.expect(answer);
  else upstream.expect(asText(answer));
}

/** What the server was asked last, read back. */
function asked(dialectName: DialectName): Conversation {
  const isBedrock = dialectName.startsWith('bedrock');
  const body = isBedrock ? bedrock.calls.at(-1)?.body : upstream.received.at(-1)?.body;
  const path = isBedrock ? { model: 'm', stream: false } : undefined;
  const decoded = dialectNamed(dialectName).decodeRequest(JSON.parse(body ?? '{}'), path);
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
}

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const question: ModelMessage[] = [
  {
    role: 'user',
    content: [
      { type: 'text', text: 'Weather here and in Rome?' },
      { type: 'file', mediaType: 'image/png', data: png },
    ],
  },
];
const tools = {
  weather: tool({
    description: 'Weather of a city',
    inputSchema: jsonSchema<{ city: string }>({
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    }),
    execute: ({ city }) => Promise.resolve(city === 'Oslo' ? 'rain' : 'sun'),
  }),
};

const settings = {
  tools,
  messages: question,
  stopWhen: isStepCount(3),
  maxRetries: 0,
  // Its Responses client else refers to what the server is thought to have stored.
  providerOptions: { openai: { store: false } },
};

function expectHistory(conversation: Conversation): void {
  const parts = conversation.messages.flatMap(({ content }) => content);
  expect(parts.filter(({ kind }) => kind === 'image')).toEqual([
    expect.objectContaining({ source: { kind: 'base64', mediaType: 'image/png', data: png } }),
  ]);
  expect(parts.filter(({ kind }) => kind === 'tool-call')).toMatchObject([
    { id: 'call_1', name: 'weather' },
    { id: 'call_2', name: 'weather' },
  ]);
  expect(parts.filter(({ kind }) => kind === 'tool-result')).toMatchObject([
    { callId: 'call_1', content: [{ kind: 'text', text: expect.stringContaining('rain') }] },
    { callId: 'call_2', content: [{ kind: 'text', text: expect.stringContaining('sun') }] },
  ]);
  expect(conversation.tools.map(({ name }) => name)).toEqual(['weather']);
}

describe.each(Object.keys(clients))('the %s client', (clientName) => {
  const client = clients[clientName];
  describe.each(Object.entries(servers))('before %s', (_, server) => {
    const dialect = server.dialect(clientName);
    const model = () => {
      if (client === undefined) throw new Error('no such client');
      return client(server.model);
    };

    test('calls two tools at once and answers from their results', async () => {
      answerWith(dialect, calls, false);
      answerWith(dialect, said, false);
      const result = await generateText({ model: model(), ...settings });
      expect(result.text).toBe('Rain in Oslo, sun in Rome.');
      expect(result.steps[0]?.finishReason).toBe('tool-calls');
      expect(
        result.steps[0]?.toolCalls.map(({ toolCallId, input }) => [toolCallId, input]),
      ).toEqual([
        ['call_1', { city: 'Oslo' }],
        ['call_2', { city: 'Rome' }],
      ]);
      expect(result.finishReason).toBe('stop');
      expect(result.steps[1]?.usage).toMatchObject({ inputTokens: 29, outputTokens: 13 });
      expect(result.steps[1]?.usage.inputTokenDetails.cacheReadTokens).toBe(8);
      expectHistory(asked(dialect));
    });

    test('streams the same', async () => {
      answerWith(dialect, calls, true);
      answerWith(dialect, said, true);
      const result = streamText({ model: model(), ...settings });
      let text = '';
      for await (const piece of result.textStream) text += piece;
      expect(text).toBe('Let me look.Rain in Oslo, sun in Rome.');
      const steps = await result.steps;
      expect(steps[0]?.toolCalls.map(({ toolCallId, input }) => [toolCallId, input])).toEqual([
        ['call_1', { city: 'Oslo' }],
        ['call_2', { city: 'Rome' }],
      ]);
      expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
      expect(steps[1]?.usage).toMatchObject({ inputTokens: 29, outputTokens: 13 });
      expectHistory(asked(dialect));
    });

    test('reports an upstream that is full, and one that breaks off', async () => {
      const full = { status: 429, headers: { 'retry-after': '7' }, pieces: ['{"message":"slow"}'] };
      if (dialect.startsWith('bedrock')) bedrock.expect(full);
      else upstream.expect(full);
      const failed = await generateText({ model: model(), ...settings }).catch(
        (cause: unknown) => cause,
      );
      expect(APICallError.isInstance(failed) && failed.statusCode).toBe(429);
      expect(APICallError.isInstance(failed) && failed.responseHeaders?.['retry-after']).toBe('7');
      if (dialect.startsWith('bedrock')) {
        bedrock.expect({
          headers: eventStream,
          pieces: [exceptionMessage('modelStreamErrorException', 'gone')],
        });
      } else {
        upstream.expect({ headers: sse, pieces: [': nothing\n\n', { cut: true }] });
      }
      const errors: unknown[] = [];
      const broken = streamText({
        model: model(),
        ...settings,
        onError: ({ error }) => {
          errors.push(error);
        },
      });
      await broken.consumeStream();
      expect(errors).toHaveLength(1);
    });
  });
});

test('an item that a server is thought to have stored is refused where nothing is stored', async () => {
  const model = clients['openai responses']?.('chat/up');
  if (model === undefined) throw new Error('no such client');
  answerWith('openai-chat', calls, false);
  const failed = await generateText({ model, ...settings, providerOptions: {} }).catch(
    (cause: unknown) => cause,
  );
  expect(APICallError.isInstance(failed) && failed.statusCode).toBe(400);
  expect(APICallError.isInstance(failed) && failed.message).toMatch(
    /^input: the server of this model keeps nothing between requests/,
  );
});
