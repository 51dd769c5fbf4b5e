import { describe, expect, test } from 'vitest';
import { EventStreamDecoder } from '../../base/event-stream/index.ts';
import type { JsonObject } from '../../base/index.ts';
import {
  concatBytes,
  fromBase64,
  jsonObjectOf,
  toBase64,
  utf8,
  utf8Text,
} from '../../base/index.ts';
import { refusal } from '../../errors/index.ts';
import { eventFrame, exceptionFrame } from '../bedrock-converse/frames.ts';
import type { AnswerContext } from '../dialect.ts';
import { fold } from '../fold.ts';
import type { DialectName, StreamEvent } from '../model.ts';
import { dialectNamed } from '../table.ts';

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 0,
  receivedAtMs: 0,
  model: 'asked',
  streamUsage: true,
};

const invoke = dialectNamed('bedrock-invoke');
const model = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const objectOf = (value: unknown): JsonObject => jsonObjectOf(JSON.stringify(value)) ?? {};

function translated(from: DialectName, to: DialectName, body: unknown): JsonObject {
  const decoded = dialectNamed(from).decodeRequest(objectOf(body), { model, stream: true });
  if (!decoded.ok) throw new Error(`${decoded.error.code} ${decoded.error.param}`);
  const encoded = dialectNamed(to).encodeRequest(decoded.value, {
    model: 'up',
    maxOutputTokens: 64,
  });
  if (!encoded.ok) throw new Error(`${encoded.error.code} ${encoded.error.param}`);
  return encoded.value;
}

const signed = {
  role: 'assistant',
  content: [
    { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
    { type: 'redacted_thinking', data: 'cmVk' },
    { type: 'tool_use', id: 'toolu_1', name: 'read', input: {} },
    { type: 'server_tool_use', id: 'srv_1', name: 'web_search', input: {} },
  ],
};
const results = {
  role: 'user',
  content: [
    {
      type: 'tool_result',
      tool_use_id: 'toolu_1',
      content: 'A',
      cache_control: { type: 'ephemeral' },
    },
  ],
};
const said = { max_tokens: 10, messages: [{ role: 'user', content: 'x' }, signed, results] };

describe('requests', () => {
  test('model and streaming come from the path, the rest is a Messages body', () => {
    expect(invoke.upstreamPath(model, false)).toBe(
      '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke',
    );
    const streamed = invoke.upstreamPath(model, true);
    expect(streamed.endsWith('/invoke-with-response-stream')).toBe(true);
    expect(invoke.readPath?.(streamed)).toEqual({ model, stream: true });
    expect(invoke.readPath?.('/model/x/converse')).toBe(undefined);
    const body = {
      ...said,
      anthropic_version: 'bedrock-2023-05-31',
      anthropic_beta: ['b-1'],
      model: 'other',
    };
    const decoded = invoke.decodeRequest(objectOf(body), { model, stream: true });
    expect(decoded.ok && decoded.value).toMatchObject({
      model,
      stream: true,
      maxOutputTokens: 10,
      betas: ['b-1'],
      extensions: { dialect: 'bedrock-invoke', fields: {} },
    });
    const bare = invoke.decodeRequest(objectOf(body));
    expect(bare.ok && [bare.value.model, bare.value.stream]).toEqual([undefined, false]);
  });

  test('between the two servers of one body nothing is lost but the model and the betas', () => {
    const { messages } = said;
    expect(translated('anthropic-messages', 'bedrock-invoke', { ...said, model: 'm' })).toEqual({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 10,
      messages,
    });
    const body = {
      ...said,
      anthropic_version: 'bedrock-2023-05-31',
      anthropic_beta: ['b'],
      container: 'c',
    };
    expect(translated('bedrock-invoke', 'anthropic-messages', body)).toEqual({
      model: 'up',
      max_tokens: 10,
      messages,
      stream: true,
      container: 'c',
    });
  });

  test('instructions between the turns join the system prompt; files by address are refused', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'system', content: 'in French' },
      { role: 'user', content: 'b' },
    ];
    expect(
      translated('anthropic-messages', 'bedrock-invoke', { messages, max_tokens: 1 }),
    ).toMatchObject({
      system: 'in French',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
    });
    const image = { type: 'image_url', image_url: { url: 'https://a.test/x.png' } };
    expect(() =>
      translated('openai-chat', 'bedrock-invoke', {
        messages: [{ role: 'user', content: [image] }],
      }),
    ).toThrow('unsupported_parameter messages.0.content.0');
  });

  test('what passes through gets a cap where it has none, and is else not touched', () => {
    const patched = (text: string, maxOutputTokens?: number) => {
      const result = invoke.patchRequest(text, { model: 'up', maxOutputTokens });
      return result.ok ? result.value : result.error.message;
    };
    const text = '{ "anthropic_version":"x", "max_tokens": 5, "messages":[ ] }';
    expect(patched(text, 9)).toBe(text);
    expect(patched(text)).toBe(text);
    const bare = '{"anthropic_version":"x","messages":[ ]}';
    expect(patched(bare, 9)).toBe(`${bare.slice(0, -1)},"max_tokens":9}`);
    expect(patched('{"messages":[ ]}')).toBe('{"messages":[ ]}');
  });
});

