/**
 * The published cases of the Open Responses compliance suite (openresponses.org/compliance), written anew: what each
 * asks, and what it holds the answer to, over upstreams of four formats.
 */
import process from 'node:process';
import type { Completion, DialectName } from '@postern/core/dialect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type FakeBedrock, region, startFakeBedrock, staticKey } from '../fakes/bedrock.ts';
import { asText, writtenAnswer } from '../fakes/dialect-answer.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
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
  const openai = { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] };
  gateway = await startGateway({
    config: {
      providers: {
        chat: { ...openai, api: ['chat'] },
        rsp: { ...openai, api: ['responses'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
        aws: { kind: 'bedrock', region, endpoint: bedrock.url, models: ['up'] },
      },
      prices: { 'aws/**': { input: 1, output: 2, cacheRead: '0.1', cacheWrite: '1.25' } },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('compliance');
});
afterAll(async () => {
  process.env = saved;
  await gateway.stop();
  await upstream.close();
  await bedrock.close();
});

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const outputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.unknown()),
  logprobs: z.array(z.unknown()),
});
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });
const item = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    id: z.string(),
    status,
    role: z.literal('assistant'),
    content: z.array(z.union([outputText, refusalPart])),
  }),
  z.object({
    type: z.literal('function_call'),
    id: z.string(),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
    status,
  }),
  z.object({
    type: z.literal('reasoning'),
    id: z.string(),
    summary: z.array(z.object({ type: z.literal('summary_text'), text: z.string() })),
  }),
]);

const usage = z.object({
  input_tokens: z.int(),
  output_tokens: z.int(),
  total_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int() }),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }),
});

/** The resource of the specification: no member may be missing. */
const resource = z.object({
  id: z.string().min(1),
  object: z.literal('response'),
  created_at: z.int(),
  completed_at: z.int().nullable(),
  status: z.string(),
  incomplete_details: z.object({ reason: z.string() }).nullable(),
  model: z.string().min(1),
  previous_response_id: z.string().nullable(),
  instructions: z.string().nullable(),
  output: z.array(item),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  tools: z.array(
    z.object({
      type: z.literal('function'),
      name: z.string(),
      description: z.string().nullable(),
      parameters: z.record(z.string(), z.unknown()).nullable(),
      strict: z.boolean().nullable(),
    }),
  ),
  tool_choice: z.union([
    z.enum(['none', 'auto', 'required']),
    z.object({ type: z.literal('function'), name: z.string() }),
  ]),
  truncation: z.enum(['auto', 'disabled']),
  parallel_tool_calls: z.boolean(),
  text: z.object({ format: z.object({ type: z.string() }) }),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: z.int(),
  temperature: z.number(),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }).nullable(),
  usage: usage.nullable(),
  max_output_tokens: z.int().nullable(),
  max_tool_calls: z.int().nullable(),
  store: z.boolean(),
  background: z.boolean(),
  service_tier: z.string(),
  metadata: z.unknown(),
  safety_identifier: z.string().nullable(),
  prompt_cache_key: z.string().nullable(),
});
type Resource = z.infer<typeof resource>;

const at = { sequence_number: z.int(), output_index: z.int() };
const inPart = { ...at, item_id: z.string(), content_index: z.int() };
/** Events of a stream, each with all its members. */
const event = z.discriminatedUnion('type', [
  z.object({
    type: z.enum([
      'response.created',
      'response.in_progress',
      'response.completed',
      'response.incomplete',
      'response.failed',
    ]),
    sequence_number: z.int(),
    response: resource,
  }),
  z.object({ type: z.literal('response.output_item.added'), ...at, item }),
  z.object({ type: z.literal('response.output_item.done'), ...at, item }),
  z.object({ type: z.literal('response.content_part.added'), ...inPart, part: outputText }),
  z.object({ type: z.literal('response.content_part.done'), ...inPart, part: outputText }),
  z.object({
    type: z.literal('response.output_text.delta'),
    ...inPart,
    delta: z.string(),
    logprobs: z.array(z.unknown()),
  }),
  z.object({
    type: z.literal('response.output_text.done'),
    ...inPart,
    text: z.string(),
    logprobs: z.array(z.unknown()),
  }),
  z.object({
    type: z.literal('response.function_call_arguments.delta'),
    ...at,
    item_id: z.string(),
    delta: z.string(),
  }),
  z.object({
    type: z.literal('response.function_call_arguments.done'),
    ...at,
    item_id: z.string(),
    arguments: z.string(),
  }),
]);
type Event = z.infer<typeof event>;

const weather = {
  type: 'function',
  name: 'get_weather',
  description: 'Get the current weather for a location',
  parameters: {
    type: 'object',
    properties: { location: { type: 'string' } },
    required: ['location'],
  },
};
const png =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const says = (role: string, content: unknown) => ({ type: 'message', role, content });

