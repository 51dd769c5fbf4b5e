import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../base/index.ts';
import { concatBytes, jsonObjectOf, utf8, utf8Text } from '../../base/index.ts';
import { EventStreamDecoder, encodeEventMessage } from '../../base/event-stream/index.ts';
import type { HeaderValue } from '../../base/event-stream/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { fold } from '../fold.ts';
import type { DialectName, StreamEvent } from '../model.ts';
import { dialectNamed } from '../table.ts';
import { eventFrame, exceptionFrame } from './frames.ts';

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_500,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};

const converse = dialectNamed('bedrock-converse');
const at = (contentBlockIndex: number, members: object) => ({ contentBlockIndex, ...members });
const frame = (type: string, body: object) => {
  // The service pads events with random letters.
  const text = JSON.stringify({ ...body, p: 'abcdefghij'.slice(0, type.length % 10) });
  return eventFrame(type, jsonObjectOf(text) ?? {});
};
const delta = (index: number, body: object) =>
  frame('contentBlockDelta', at(index, { delta: body }));
const stop = (index: number) => frame('contentBlockStop', at(index, {}));
const tool = (index: number, toolUseId: string, name: string) =>
  frame('contentBlockStart', at(index, { start: { toolUse: { toolUseId, name } } }));
const metadata = frame('metadata', {
  usage: {
    inputTokens: 40,
    outputTokens: 20,
    totalTokens: 130,
    cacheReadInputTokens: 60,
    cacheWriteInputTokens: 10,
    cacheDetails: [
      { ttl: '1h', inputTokens: 3 },
      { ttl: '5m', inputTokens: 7 },
    ],
  },
  metrics: { latencyMs: 5 },
});

/** Signed and redacted thinking, text, and two parallel calls, one of them without arguments. */
const worst: readonly Uint8Array[] = [
  frame('messageStart', { role: 'assistant' }),
  delta(0, { reasoningContent: { text: 'Two ' } }),
  delta(0, { reasoningContent: { text: 'reads.' } }),
  delta(0, { reasoningContent: { signature: 'c2ln' } }),
  stop(0),
  delta(1, { reasoningContent: { redactedContent: 'cmU=' } }),
  delta(1, { reasoningContent: { redactedContent: 'ZA==' } }),
  stop(1),
  delta(2, { text: 'Reading.' }),
  stop(2),
  tool(3, 'tooluse_a', 'read'),
  delta(3, { toolUse: { input: '' } }),
  delta(3, { toolUse: { input: '{"path":' } }),
  delta(3, { toolUse: { input: '"a"}' } }),
  stop(3),
  tool(4, 'tooluse_b', 'now'),
  stop(4),
  frame('messageStop', { stopReason: 'tool_use' }),
  metadata,
];

const worstContent = [
  { kind: 'thinking', text: 'Two reads.', signature: 'c2ln' },
  { kind: 'redacted-thinking', data: 'cmVk' },
  { kind: 'text', text: 'Reading.' },
  { kind: 'tool-call', id: 'tooluse_a', name: 'read', arguments: '{"path":"a"}' },
  { kind: 'tool-call', id: 'tooluse_b', name: 'now', arguments: '{}' },
];
const worstUsage = {
  input: 40,
  cacheRead: 60,
  cacheWrite: 10,
  cacheWriteHour: 3,
  output: 20,
  reasoning: 0,
};

interface Read {
  readonly events: readonly StreamEvent[];
  readonly refusal: Refusal | undefined;
}

function read(pieces: readonly Uint8Array[]): Read {
  const decoder = converse.streamDecoder();
  const events: StreamEvent[] = [];
  for (const piece of [...pieces, undefined]) {
    const some = piece === undefined ? decoder.finish() : decoder.push(piece);
    if (!some.ok) return { events, refusal: some.error };
    events.push(...some.value);
  }
  return { events, refusal: undefined };
}