const chunk = (event: object) =>
  eventFrame('chunk', { bytes: toBase64(utf8(JSON.stringify(event))), p: 'abcdef' });
const delta = (index: number, body: object) =>
  chunk({ type: 'content_block_delta', index, delta: body });

const worst: readonly Uint8Array[] = [
  chunk({
    type: 'message_start',
    message: {
      id: 'msg_bdrk_1',
      model: 'claude',
      usage: { input_tokens: 9, cache_read_input_tokens: 4, output_tokens: 1 },
    },
  }),
  chunk({
    type: 'content_block_start',
    index: 0,
    content_block: { type: 'thinking', thinking: '' },
  }),
  delta(0, { type: 'thinking_delta', thinking: 'Hm.' }),
  delta(0, { type: 'signature_delta', signature: 'c2ln' }),
  chunk({ type: 'content_block_stop', index: 0 }),
  chunk({
    type: 'content_block_start',
    index: 1,
    content_block: { type: 'tool_use', id: 'toolu_1', name: 'é', input: {} },
  }),
  delta(1, { type: 'input_json_delta', partial_json: '{"a":' }),
  delta(1, { type: 'input_json_delta', partial_json: '1}' }),
  chunk({ type: 'content_block_stop', index: 1 }),
  chunk({
    type: 'message_delta',
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: 12 },
  }),
  chunk({ type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 9 } }),
];

function read(pieces: readonly Uint8Array[]) {
  const decoder = invoke.streamDecoder();
  const events: StreamEvent[] = [];
  for (const piece of [...pieces, undefined]) {
    const some = piece === undefined ? decoder.finish() : decoder.push(piece);
    if (!some.ok) return { events, refusal: some.error };
    events.push(...some.value);
  }
  return { events, refusal: undefined };
}

describe('streams', () => {
  test('chunks hold the events of a Messages stream', () => {
    const bytes = concatBytes(...worst);
    for (const size of [1, 7, bytes.length]) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      const folded = fold(read(pieces).events);
      expect(folded.ok && folded.value).toEqual({
        id: 'msg_bdrk_1',
        model: 'claude',
        content: [
          { kind: 'thinking', text: 'Hm.', signature: 'c2ln' },
          { kind: 'tool-call', id: 'toolu_1', name: 'é', arguments: '{"a":1}' },
        ],
        stop: 'tool-calls',
        usage: {
          input: 9,
          cacheRead: 4,
          cacheWrite: 0,
          cacheWriteHour: 0,
          output: 12,
          reasoning: 0,
        },
      });
    }
  });

  test('what is written are the events of a Messages stream in chunks', () => {
    const events = read(worst).events;
    const encoder = invoke.streamEncoder(context);
    const out = concatBytes(...events.map((event) => encoder.encode(event)));
    const texts = new EventStreamDecoder().push(out).messages.map(({ headers, payload }) => {
      expect(headers.get(':event-type')?.value).toBe('chunk');
      expect(headers.get(':message-type')?.value).toBe('event');
      const held = jsonObjectOf(utf8Text(payload) ?? '')?.['bytes'];
      return utf8Text(fromBase64(typeof held === 'string' ? held : '') ?? utf8('')) ?? '';
    });
    const messages = dialectNamed('anthropic-messages').streamEncoder(context);
    const sse = utf8Text(concatBytes(...events.map((event) => messages.encode(event)))) ?? '';
    expect(texts).toEqual([...sse.matchAll(/^data: (.*)$/gm)].map((line) => line[1]));
  });

  test('an exception after the first tool delta is an error, as is an error event in a chunk', () => {
    const errors = [
      exceptionFrame('throttlingException', 'x'),
      chunk({ type: 'error', error: { type: 'rate_limit_error', message: 'x' } }),
    ];
    for (const error of errors) {
      const pieces = [...worst.slice(0, 7), error, ...worst.slice(7)];
      const got = read([concatBytes(...pieces)]);
      expect(got.refusal?.code).toBe('upstream_rate_limited');
      expect(got.events.some((event) => event.kind === 'finish')).toBe(false);
      const watcher = invoke.streamWatcher(context);
      const passed = watcher.push(concatBytes(...pieces));
      expect(passed.ok && passed.value).toEqual(concatBytes(...worst.slice(0, 7)));
      expect(watcher.finish().ok).toBe(false);
    }
    const written = invoke.encodeStreamRefusal(refusal('upstream_overloaded', 'Full.'), 'r');
    const [message] = new EventStreamDecoder().push(written).messages;
    expect(message?.headers.get(':exception-type')?.value).toBe('serviceUnavailableException');
  });

  test('chunks that are no events are a breach, and new kinds of messages are not', () => {
    const bad = [
      eventFrame('chunk', {}),
      eventFrame('chunk', { bytes: '!' }),
      eventFrame('chunk', { bytes: toBase64(utf8('[]')) }),
      eventFrame('chunk', { bytes: toBase64(Uint8Array.of(0xff)) }),
    ];
    for (const piece of bad) expect(read([piece]).refusal?.code).toBe('upstream_error');
    const more = [eventFrame('brandNew', {}), ...worst];
    expect(read(more).refusal).toBe(undefined);
  });

  test('every byte of a stream that is flipped ends it as an error', () => {
    const bytes = concatBytes(...worst);
    for (let place = 0; place < bytes.length; place += 1) {
      const bad = bytes.slice();
      bad[place] = (bad[place] ?? 0) ^ 0x01;
      if (read([bad]).refusal?.code !== 'upstream_error') expect(place).toBe('refused');
    }
  });

  test('a stream that passes through is metered and not touched', () => {
    const watcher = invoke.streamWatcher(context);
    const out = watcher.push(concatBytes(...worst));
    expect(out.ok && out.value).toEqual(concatBytes(...worst));
    expect(watcher.finish().ok).toBe(true);
    expect(watcher.usage()).toMatchObject({ input: 9, cacheRead: 4, output: 12 });
    expect(watcher.deliveredChars()).toBe('Hm.é{"a":1}'.length);
  });
});