const answers = {
  text: [{ kind: 'text', text: 'Hello to you.' }],
  call: [
    { kind: 'tool-call', id: 'call_1', name: 'get_weather', arguments: '{"location":"Oslo"}' },
  ],
} as const;

interface Case {
  readonly id: string;
  readonly stream: boolean;
  readonly request: Readonly<Record<string, unknown>>;
  readonly answer: keyof typeof answers;
}

const hello: Case = {
  id: 'basic-response',
  stream: false,
  request: { input: [says('user', 'Say hello in exactly 3 words.')] },
  answer: 'text',
};
const call: Case = {
  id: 'tool-calling',
  stream: false,
  request: { input: [says('user', 'What is the weather like in Oslo?')], tools: [weather] },
  answer: 'call',
};
const cases: readonly Case[] = [
  hello,
  { ...hello, id: 'streaming-response', stream: true },
  {
    ...hello,
    id: 'system-prompt',
    request: { input: [says('system', 'You are a pirate.'), says('user', 'Say hello.')] },
  },
  call,
  { ...call, id: 'tool-calling-streaming', stream: true },
  {
    ...hello,
    id: 'image-input',
    request: {
      input: [
        says('user', [
          { type: 'input_text', text: 'What do you see?' },
          { type: 'input_image', image_url: png },
        ]),
      ],
    },
  },
  {
    ...hello,
    id: 'multi-turn',
    request: {
      input: [
        says('user', 'My name is Alice.'),
        says('assistant', 'Hello Alice!'),
        says('user', 'What is my name?'),
      ],
    },
  },
  {
    ...hello,
    id: 'multi-turn by replay of a tool call',
    request: {
      tools: [weather],
      input: [
        says('user', 'Weather?'),
        { type: 'function_call', call_id: 'c1', name: 'get_weather', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'rain' },
      ],
    },
  },
];

function script(dialectName: DialectName, { answer, stream }: Case): void {
  const completion: Completion = {
    id: 'up-1',
    model: 'up-2026',
    content: answers[answer],
    stop: answer === 'call' ? 'tool-calls' : 'end',
    created: 1_700_000_000,
    usage: { input: 9, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0, output: 4, reasoning: 0 },
  };
  const written = writtenAnswer(dialectName, completion, stream);
  if (dialectName.startsWith('bedrock')) bedrock.expect(written);
  else upstream.expect(asText(written));
}

async function ask(model: string, { request, stream }: Case): Promise<string> {
  const answer = await fetch(`${gateway.url}/v1/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...request, model, stream }),
  });
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  return text;
}

function eventsIn(text: string): readonly Event[] {
  const frames = text.split('\n\n').filter((frame) => frame !== '' && frame !== 'data: [DONE]');
  return frames.map((frame, index) => {
    const [, name = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? [];
    const parsed = event.parse(JSON.parse(data));
    expect(parsed.type).toBe(name);
    expect(parsed.sequence_number).toBe(index);
    return parsed;
  });
}

function expectCase({ answer }: Case, response: Resource): void {
  expect(response.status).toBe('completed');
  const [first] = response.output;
  if (answer === 'call') {
    expect(first).toMatchObject({ type: 'function_call', arguments: '{"location":"Oslo"}' });
  } else {
    expect(first).toMatchObject({ type: 'message', content: [{ text: 'Hello to you.' }] });
  }
  expect(response.usage).toMatchObject({ input_tokens: 9, output_tokens: 4, total_tokens: 13 });
}

const upstreams: readonly (readonly [string, DialectName])[] = [
  ['chat/up', 'openai-chat'],
  ['rsp/up', 'openai-responses'],
  ['ant/up', 'anthropic-messages'],
  ['aws/up', 'bedrock-converse'],
];

describe.each(upstreams)('over %s', (model, dialect) => {
  test.each(cases.filter(({ stream }) => !stream))('$id', async (each) => {
    script(dialect, each);
    expectCase(each, resource.parse(JSON.parse(await ask(model, each))));
  });

  test.each(cases.filter(({ stream }) => stream))('$id', async (each) => {
    script(dialect, each);
    const events = eventsIn(await ask(model, each));
    const types = events.map(({ type }) => type);
    const inner =
      each.answer === 'call' ? 'response.function_call_arguments' : 'response.output_text';
    for (const type of [
      'response.created',
      'response.output_item.added',
      `${inner}.delta`,
      `${inner}.done`,
      'response.output_item.done',
    ]) {
      expect(types).toContain(type);
    }
    const last = events.at(-1);
    if (last?.type !== 'response.completed') throw new Error(`it ends with ${last?.type}`);
    expectCase(each, last.response);
  });
});
