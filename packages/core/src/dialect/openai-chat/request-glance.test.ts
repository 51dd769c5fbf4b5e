import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isJsonObject, parseJson, requestJsonLimits } from '../../base/index.ts';
import { decodeRequest } from './request-decode.ts';
import { estimateInputTokens } from '../estimate.ts';
import { openAiChat } from './openai-chat.ts';
import { glanceAtRequest } from './request-glance.ts';

const turn = '{"role":"user","content":"hi"}';
const plain = `{"model":"m","messages":[${turn}]}`;

/** What the reader that builds a tree makes of a text. */
function readWhole(text: string): ReturnType<typeof decodeRequest> | undefined {
  const read = parseJson(new TextEncoder().encode(text), requestJsonLimits);
  return read.ok && isJsonObject(read.value.value) ? decodeRequest(read.value.value) : undefined;
}

/** What is seen at a glance is what the other reader sees; whether it is seen. */
function agrees(given: string): boolean {
  // Texts come from UTF-8, which has no half characters.
  const text = given.toWellFormed();
  const seen = glanceAtRequest(text);
  if (seen === undefined) return false;
  const whole = readWhole(text);
  const { conversation } = seen;
  const { messages, system } = conversation;
  const { turns: _turns, ...said } = { turns: '', ...conversation };
  expect(whole).toEqual({ ok: true, value: { ...said, messages, system } });
  const estimated = conversation.estimated ?? estimateInputTokens({ ...said, messages, system });
  expect(whole?.ok === true ? estimateInputTokens(whole.value) : undefined).toBe(estimated);
  // Any JSON.parse, which takes the last of two names, sees the same model.
  expect((JSON.parse(text) as { model?: string }).model).toBe(seen.conversation.model);
  for (const model of [seen.conversation.model ?? 'm', 'other "name"', 'gpt-5'])
    for (const maxOutputTokens of [undefined, 7]) {
      const patched = seen.patch({ model, maxOutputTokens });
      if (patched === undefined) continue;
      expect(openAiChat.patchRequest(text, { model, maxOutputTokens })).toEqual({
        ok: true,
        value: patched,
      });
    }
  return true;
}

test.each([
  ['plain words', turn, 5 + 5 + 1],
  ['escapes', '{"role": "user", "content": "a \\"b\\" \\\\\\\\ \\n"}', 5 + 5 + 4],
  [
    'instructions before and after',
    `{"role":"system","content":"abcd"}, ${turn},{"role":"developer","content":""}`,
    5 + 2 + 6 + 5,
  ],
])('a prompt of %s is priced without reading it', (_, turns, tokens) => {
  const text = `{"model":"m","messages":[${turns}]}`;
  expect(glanceAtRequest(text)?.conversation.estimated).toBe(tokens);
  expect(agrees(text)).toBe(true);
});

test.each(['漢', '\\u00e9'])('one with "%s" is read first', (word) => {
  const text = `{"model":"m","messages":[{"role":"user","content":"${word}"}]}`;
  expect(glanceAtRequest(text)?.conversation.estimated).toBeUndefined();
  expect(agrees(text)).toBe(true);
});