describe('bodies of other vendors', () => {
  const llama = '{"prompt":"hi", "max_gen_len":7,"temperature":0.50}';
  const path = { model: 'meta.llama3', stream: false };

  test('pass unread, with the cap that they name', () => {
    const decoded = invoke.decodeRequest(objectOf(JSON.parse(llama)), path);
    if (!decoded.ok) throw new Error(decoded.error.message);
    expect(decoded.value).toMatchObject({ model: 'meta.llama3', maxOutputTokens: 7 });
    expect(invoke.patchRequest(llama, { model: 'm', maxOutputTokens: 9 })).toEqual({
      ok: true,
      value: llama,
    });
    const elsewhere = dialectNamed('openai-chat').encodeRequest(decoded.value, {
      model: 'm',
      maxOutputTokens: 9,
    });
    expect(elsewhere).toMatchObject({
      ok: false,
      error: { code: 'unsupported_parameter', param: 'anthropic_version' },
    });
  });

  test('have the largest of several caps: which one counts only their model knows', () => {
    const body = { prompt: 'hi', max_tokens: 1, max_gen_len: 2_048 };
    expect(invoke.decodeRequest(body, path)).toMatchObject({ value: { maxOutputTokens: 2_048 } });
  });

  test.each([
    [{ prompt_token_count: 3, generation_token_count: 4 }],
    [{ inputTextTokenCount: 3, results: [{ tokenCount: 4, outputText: 'a' }] }],
    [{ usage: { inputTokens: 3, outputTokens: 4 } }],
    [{ usage: { prompt_tokens: 3, completion_tokens: 4 } }],
  ])('say what they cost: %j', (body) => {
    expect(invoke.usageOfAnswer(objectOf(body))).toMatchObject({ input: 3, output: 4 });
  });
});

test.each([
  ['x-amzn-bedrock-service-tier', 'priority', true],
  ['x-amzn-bedrock-performanceconfig-latency', 'Optimized', true],
  ['x-amzn-bedrock-service-tier', 'flex', undefined],
  ['x-amzn-bedrock-performanceconfig-latency', 'standard', undefined],
])('the header %s: %s asks for what costs more: %s', (name, value, isHasty) => {
  const path = { model: 'm', stream: false };
  const messages = [{ role: 'user', content: 'hi' }];
  const bodies = [
    { anthropic_version: 'bedrock-2023-05-31', max_tokens: 1, messages },
    { prompt: 'hi', max_gen_len: 7 },
  ];
  for (const body of bodies) {
    const decoded = invoke.decodeRequest(body, path, (each) => (each === name ? value : undefined));
    if (!decoded.ok) throw new Error(decoded.error.message);
    expect(decoded.value.isHasty).toBe(isHasty);
  }
});
