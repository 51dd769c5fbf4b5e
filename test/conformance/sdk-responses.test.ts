import type OpenAI from 'openai';
import { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataFrames, sse } from '../fakes/scripted-upstream.ts';
import {
  eventsOf,
  expectWellFormed,
  startResponses,
  weather,
  type ResponsesFixture,
} from './responses-fixture.ts';

let upstream: ResponsesFixture['upstream'];
let gateway: ResponsesFixture['gateway'];
let client: OpenAI;
let fixture: ResponsesFixture;

beforeAll(async () => {
  fixture = await startResponses();
  ({ upstream, gateway, client } = fixture);
});
afterAll(() => fixture.stop());

const last = () => fixture.last();
const sent = () => fixture.sent();

const chunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_700_000_000,
  model: 'gpt-x-2026',
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const chatUsage = {
  prompt_tokens: 12,
  completion_tokens: 4,
  total_tokens: 16,
  prompt_tokens_details: { cached_tokens: 5 },
  completion_tokens_details: { reasoning_tokens: 2 },
};
const chatAnswer = (message: object, finish = 'stop') =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'gpt-x-2026',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
    usage: chatUsage,
  });

describe('Responses in, chat out', () => {
  test('instructions, a text and settings become one chat request, and the answer a response', async () => {
    upstream.expect({ pieces: [chatAnswer({ content: 'Hello.', reasoning_content: 'Hm.' })] });
    const response = await client.responses.create({
      model: 'oai/gpt-x',
      instructions: 'Be brief.',
      input: 'hi',
      max_output_tokens: 50,
      temperature: 0.5,
      reasoning: { effort: 'low', summary: 'auto' },
      text: {
        format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true },
        verbosity: 'low',
      },
      metadata: { team: 'a' },
      include: ['reasoning.encrypted_content'],
      store: false,
      user: 'u-1',
    });
    expect(last().url).toBe('/v1/chat/completions');
    expect(sent()).toEqual({
      model: 'gpt-x',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hi' },
      ],
      max_tokens: 50,
      temperature: 0.5,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', schema: { type: 'object' }, strict: true },
      },
      reasoning_effort: 'low',
      user: 'u-1',
    });
    expect(response.output_text).toBe('Hello.');
    expect(response.output).toMatchObject([
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
      {
        type: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'Hello.', annotations: [] }],
      },
    ]);
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      created_at: 1_700_000_000,
      model: 'gpt-x-2026',
      error: null,
      incomplete_details: null,
      metadata: { team: 'a' },
      max_output_tokens: 50,
      temperature: 0.5,
      store: false,
      background: false,
      text: { format: { type: 'json_schema', name: 'n' } },
      usage: {
        input_tokens: 12,
        input_tokens_details: { cached_tokens: 5 },
        output_tokens: 4,
        output_tokens_details: { reasoning_tokens: 2 },
        total_tokens: 16,
      },
    });
  });

  test('an agent goes on by sending back what it got', async () => {
    upstream.expect(
      {
        pieces: [
          chatAnswer(
            {
              content: 'Looking.',
              tool_calls: [
                {
                  id: 'call_a',
                  type: 'function',
                  function: { name: 'weather', arguments: '{"city":"Oslo"}' },
                },
                { id: 'call_b', type: 'function', function: { name: 'weather', arguments: '' } },
              ],
            },
            'tool_calls',
          ),
        ],
      },
      { pieces: [chatAnswer({ content: 'Rain in Oslo.' })] },
    );
    const question: OpenAI.Responses.ResponseInputItem[] = [
      { role: 'developer', content: 'Be exact.' },
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'Weather?' },
          {
            type: 'input_image',
            detail: 'low',
            image_url: 'data:image/png;base64,iVBORw0KGgo=',
          },
        ],
      },
    ];
    const request = {
      model: 'oai/gpt-x',
      tools: [weather],
      tool_choice: 'auto' as const,
      parallel_tool_calls: true,
    };
    const first = await client.responses.create({ ...request, input: question });
    expect(sent()).toMatchObject({
      messages: [
        { role: 'system', content: 'Be exact.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Weather?' },
            {
              type: 'image_url',
              image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' },
            },
          ],
        },
      ],
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'Weather of a city',
            parameters: weather.parameters,
          },
        },
      ],
      tool_choice: 'auto',
      parallel_tool_calls: true,
    });
    expect(first.status).toBe('completed');
    expect(first.output).toMatchObject([
      { type: 'message', content: [{ text: 'Looking.' }] },
      {
        type: 'function_call',
        call_id: 'call_a',
        name: 'weather',
        arguments: '{"city":"Oslo"}',
        status: 'completed',
      },
      { type: 'function_call', call_id: 'call_b', arguments: '{}' },
    ]);
    // An output item is an input item: this is what every agent does.
    const replay = first.output as OpenAI.Responses.ResponseInputItem[];
    const second = await client.responses.create({
      ...request,
      input: [
        ...question,
        ...replay,
        { type: 'function_call_output', call_id: 'call_a', output: 'rain' },
        {
          type: 'function_call_output',
          call_id: 'call_b',
          output: [{ type: 'input_text', text: 'sun' }],
        },
      ],
    });
    expect((sent() as { messages: unknown[] }).messages.slice(2)).toEqual([
      {
        role: 'assistant',
        content: 'Looking.',
        tool_calls: [
          {
            id: 'call_a',
            type: 'function',
            function: { name: 'weather', arguments: '{"city":"Oslo"}' },
          },
          { id: 'call_b', type: 'function', function: { name: 'weather', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_a', content: 'rain' },
      { role: 'tool', tool_call_id: 'call_b', content: 'sun' },
    ]);
    expect(second.output_text).toBe('Rain in Oslo.');
  });

  test('a stream has reasoning, text and interleaved calls as items with their own events', async () => {
    const call = (index: number, members: object) => chunk({ tool_calls: [{ index, ...members }] });
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(
          chunk({ role: 'assistant', content: '' }),
          chunk({ reasoning_content: 'Hm' }),
          chunk({ reasoning_content: '.' }),
          chunk({ content: 'Look' }),
          chunk({ content: 'ing.' }),
          call(0, { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }),
          call(1, { id: 'call_b', type: 'function', function: { name: 'weather', arguments: '' } }),
          call(0, { function: { arguments: '{"city":' } }),
          call(1, { function: { arguments: '{"city":"Rome"}' } }),
          call(0, { function: { arguments: '"Oslo"}' } }),
          chunk({}, 'tool_calls'),
          { ...chunk({}), choices: [], usage: chatUsage },
          '[DONE]',
        ),
      ],
    });
    const stream = client.responses.stream({
      model: 'oai/gpt-x',
      input: 'Weather?',
      tools: [{ ...weather, strict: false }],
    });
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    stream.on('event', (event) => events.push(event));
    const final = await stream.finalResponse();
    expect(sent()).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    expectWellFormed(events);
    expect(events.slice(0, 5).map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.reasoning_summary_part.added',
      'response.reasoning_summary_text.delta',
    ]);
    const count = (type: string) => events.filter((event) => event.type === type).length;
    expect(count('response.output_item.added')).toBe(4);
    expect(count('response.output_item.done')).toBe(4);
    expect(count('response.content_part.added')).toBe(1);
    expect(count('response.output_text.done')).toBe(1);
    expect(count('response.function_call_arguments.done')).toBe(2);
    expect(events.at(-1)?.type).toBe('response.completed');
    expect(final.output_text).toBe('Looking.');
    expect(final.output).toMatchObject([
      { type: 'reasoning', summary: [{ text: 'Hm.' }] },
      { type: 'message', status: 'completed' },
      { type: 'function_call', call_id: 'call_a', arguments: '{"city":"Oslo"}' },
      { type: 'function_call', call_id: 'call_b', arguments: '{"city":"Rome"}' },
    ]);
    expect(final.usage).toMatchObject({ input_tokens: 12, output_tokens: 4, total_tokens: 16 });
    await gateway.logged(
      (line) => line['dialect'] === 'openai-responses' && line['output_tokens'] === 4,
    );
  });

  test('an answer that its cap cut is incomplete, whole and streamed', async () => {
    upstream.expect({ pieces: [chatAnswer({ content: 'Hel' }, 'length')] });
    const whole = await client.responses.create({ model: 'oai/gpt-x', input: 'hi' });
    expect(whole).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      completed_at: null,
      output: [{ type: 'message', status: 'incomplete' }],
    });
    expect(sent()).toMatchObject({ max_tokens: 4096 });
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chunk({ role: 'assistant', content: 'Hel' }), chunk({}, 'length'), '[DONE]'),
      ],
    });
    const events = await eventsOf(
      await client.responses.create({ model: 'oai/gpt-x', input: 'hi', stream: true }),
    );
    expectWellFormed(events);
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [{ type: 'message', status: 'incomplete', content: [{ text: 'Hel' }] }],
      },
    });
  });

  test('state and foreign tools are refused by name before anything is sent', async () => {
    const before = upstream.received.length;
    const refused = async (extra: object): Promise<unknown> =>
      client.responses
        .create({ model: 'oai/gpt-x', input: 'hi', ...extra })
        .catch((cause: unknown) => cause);
    const cases: readonly (readonly [object, string])[] = [
      [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
      [{ conversation: 'conv_1' }, 'conversation'],
      [{ store: true }, 'store'],
      [{ background: true }, 'background'],
      [{ prompt: { id: 'pmpt_1' } }, 'prompt'],
      [{ truncation: 'auto' }, 'truncation'],
      [{ tools: [{ type: 'web_search' }] }, 'tools.0'],
      [{ tool_choice: { type: 'file_search' } }, 'tool_choice'],
    ];
    for (const [extra, param] of cases) {
      expect(await refused(extra)).toMatchObject({
        status: 400,
        code: 'unsupported_parameter',
        param,
      });
      expect(await refused({ ...extra, model: 'ant/claude-x' })).toMatchObject({
        status: 400,
        code: 'unsupported_parameter',
        param,
      });
    }
    const onlyState = { model: 'ant/claude-x', input: undefined, previous_response_id: 'resp_1' };
    expect(await refused(onlyState)).toMatchObject({ param: 'previous_response_id' });
    expect(await refused({ input: 7 })).toMatchObject({ status: 400, param: 'input' });
    expect(upstream.received.length).toBe(before);
    // What says no more than the default is no request for state.
    upstream.expect({ pieces: [chatAnswer({ content: 'ok' })] });
    const plain = { store: false, background: false, truncation: 'disabled' };
    expect(await refused(plain)).toMatchObject({ status: 'completed', store: false });
  });

  test('a stream that breaks is an error event and a failed response with the right numbers', async () => {
    const broken = {
      headers: sse,
      pieces: [dataFrames(chunk({ role: 'assistant', content: 'Hel' }))],
    };
    upstream.expect(broken, broken);
    const stream = await client.responses.create({
      model: 'oai/gpt-x',
      input: 'hi',
      stream: true,
    });
    let text = '';
    const failed = await (async () => {
      for await (const event of stream) {
        if (event.type === 'response.output_text.delta') text += event.delta;
      }
    })().catch((cause: unknown) => cause);
    expect(text).toBe('Hel');
    expect(failed).toBeInstanceOf(APIError);
    expect(failed).toMatchObject({ code: 'upstream_error' });

    const raw = await client.responses
      .create({ model: 'oai/gpt-x', input: 'hi', stream: true })
      .asResponse();
    const events = (await raw.text())
      .split('\n')
      .filter((line) => line.startsWith('data: '))
      .map((line) => JSON.parse(line.slice(6)) as Record<string, unknown>);
    expect(events.map((event) => event['sequence_number'])).toEqual(
      events.map((_, index) => index),
    );
    expect(events.slice(-2)).toMatchObject([
      { type: 'error', code: 'upstream_error' },
      {
        type: 'response.failed',
        response: {
          id: 'chatcmpl-1',
          status: 'failed',
          error: { code: 'upstream_error' },
          output: [{ type: 'message', content: [{ text: 'Hel' }] }],
        },
      },
    ]);
  });

  test('errors before the stream have their status, and a caller that leaves closes the upstream', async () => {
    upstream.expect({ status: 400, pieces: ['{"error":{"message":"too hot","param":"x"}}'] });
    await expect(
      client.responses.create({ model: 'oai/gpt-x', input: 'hi', stream: true }),
    ).rejects.toMatchObject({ status: 400, message: expect.stringContaining('too hot') });
    await expect(client.responses.create({ model: 'oai/none', input: 'hi' })).rejects.toMatchObject(
      { status: 404, code: 'model_not_found' },
    );
    let release: (value: unknown) => void = () => undefined;
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chunk({ role: 'assistant', content: 'Hel' })),
        {
          wait: new Promise((resolve) => {
            release = resolve;
          }),
        },
      ],
    });
    const controller = new AbortController();
    const stream = await client.responses.create(
      { model: 'oai/gpt-x', input: 'abort me', stream: true },
      { signal: controller.signal },
    );
    const left = (async () => {
      for await (const event of stream) {
        if (event.type === 'response.output_text.delta') controller.abort();
      }
    })().catch(() => undefined);
    await last().aborted;
    release(undefined);
    await left;
    await gateway.logged(
      (line) => line['outcome'] === 'aborted' && line['dialect'] === 'openai-responses',
    );
  });
});

test('the embedded responder answers the Responses API', async () => {
  const response = await client.responses.create({
    model: 'builtin/eliza',
    input: 'Men are all alike.',
  });
  expect(response.output_text).toBe('In what way?');
  const stream = client.responses.stream({ model: 'builtin/eliza', input: 'Men are all alike.' });
  expect((await stream.finalResponse()).output_text).toBe('In what way?');
});