function translate(to: DialectName, pieces: readonly Uint8Array[]): Uint8Array {
  const encoder = dialectNamed(to).streamEncoder(context);
  const got = read(pieces);
  const out = got.events.map((event) => encoder.encode(event));
  const end =
    got.refusal === undefined
      ? []
      : [
          encoder.encodeRefusal?.(got.refusal) ??
            dialectNamed(to).encodeStreamRefusal(got.refusal, 'req_1'),
        ];
  return concatBytes(...out, ...end);
}

function messagesOf(bytes: Uint8Array): readonly (readonly [string, JsonObject])[] {
  const { messages } = new EventStreamDecoder().push(bytes);
  return messages.map(({ headers, payload }) => {
    const type = headers.get(':event-type') ?? headers.get(':exception-type');
    return [String(type?.value), jsonObjectOf(utf8Text(payload) ?? '') ?? {}];
  });
}

describe('streams from Converse', () => {
  test('the worst stream folds to the answer that it spells, however it is split', () => {
    const bytes = concatBytes(...worst);
    const cut = fc.array(fc.nat(bytes.length), { maxLength: 20 });
    fc.assert(
      fc.property(cut, (cuts) => {
        const places = [...new Set([0, ...cuts])].sort((a, b) => a - b);
        const { events, refusal: refused } = read(
          places.map((from, index) => bytes.slice(from, places[index + 1])),
        );
        expect(refused).toBe(undefined);
        expect(fold(events)).toEqual({
          ok: true,
          value: {
            id: '',
            model: '',
            content: worstContent,
            stop: 'tool-calls',
            usage: worstUsage,
          },
        });
      }),
    );
  });

  test('a chat client gets tool indexes, signatures and usage', () => {
    const text = utf8Text(translate('openai-chat', worst)) ?? '';
    expect(text).toContain('"tool_calls":[{"index":0,"id":"tooluse_a"');
    expect(text).toContain('"tool_calls":[{"index":1,"id":"tooluse_b"');
    expect(text).toContain('{"index":1,"function":{"arguments":"{}"}}');
    expect(text).toContain('{"type":"redacted_thinking","data":"cmVk"}');
    expect(text).toContain('"signature":"c2ln"');
    expect(text).toContain('"finish_reason":"tool_calls"');
    expect(text).toContain('"prompt_tokens":110,"completion_tokens":20');
    expect(text).toContain('"cached_tokens":60');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('an exception after the first tool delta ends the stream as an error, in every dialect', () => {
    const pieces = [
      ...worst.slice(0, 13),
      exceptionFrame('modelStreamErrorException', 'stack trace at host-7'),
      ...worst.slice(13),
    ];
    for (const to of ['openai-chat', 'anthropic-messages', 'openai-completions', 'ask'] as const) {
      const text = utf8Text(translate(to, pieces)) ?? '';
      expect(text).toContain('"error"');
      expect(text).not.toMatch(/\[DONE\]|message_stop|message_delta|"finish_reason":"|host-7/);
    }
    for (const to of ['bedrock-converse', 'bedrock-invoke'] as const) {
      const messages = messagesOf(translate(to, pieces));
      expect(messages.at(-1)?.[0]).toBe('modelStreamErrorException');
      expect(messages.some(([type]) => type === 'messageStop' || type === 'metadata')).toBe(false);
    }
  });

  test('each exception is the refusal that it means', () => {
    const expected = {
      internalServerException: 'upstream_error',
      modelStreamErrorException: 'upstream_error',
      validationException: 'upstream_rejected',
      throttlingException: 'upstream_rate_limited',
      serviceUnavailableException: 'upstream_overloaded',
      modelTimeoutException: 'upstream_timeout',
      brandNewException: 'upstream_error',
    };
    for (const [type, code] of Object.entries(expected)) {
      const got = read([worst[0] ?? utf8(''), exceptionFrame(type, 'said')]);
      expect(got.events.length).toBe(1);
      expect(got.refusal?.code).toBe(code);
      expect(got.refusal?.message.includes('said')).toBe(code === 'upstream_rejected');
      const watcher = converse.streamWatcher(context);
      expect(watcher.push(exceptionFrame(type, 'said')).ok).toBe(false);
    }
    const text = (value: string): HeaderValue => ({ type: 'string', value });
    const unmodelled = encodeEventMessage(
      new Map([
        [':message-type', text('error')],
        [':error-code', text('ThrottlingException')],
        [':error-message', text('slow')],
      ]),
      utf8(''),
    );
    expect(read([unmodelled]).refusal?.code).toBe('upstream_rate_limited');
  });

  test('a stream that breaks off anywhere is an error and never complete', () => {
    const bytes = concatBytes(...worst);
    for (let length = 0; length < bytes.length; length += 7) {
      const cut = bytes.slice(0, length);
      expect(read([cut]).refusal?.code).toBe('upstream_error');
      const watcher = converse.streamWatcher(context);
      watcher.push(cut);
      expect(watcher.finish().ok).toBe(false);
    }
    expect(read(worst.slice(0, -1)).refusal?.detail).toEqual({ truncated: true });
  });

  test('every byte of a stream that is flipped ends it as an error', () => {
    const bytes = concatBytes(...worst);
    for (let place = 0; place < bytes.length; place += 1) {
      const bad = bytes.slice();
      bad[place] = (bad[place] ?? 0) ^ 0x20;
      const watcher = converse.streamWatcher(context);
      const first = watcher.push(bad);
      const passed = first.ok ? first.value.length : 0;
      const isRefused = read([bad]).refusal?.code === 'upstream_error' && !watcher.finish().ok;
      // Only messages before the broken one went on.
      if (!isRefused || passed > place) expect(place).toBe('refused');
    }
  });

  test('breaches of the order of events are found out', () => {
    const start = frame('messageStart', { role: 'assistant' });
    const end = (reason: string) => frame('messageStop', { stopReason: reason });
    const word = delta(0, { text: 'x' });
    const cases: readonly (readonly [readonly Uint8Array[], string])[] = [
      [[word], 'contentBlockDelta before messageStart'],
      [[start, start], 'a second messageStart'],
      [[start, metadata], 'metadata before messageStop'],
      [[start, word, end('end_turn')], 'messageStop inside a block'],
      [[start, word, delta(0, { reasoningContent: { text: 'x' } })], 'a thinking delta in a text'],
      [[start, word, delta(0, { toolUse: { input: '1' } })], 'a arguments delta in a text block'],
      [[start, delta(0, { toolUse: { input: '1' } })], 'arguments before the name of their tool'],
      [[start, word, tool(0, 'a', 'f')], 'block 0 starts twice'],
      [[start, word, stop(0), word], 'a delta after block 0'],
      [[start, word, stop(0), stop(0)], 'block 0 stops twice'],
      [[start, word, stop(0), end('end_turn'), word], 'contentBlockDelta after messageStop'],
      [[start, end('brand_new')], 'it ended its answer with "brand_new"'],
      [[start, frame('contentBlockStop', {})], 'contentBlockIndex is missing'],
      [[encodeEventMessage(new Map(), utf8('{}'))], 'neither event nor exception'],
      [[start, delta(0, { reasoningContent: { redactedContent: 'AA==' } }), word], 'redacted'],
    ];
    for (const [pieces, why] of cases) {
      const { refusal: refused } = read(pieces);
      expect(refused?.code).toBe('upstream_error');
      expect(refused?.message).toContain(why);
    }
  });

  test('new events, citations and blocks of nothing do no harm', () => {
    const pieces = [
      frame('messageStart', { role: 'assistant' }),
      frame('brandNew', { x: 1 }),
      stop(0),
      delta(1, { citation: { title: 't' } }),
      delta(1, { text: 'said' }),
      stop(1),
      frame('messageStop', { stopReason: 'guardrail_intervened' }),
      metadata,
      frame('brandNew', {}),
    ];
    const folded = fold(read(pieces).events);
    expect(folded.ok && folded.value).toMatchObject({
      content: [{ kind: 'text', text: 'said' }],
      stop: 'content-filter',
    });
  });

  test('any messages are events or a refusal, and every dialect can write what came before', () => {
    const members = fc.dictionary(
      fc.constantFrom('contentBlockIndex', 'delta', 'start', 'stopReason', 'usage', 'x'),
      fc.oneof(
        fc.constantFrom<unknown>(0, 1, { text: 'x' }, { toolUse: { input: '{' } }, 'end_turn', {
          reasoningContent: { text: 'x' },
        }),
        fc.jsonValue({ maxDepth: 2 }),
      ),
    );
    const types = fc.constantFrom(
      'messageStart',
      'contentBlockStart',
      'contentBlockDelta',
      'contentBlockStop',
      'messageStop',
      'metadata',
      'other',
    );
    const names = [
      'openai-chat',
      'anthropic-messages',
      'bedrock-converse',
      'bedrock-invoke',
    ] as const;
    fc.assert(
      fc.property(fc.array(fc.tuple(types, members), { maxLength: 8 }), (frames) => {
        const pieces = frames.map(([type, body]) => frame(type, body));
        const got = read([frame('messageStart', {}), ...pieces]);
        if (got.refusal !== undefined) expect(got.refusal.code).toBe('upstream_error');
        for (const name of names) {
          const encoder = dialectNamed(name).streamEncoder(context);
          for (const event of got.events) encoder.encode(event);
        }
        const watcher = converse.streamWatcher(context);
        for (const piece of pieces) watcher.push(piece);
        watcher.finish();
        expect(watcher.deliveredChars()).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe('streams to Converse', () => {
  test('a chat stream becomes events as the service writes them', () => {
    const chunk = (body: object, finish: string | null = null) =>
      utf8(
        `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: body, finish_reason: finish }] })}\n\n`,
      );
    const call = (index: number, members: object) => ({ tool_calls: [{ index, ...members }] });
    const start = (id: string) => ({
      id,
      type: 'function',
      function: { name: 'f', arguments: '' },
    });
    const pieces = [
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Hi' }),
      chunk(call(0, start('a'))),
      chunk(call(1, start('b'))),
      chunk(call(1, { function: { arguments: '{"x":1}' } })),
      chunk(call(0, { function: { arguments: '' } })),
      chunk({}, 'tool_calls'),
      utf8('data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'),
      utf8('data: [DONE]\n\n'),
    ];
    const decoder = dialectNamed('openai-chat').streamDecoder();
    const encoder = converse.streamEncoder(context);
    const out: Uint8Array[] = [];
    for (const piece of pieces) {
      const events = decoder.push(piece);
      if (!events.ok) throw new Error(events.error.message);
      for (const event of events.value) out.push(encoder.encode(event));
    }
    const use = (index: number, toolUseId: string) => [
      'contentBlockStart',
      at(index, { start: { toolUse: { toolUseId, name: 'f' } } }),
    ];
    const input = (index: number, json: string) => [
      'contentBlockDelta',
      at(index, { delta: { toolUse: { input: json } } }),
    ];
    expect(messagesOf(concatBytes(...out))).toEqual([
      ['messageStart', { role: 'assistant' }],
      ['contentBlockDelta', at(0, { delta: { text: 'Hi' } })],
      ['contentBlockStop', at(0, {})],
      use(1, 'a'),
      input(1, '{}'),
      ['contentBlockStop', at(1, {})],
      use(2, 'b'),
      input(2, '{"x":1}'),
      ['contentBlockStop', at(2, {})],
      ['messageStop', { stopReason: 'tool_use' }],
      [
        'metadata',
        {
          usage: {
            inputTokens: 3,
            outputTokens: 2,
            totalTokens: 5,
            cacheReadInputTokens: 0,
            cacheWriteInputTokens: 0,
          },
          metrics: { latencyMs: 500 },
        },
      ],
    ]);
  });

  test('a stream that passes through is metered and not touched', () => {
    const watcher = converse.streamWatcher(context);
    const out = watcher.push(concatBytes(...worst));
    expect(out.ok && out.value).toEqual(concatBytes(...worst));
    expect(watcher.finish().ok).toBe(true);
    expect(watcher.usage()).toEqual(worstUsage);
    expect(watcher.deliveredChars()).toBe('Two reads.Reading.read{"path":"a"}now'.length);
  });
});
