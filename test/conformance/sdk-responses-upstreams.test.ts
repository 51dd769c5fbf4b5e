import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sse, typedFrames } from '../fakes/scripted-upstream.ts';
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

describe('Responses in, Anthropic out', () => {
  const start = {
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-x',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 9, output_tokens: 1 },
    },
  };
  const open = (index: number, content_block: object) => ({
    type: 'content_block_start',
    index,
    content_block,
  });
  const delta = (index: number, members: object) => ({
    type: 'content_block_delta',
    index,
    delta: members,
  });
  const stop = (index: number) => ({ type: 'content_block_stop', index });

  test('signed thinking streams as reasoning and comes back to its signer unchanged', async () => {
    upstream.expect({
      headers: sse,
      pieces: [
        typedFrames(
          start,
          open(0, { type: 'thinking', thinking: '', signature: '' }),
          delta(0, { type: 'thinking_delta', thinking: 'Both ' }),
          delta(0, { type: 'thinking_delta', thinking: 'cities.' }),
          delta(0, { type: 'signature_delta', signature: 'c2lnbmVk' }),
          stop(0),
          open(1, { type: 'redacted_thinking', data: 'b3BhcXVl' }),
          stop(1),
          open(2, { type: 'text', text: '' }),
          delta(2, { type: 'text_delta', text: 'Looking.' }),
          stop(2),
          open(3, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }),
          delta(3, { type: 'input_json_delta', partial_json: '{"city": "Oslo"}' }),
          stop(3),
          {
            type: 'message_delta',
            delta: { stop_reason: 'tool_use', stop_sequence: null },
            usage: { output_tokens: 20 },
          },
          { type: 'message_stop' },
        ),
      ],
    });
    const stream = client.responses.stream({
      model: 'ant/claude-x',
      instructions: 'Be brief.',
      input: 'Weather?',
      tools: [{ ...weather, strict: false }],
      tool_choice: 'required',
      reasoning: { effort: 'high' },
    });
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    stream.on('event', (event) => events.push(event));
    const final = await stream.finalResponse();
    expect(last().url).toBe('/v1/messages');
    expect(sent()).toMatchObject({
      model: 'claude-x',
      max_tokens: 8192,
      system: 'Be brief.',
      messages: [{ role: 'user', content: 'Weather?' }],
      tools: [{ name: 'weather', input_schema: weather.parameters }],
      tool_choice: { type: 'any' },
      thinking: { type: 'adaptive' },
      output_config: { effort: 'high' },
      stream: true,
    });
    expectWellFormed(events);
    expect(final.output.map((item) => item.type)).toEqual([
      'reasoning',
      'reasoning',
      'message',
      'function_call',
    ]);
    expect(final.usage).toMatchObject({ input_tokens: 9, output_tokens: 20 });

    upstream.expect({
      pieces: [
        JSON.stringify({
          ...start.message,
          content: [{ type: 'text', text: 'Rain.' }],
          stop_reason: 'end_turn',
        }),
      ],
    });
    const second = await client.responses.create({
      model: 'ant/claude-x',
      input: [
        { role: 'user', content: 'Weather?' },
        ...(final.output as OpenAI.Responses.ResponseInputItem[]),
        { type: 'function_call_output', call_id: 'toolu_1', output: 'rain' },
      ],
      tools: [weather],
    });
    expect((sent() as { messages: unknown[] }).messages).toEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Both cities.', signature: 'c2lnbmVk' },
          { type: 'redacted_thinking', data: 'b3BhcXVl' },
          { type: 'text', text: 'Looking.' },
          { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Oslo' } },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'rain' }],
      },
    ]);
    expect(second.output_text).toBe('Rain.');
  });

  test('reasoning that OpenAI sealed is left out for another provider', async () => {
    upstream.expect({
      pieces: [
        JSON.stringify({
          ...start.message,
          content: [{ type: 'text', text: 'ok' }],
          stop_reason: 'end_turn',
        }),
      ],
    });
    await client.responses.create({
      model: 'ant/claude-x',
      input: [
        { role: 'user', content: 'a' },
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA' },
        { role: 'assistant', content: 'b' },
        { role: 'user', content: 'c' },
      ],
    });
    expect((sent() as { messages: unknown[] }).messages).toEqual([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ]);
  });
});

