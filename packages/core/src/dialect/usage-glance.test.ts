import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonValue } from '../base/index.ts';
import { isJsonObject } from '../base/index.ts';
import { dialectNamed } from './index.ts';
import type { Usage } from './model.ts';
import { glanceAtUsage } from './usage-glance.ts';

const head = '{"id":"chatcmpl-1","choices":[{"index":0}]';
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const glance = (text: string): Usage | undefined => glanceAtUsage(bytesOf(text));

/** What whoever builds a tree reads in it; undefined where it is no JSON object. */
function parsed(text: string): Usage | undefined {
  try {
    // What JSON.parse gives is JSON.
    const body = JSON.parse(text) as JsonValue;
    return isJsonObject(body) ? dialectNamed('openai-chat').usageOfAnswer(body) : undefined;
  } catch {
    return undefined;
  }
}

test.each([
  ['three counts', '"prompt_tokens":200,"completion_tokens":50,"total_tokens":250', 200, 50],
  ['in another order', '"completion_tokens":50,"prompt_tokens":200,"total_tokens":250', 200, 50],
  ['without the sum', '"prompt_tokens":0,"completion_tokens":7', 0, 7],
  [
    'the largest that is believed',
    '"prompt_tokens":1000000000,"completion_tokens":1',
    1_000_000_000,
    1,
  ],
])('%s', (_name, counts, input, output) => {
  const text = `${head},"usage":{${counts}}}`;
  const usage = { input, output, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0, reasoning: 0 };
  expect(glance(text)).toEqual(usage);
  expect(parsed(text)).toEqual(usage);
});

test.each([
  ['details', `${head},"usage":{"prompt_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}`],
  ['a member behind it', `${head},"usage":{"prompt_tokens":2,"completion_tokens":5},"a":1}`],
  ['white space', `${head},"usage":{"prompt_tokens": 2,"completion_tokens":5}}`],
  ['a line feed at the end', `${head},"usage":{"prompt_tokens":2,"completion_tokens":5}}\n`],
  ['a count twice', `${head},"usage":{"prompt_tokens":2,"prompt_tokens":3,"completion_tokens":5}}`],
  ['another count', `${head},"usage":{"prompt_tokens":2,"completion_tokens":5,"images":1}}`],
  ['one count alone', `${head},"usage":{"prompt_tokens":2,"total_tokens":2}}`],
  ['a leading zero', `${head},"usage":{"prompt_tokens":02,"completion_tokens":5}}`],
  ['a sign', `${head},"usage":{"prompt_tokens":-2,"completion_tokens":5}}`],
  ['a fraction', `${head},"usage":{"prompt_tokens":2,"completion_tokens":5.5}}`],
  ['beyond belief', `${head},"usage":{"prompt_tokens":2,"completion_tokens":1000000001}}`],
  [
    'a total that counts more',
    `${head},"usage":{"completion_tokens":20,"prompt_tokens":10,"total_tokens":530}}`,
  ],
  [
    'a total that counts less',
    `${head},"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":0}}`,
  ],
  ['sixteen digits', `${head},"usage":{"prompt_tokens":1000000000000000,"completion_tokens":5}}`],
  [
    'a text that quotes it',
    `{"a":"x,\\"usage\\":{\\"prompt_tokens\\":2,\\"completion_tokens\\":5}}`,
  ],
  ['nothing before it', '{"usage":{"prompt_tokens":2,"completion_tokens":5}}'],
  ['no name', `${head},"used":{"prompt_tokens":2,"completion_tokens":5}}`],
  ['no counts', `${head},"usage":{}}`],
  ['nothing', ''],
  ['braces', '}}'],
])('%s is for the reader that parses', (_name, text) => {
  expect(glance(text)).toBeUndefined();
});

const names = ['prompt_tokens', 'completion_tokens', 'total_tokens'];
const plain = fc.tuple(
  fc.shuffledSubarray(names, { minLength: 2 }),
  fc.nat(600_000_000),
  fc.nat(600_000_000),
  fc.oneof(fc.constant(0), fc.nat(600_000_000)),
);
const usual = plain.map(([some, prompt, completion, beside]) => {
  const values = [prompt, completion, prompt + completion + beside];
  return some.map((name) => `"${name}":${values[names.indexOf(name)]}`).join(',');
});
const count = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 1, -1, 0.5, null, '7'));
const odd = fc
  .array(fc.tuple(fc.constantFrom(...names, 'cached_tokens'), count), { maxLength: 5 })
  .map((members) => members.map(([name, value]) => `"${name}":${JSON.stringify(value)}`).join(','));
const counts = fc.oneof(usual, odd);
const answers = fc
  .tuple(fc.jsonValue(), counts, fc.constantFrom('', ',"model":"m"', ' ', ',"usage":null'))
  .map(
    ([choices, said, behind]) =>
      `{"choices":${JSON.stringify(choices)},"usage":{${said}}${behind}}`,
  );

test('what is seen at a glance is what the reader that parses sees', () => {
  let seen = 0;
  fc.assert(
    fc.property(answers, (text) => {
      const usage = glance(text);
      if (usage === undefined) return;
      seen += 1;
      expect(parsed(text)).toEqual(usage);
    }),
    { numRuns: 3_000 },
  );
  expect(seen).toBeGreaterThan(30);
});

test('whatever is changed in an answer that is still JSON, both see the same', () => {
  const text = `{"choices":[{"message":{"content":"a, \\"usage\\":{ b"}}],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}`;
  const changed = fc
    .array(
      fc.tuple(
        fc.nat(text.length - 1),
        fc.constantFrom(
          '',
          '"',
          '\\',
          ',',
          '{',
          '}',
          '0',
          '7',
          ' ',
          'x',
          '"usage":{',
          ',"usage":{',
        ),
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map((changes) =>
      changes.reduce((now, [at, put]) => now.slice(0, at) + put + now.slice(at + 1), text),
    );
  fc.assert(
    fc.property(changed, (given) => {
      const usage = glance(given);
      if (usage === undefined || !isJson(given)) return;
      expect(parsed(given)).toEqual(usage);
    }),
    { numRuns: 5_000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
