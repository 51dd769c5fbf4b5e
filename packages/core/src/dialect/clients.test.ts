import Anthropic, { APIError as AnthropicError } from '@anthropic-ai/sdk';
import OpenAI, { APIError as OpenAiError } from 'openai';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../base/index.ts';
import { refusal } from '../errors/index.ts';
import type { AnswerContext, Dialect, WireAnswer } from './dialect.ts';
import { unfold } from './fold.ts';
import type { Completion, StreamEvent } from './model.ts';
import { dialectNamed } from './table.ts';

/** What the vendors' own client libraries make of what we write. */

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_000,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};

const completion: Completion = {
  id: 'id-1',
  model: 'served',
  content: [
    { kind: 'thinking', text: 'Hm.', signature: 'c2ln' },
    { kind: 'text', text: 'Reading both.' },
    { kind: 'tool-call', id: 'call_a', name: 'read', arguments: '{"path":"a"}' },
    { kind: 'tool-call', id: 'call_b', name: 'now', arguments: '{}' },
  ],
  stop: 'tool-calls',
  usage: { input: 4, cacheRead: 60, cacheWrite: 0, cacheWriteHour: 0, output: 20, reasoning: 5 },
};

/** The deltas of both tool calls in turns, as a chat server may send them. */
function interleaved(): readonly StreamEvent[] {
  const events = unfold(completion);
  const isTool = (event: StreamEvent): boolean => 'index' in event && event.index >= 2;
  const tools = events.filter(isTool);
  const byKind = (kind: string) => tools.filter((event) => event.kind === kind);
  const at = events.findIndex(isTool);
  return [
    ...events.slice(0, at),
    ...byKind('block-start'),
    ...byKind('block-delta').toReversed(),
    ...byKind('block-stop').toReversed(),
    ...events.slice(at + tools.length),
  ];
}

function streamed(dialect: Dialect, events: readonly StreamEvent[]): Uint8Array {
  const encoder = dialect.streamEncoder(context);
  const pieces = events.map((event) => encoder.encode(event));
  return concatBytes(...pieces.flatMap((piece) => [dialect.heartbeat, piece]));
}

/** A transport that answers every call with the same bytes, in pieces that split frames. */
function answering(status: number, headers: Record<string, string>, body: Uint8Array) {
  const calls: string[] = [];
  const fetch = async (input: string | URL | Request): Promise<Response> => {
    calls.push(input instanceof Request ? input.url : String(input));
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < body.length; at += 7) controller.enqueue(body.slice(at, at + 7));
        controller.close();
      },
    });
    return new Response(pieces, { status, headers });
  };
  return { fetch, calls };
}

const sse = { 'content-type': 'text/event-stream' };

function refusing(wire: WireAnswer) {
  return answering(wire.status, { ...wire.headers, 'content-type': wire.contentType }, wire.body);
}

describe('the openai library', () => {
  const dialect = dialectNamed('openai-chat');
  const client = (fetch: typeof globalThis.fetch) =>
    new OpenAI({ apiKey: 'x', baseURL: 'http://gateway.test/v1', fetch });
  const request = { model: 'm', messages: [{ role: 'user' as const, content: 'x' }] };

  test('puts a stream with parallel tool calls together', async () => {
    const { fetch } = answering(200, sse, streamed(dialect, interleaved()));
    const stream = client(fetch).chat.completions.stream({
      ...request,
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls).toMatchObject([
      { id: 'call_a', function: { name: 'read', arguments: '{"path":"a"}' } },
      { id: 'call_b', function: { name: 'now', arguments: '{}' } },
    ]);
    expect(final.choices[0]?.message.content).toBe('Reading both.');
    expect(final.choices[0]?.finish_reason).toBe('tool_calls');
    expect(final.usage).toMatchObject({ prompt_tokens: 64, completion_tokens: 20 });
    expect(final.created).toBe(1_700_000_000);
  });

  test('throws on an error inside a stream, after what was delivered', async () => {
    const body = concatBytes(
      streamed(dialect, unfold(completion).slice(0, 7)),
      dialect.encodeStreamRefusal(refusal('upstream_error', 'It failed.'), 'req_1'),
    );
    const stream = await client(answering(200, sse, body).fetch).chat.completions.create({
      ...request,
      stream: true,
    });
    let text = '';
    const read = async (): Promise<void> => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    };
    await expect(read()).rejects.toThrow('It failed.');
    expect(text).toBe('Reading both.');
  });

  test('knows a refusal by class, code and request id, and does not try again what has to wait an hour', async () => {
    const { fetch, calls } = refusing(
      dialect.encodeRefusal(refusal('rate_limited', 'Slow.', { retryAfterMs: 3_600_000 }), 'req_7'),
    );
    const failure = await client(fetch)
      .chat.completions.create(request)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OpenAiError);
    expect(failure).toMatchObject({ status: 429, code: 'rate_limit_exceeded', requestID: 'req_7' });
    expect(calls.length).toBe(1);
  });

  test('reads a stream of the completions route', async () => {
    const older = dialectNamed('openai-completions');
    const { fetch } = answering(200, sse, streamed(older, unfold({ ...completion, stop: 'end' })));
    const stream = await client(fetch).completions.create({
      model: 'm',
      prompt: 'x',
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? '';
    expect(text).toBe('Reading both.');
  });
});

describe('the anthropic library', () => {
  const dialect = dialectNamed('anthropic-messages');
  const client = (fetch: typeof globalThis.fetch) =>
    new Anthropic({ apiKey: 'x', baseURL: 'http://gateway.test', fetch });
  const request = {
    model: 'm',
    max_tokens: 10,
    messages: [{ role: 'user' as const, content: 'x' }],
  };

  test('puts a stream of interleaved tool calls together, block by block', async () => {
    const { fetch } = answering(200, sse, streamed(dialect, interleaved()));
    const stream = client(fetch).messages.stream(request);
    const blocks: string[] = [];
    stream.on('contentBlock', (block) => {
      blocks.push(block.type === 'tool_use' ? block.id : block.type);
    });
    const final = await stream.finalMessage();
    expect(blocks).toEqual(['thinking', 'text', 'call_a', 'call_b']);
    expect(final.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
      { type: 'text', text: 'Reading both.' },
      { type: 'tool_use', id: 'call_a', name: 'read', input: { path: 'a' } },
      { type: 'tool_use', id: 'call_b', name: 'now', input: {} },
    ]);
    expect(final.stop_reason).toBe('tool_use');
    expect(final.usage).toMatchObject({
      input_tokens: 4,
      cache_read_input_tokens: 60,
      output_tokens: 20,
    });
  });

  test('throws on an error event', async () => {
    const body = concatBytes(
      streamed(dialect, unfold(completion).slice(0, 7)),
      dialect.encodeStreamRefusal(refusal('upstream_overloaded', 'No room.'), 'req_1'),
    );
    const stream = client(answering(200, sse, body).fetch).messages.stream(request);
    await expect(stream.finalMessage()).rejects.toThrow('No room.');
  });

  test('knows a refusal by class, type and request id', async () => {
    const { fetch, calls } = refusing(
      dialect.encodeRefusal(refusal('access_denied', 'No.'), 'req_7'),
    );
    const failure = await client(fetch)
      .messages.create(request)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AnthropicError);
    expect(failure).toMatchObject({ status: 403, requestID: 'req_7', type: 'permission_error' });
    expect(calls.length).toBe(1);
  });
});