describe('Responses in, Responses out', () => {
  const native = (members: object) => ({
    id: 'resp_1',
    object: 'response',
    created_at: 1_700_000_000,
    model: 'gpt-5-x',
    status: 'completed',
    error: null,
    incomplete_details: null,
    output: [],
    usage: null,
    ...members,
  });
  const usage = {
    input_tokens: 8,
    input_tokens_details: { cached_tokens: 3 },
    output_tokens: 6,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 14,
  };
  const message = (text: string, status = 'completed') => ({
    type: 'message',
    id: 'msg_1',
    role: 'assistant',
    status,
    content: [{ type: 'output_text', text, annotations: [], logprobs: [] }],
  });

  test('a request with state and server tools passes through with the model and the cap alone changed', async () => {
    upstream.expect({ pieces: [JSON.stringify(native({ output: [message('Hi')], x: { y: 1 } }))] });
    const response = await client.responses.create({
      model: 'rsp/gpt-5-x',
      input: 'hi',
      previous_response_id: 'resp_0',
      store: true,
      tools: [{ type: 'web_search' }],
    });
    expect(last().url).toBe('/v1/responses');
    expect(last().body).toBe(
      '{"model":"gpt-5-x","input":"hi","previous_response_id":"resp_0","store":true,"tools":[{"type":"web_search"}],"max_output_tokens":4096}',
    );
    expect(response.output_text).toBe('Hi');
    expect(JSON.stringify(response)).toContain('"x":{"y":1}');
  });

  const item = { output_index: 0, item_id: 'msg_1', content_index: 0 };
  const streamed = () => [
    { type: 'response.created', sequence_number: 0, response: native({ status: 'in_progress' }) },
    {
      type: 'response.output_item.added',
      sequence_number: 1,
      output_index: 0,
      item: { ...message('', 'in_progress'), content: [] },
    },
    {
      type: 'response.content_part.added',
      sequence_number: 2,
      ...item,
      part: { type: 'output_text', text: '', annotations: [] },
    },
    { type: 'response.output_text.delta', sequence_number: 3, ...item, delta: 'Hel' },
    { type: 'response.brand_new_event', sequence_number: 4 },
    { type: 'response.output_text.delta', sequence_number: 5, ...item, delta: 'lo' },
    {
      type: 'response.output_item.done',
      sequence_number: 6,
      output_index: 0,
      item: message('Hello'),
    },
    {
      type: 'response.completed',
      sequence_number: 7,
      response: native({ output: [message('Hello')], usage }),
    },
  ];

  test('a stream passes through event by event and is metered', async () => {
    upstream.expect({ headers: sse, pieces: [typedFrames(...streamed())] });
    const events = await eventsOf(
      await client.responses.create({ model: 'rsp/gpt-5-x', input: 'hi', stream: true }),
    );
    expect(events).toEqual(streamed());
    await gateway.logged(
      (line) =>
        line['model'] === 'rsp/gpt-5-x' &&
        line['input_tokens'] === 8 &&
        line['output_tokens'] === 6,
    );
  });

  test('a failed response of the upstream is an error, and its words stay there', async () => {
    const failed = {
      type: 'response.failed',
      sequence_number: 4,
      response: native({
        status: 'failed',
        error: { code: 'server_error', message: 'trace of db-7' },
      }),
    };
    upstream.expect({ headers: sse, pieces: [typedFrames(...streamed().slice(0, 4), failed)] });
    const raw = await client.responses
      .create({ model: 'rsp/gpt-5-x', input: 'hi', stream: true })
      .asResponse();
    const text = await raw.text();
    expect(text).not.toContain('db-7');
    const tail = text.split('\n\n').slice(-3, -1);
    expect(tail[0]).toContain('event: error\ndata: {"type":"error","sequence_number":4,');
    expect(tail[1]).toContain('event: response.failed\n');
    expect(tail[1]).toContain('"id":"resp_1"');
    upstream.expect({ pieces: [JSON.stringify(failed.response)] });
    const chat = client.chat.completions.create({
      model: 'rsp/gpt-5-x',
      messages: [{ role: 'user', content: 'hi' }],
    });
    await expect(chat).rejects.toMatchObject({ status: 502 });
  });

  test('a chat client gets a stream of a Responses server, with nothing stored there', async () => {
    upstream.expect({ headers: sse, pieces: [typedFrames(...streamed())] });
    const stream = await client.chat.completions.create({
      model: 'rsp/gpt-5-x',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hi' },
      ],
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let total = 0;
    for await (const each of stream) {
      text += each.choices[0]?.delta.content ?? '';
      total = each.usage?.total_tokens ?? total;
    }
    expect(text).toBe('Hello');
    expect(total).toBe(14);
    expect(sent()).toEqual({
      model: 'gpt-5-x',
      instructions: 'Be brief.',
      input: [{ type: 'message', role: 'user', content: 'hi' }],
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: false }],
      max_output_tokens: 4096,
      stream: true,
      store: false,
      include: ['reasoning.encrypted_content'],
    });
  });
});