describe('a request at a glance', () => {
  test.each([
    plain,
    `{"model": "m", "messages": [${turn}, {"role": "assistant", "content": ""}]}`,
    `{"model":"m","messages":[{"role":"system","content":"a \\"b\\" \\u00e9 \\n"},${turn}],"stream":true}`,
    `{"messages":[${turn},{"role":"developer","content":"é 漢字 😀"}],"max_tokens":5,"temperature":0.7}`,
    `{"model":"m","messages":[${turn}],"stream":true,"stream_options":{"include_usage":true},"n":2}`,
    `{"model":"m","messages":[${turn}],"stream":false,"stream_options":{"include_usage":true}}`,
    `{"max_completion_tokens":9,"user":"u","seed":-3,"top_p":1,"model":"m","messages":[${turn}]}`,
  ])('of the plain shape is read as the whole reader reads it: %s', (text) => {
    expect(agrees(text)).toBe(true);
  });

  test.each([
    ['a name twice', `{"model":"a","messages":[${turn}],"model":"b"}`],
    ['a name in another spelling', `{"model":"a","messages":[${turn}],"\\u006dodel":"b"}`],
    ['an escape in the model', `{"model":"\\u0061","messages":[${turn}]}`],
    ['two caps', `{"model":"a","messages":[${turn}],"max_tokens":1,"max_completion_tokens":2}`],
    ['a byte order mark', `\ufeff${plain}`],
    ['bytes behind the end', `${plain} `],
    ['another value behind the end', `${plain}{}`],
    ['a comma before the end', `{"model":"m","messages":[${turn},]}`],
    ['a comma before the end of the object', `{"model":"m","messages":[${turn}],}`],
    ['a model inside a turn', `{"messages":[{"model":"x","role":"user","content":"hi"}]}`],
    ['a role twice', `{"messages":[{"role":"user","content":"hi","role":"system"}]}`],
    ['a control character', `{"model":"m","messages":[{"role":"user","content":"a\nb"}]}`],
    ['half an escape', `{"model":"m","messages":[{"role":"user","content":"\\u00e"}]}`],
    ['an escape that JSON does not have', `{"messages":[{"role":"user","content":"\\x41"}]}`],
    ['a huge number', `{"messages":[${turn}],"max_tokens":99999999999999999999}`],
    ['an exponent', `{"messages":[${turn}],"temperature":1e400}`],
    ['a leading zero', `{"messages":[${turn}],"max_tokens":07}`],
    ['a cap of nothing', `{"messages":[${turn}],"max_tokens":0}`],
    ['null', `{"model":null,"messages":[${turn}]}`],
    ['an unknown member', `{"model":"m","messages":[${turn}],"tools":[]}`],
    ['__proto__', `{"__proto__":{"model":"x"},"messages":[${turn}]}`],
    ['no turn', `{"model":"m","messages":[]}`],
    ['no messages', `{"model":"m"}`],
    ['an array', `[${plain}]`],
    ['nothing', ''],
    ['an unknown role', `{"messages":[{"role":"tool","content":"hi"}]}`],
    ['an end too early', plain.slice(0, -1)],
  ])('is left to the other reader where there is %s', (_, text) => {
    expect(glanceAtRequest(text)).toBeUndefined();
  });

  const json = fc.oneof(
    fc.constantFrom('m', 'a/b', ''),
    fc.string({ unit: 'binary' }),
    fc.constantFrom<unknown>(true, false, null, 0, 1, -1, 1.5, 1e21, {}, [], {
      include_usage: true,
    }),
  );
  /** Mostly what is meant, sometimes anything. */
  const mostly = (usual: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 15, arbitrary: usual }, { weight: 1, arbitrary: json });
  const message = fc.record({
    role: mostly(fc.constantFrom('system', 'user', 'assistant', 'developer')),
    content: mostly(fc.oneof(fc.string(), fc.string({ unit: 'binary' }))),
  });
  const names = ['model', 'stream', 'stream_options', 'max_tokens', 'n', 'seed', 'temperature'];
  const body = fc.record(
    {
      messages: fc.array(message, { minLength: 1, maxLength: 4 }),
      model: mostly(fc.constantFrom('m', 'a/b', 'gpt-5')),
      stream: mostly(fc.boolean()),
      stream_options: mostly(fc.constant({ include_usage: true })),
      max_tokens: mostly(fc.integer({ min: 1 })),
      n: mostly(fc.integer({ min: 1, max: 9 })),
      user: mostly(fc.constantFrom('u', 'someone')),
      top_p: mostly(fc.constantFrom(0, 0.5, 1, 0.25)),
    },
    { requiredKeys: ['messages'] },
  );

  test('never differs from the whole reader, whatever the values', () => {
    let seen = 0;
    fc.assert(
      fc.property(body, (value) => {
        if (agrees(JSON.stringify(value))) seen += 1;
      }),
      { numRuns: 1_000 },
    );
    expect(seen).toBeGreaterThan(200);
  });

  test('never differs from the whole reader, whatever is done to the text', () => {
    fc.assert(
      fc.property(
        body,
        fc.nat(),
        fc.nat(8),
        fc.oneof(
          fc.constantFrom('"', '\\', '{', '}', ',', ':', ' ', '\n', '\0', '0', 'e', ''),
          fc.constantFrom(...names.map((name) => `,"${name}":"x"`)),
          fc.string({ maxLength: 3 }),
        ),
        (value, at, cut, put) => {
          const text = JSON.stringify(value);
          const from = at % text.length;
          agrees(text.slice(0, from) + put + text.slice(from + cut));
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
