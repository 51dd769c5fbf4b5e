import type { AnswerContext } from '@postern/core/dialect';
import { dialectNamed } from '@postern/core/dialect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { glanceAtChat } from './chat-glance.ts';

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 0,
  receivedAtMs: 0,
  model: 'm/a',
  streamUsage: false,
};

/** Pieces through a watcher, with and without the glance before it: everything that can be seen of it. */
function seen(pieces: readonly string[], isGlancing: boolean): unknown {
  const plain = dialectNamed('openai-chat').streamWatcher(context);
  const watcher = isGlancing ? glanceAtChat(() => plain) : plain;
  const out: string[] = [];
  for (const piece of pieces) {
    const pushed = watcher.push(Buffer.from(piece));
    if (!pushed.ok) return { failed: pushed.error.code };
    out.push(Buffer.from(pushed.value).toString());
  }
  const end = watcher.finish();
  if (end.ok) out.push(Buffer.from(end.value).toString());
  return {
    text: out.join(''),
    chars: watcher.deliveredChars(),
    usage: watcher.usage(),
    isWhole: end.ok,
  };
}

const text = fc.constantFrom(
  'a',
  '',
  'Hello',
  '"',
  '\\',
  '\n',
  '\u0007',
  'é',
  '漢字',
  '🙂',
  '}]}',
  ',"error":1',
);
const delta = fc.oneof(
  text.map((content) => ({ content })),
  text.map((content) => ({ role: 'assistant', content })),
  text.map((content) => ({ content, refusal: null })),
  text.map((reasoning_content) => ({ reasoning_content })),
  text.map((args) => ({ tool_calls: [{ index: 0, function: { arguments: args } }] })),
  fc.constant({}),
);
const chunk = fc.record(
  {
    id: fc.constantFrom('x', 'a"b'),
    object: fc.constant('chat.completion.chunk'),
    choices: fc.array(
      fc.record({ index: fc.nat({ max: 2 }), delta, finish_reason: fc.constantFrom(null, 'stop') }),
      { maxLength: 2 },
    ),
    usage: fc.constantFrom(null, { prompt_tokens: 3, completion_tokens: 4 }),
    error: fc.constantFrom(null, 'broken', { message: 'overloaded' }),
  },
  { requiredKeys: ['choices'] },
);
const frame = fc.oneof(
  { weight: 6, arbitrary: chunk.map((value) => `data: ${JSON.stringify(value)}\n\n`) },
  fc.constantFrom(
    'data: [DONE]\n\n',
    ': ping\n\n',
    'data: {"choices":\n\n',
    'event: x\ndata: {}\r\n\r\n',
    '\n',
    '\ufeff',
  ),
);

test('a glance changes nothing that can be seen, in any split of the stream', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.nat({ max: 400 })),
      (frames, cuts) => {
        expect(seen(frames, true)).toEqual(seen(frames, false));
        const whole = frames.join('');
        const places = [...new Set(cuts.filter((at) => at < whole.length))].toSorted(
          (a, b) => a - b,
        );
        const pieces = [0, ...places].map((from, i) =>
          whole.slice(from, places[i] ?? whole.length),
        );
        expect(seen(pieces, true)).toEqual(seen(pieces, false));
      },
    ),
    { numRuns: 500 },
  );
});

test('a byte order mark behind a plain frame is none', () => {
  const frames = [
    'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n',
    '\ufeffdata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
  ];
  expect(seen(frames, true)).toEqual(seen(frames, false));
  expect(seen(frames, true)).toMatchObject({ chars: 1, text: frames.join(''), usage: undefined });
});

test('the frames of common servers are recognised: the watcher behind is not even made', () => {
  const plain = dialectNamed('openai-chat').streamWatcher(context);
  let asked = 0;
  const watcher = glanceAtChat(() => {
    asked += 1;
    return plain;
  });
  const frames = [
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","system_fingerprint":"f","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}\n\n',
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    'data: {"choices":[{"index":0,"delta":{"content":"漢字"}}]}\n\n',
  ];
  for (const each of frames) expect(watcher.push(Buffer.from(each)).ok).toBe(true);
  expect(asked).toBe(0);
  // Two of them weigh as three each.
  expect(watcher.deliveredChars()).toBe(8);
});

test('words after the end of a stream count for nobody, in whatever pieces the end comes', () => {
  const words =
    'data: {"choices":[{"index":0,"delta":{"content":"late"},"finish_reason":null}]}\n\n';
  for (const pieces of [
    ['data: [DONE]\n\n', words],
    ['data: [DO', 'NE]\n\n', words],
    ['data: [', 'DONE]', '\n\n', words],
  ])
    expect(seen(pieces, true)).toEqual(seen(pieces, false));
});
