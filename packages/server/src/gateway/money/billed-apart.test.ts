import type { JsonObject } from '@postern/core/base';
import type { Conversation } from '@postern/core/dialect';
import { expect, test } from 'vitest';
import { answersOf, asksFaster, mayHoldMedia, withPictures } from './billed-apart.ts';

const text = { kind: 'text', text: 'Hello' } as const;
const sound = { kind: 'audio', format: 'wav', data: 'AAAA' } as const;

function asking(
  tools: readonly JsonObject[],
  fields: JsonObject = {},
  content: Conversation['messages'][number]['content'] = [text],
): Conversation {
  const dialect = 'openai-responses';
  return {
    model: 'm',
    stream: false,
    streamUsage: false,
    system: [],
    messages: [{ role: 'user', content }],
    tools: tools.map((value) => ({ name: 't', schema: {}, foreign: { dialect, value } })),
    extensions: { dialect, fields },
  };
}

test('sound counts where it has a price and the request has any', () => {
  const priced = { rates: { input: 1, output: 2, inputAudio: 30, outputAudio: 60 } };
  const plain = { rates: { input: 1, output: 2 } };
  expect(mayHoldMedia(priced, asking([]))).toBe(false);
  expect(mayHoldMedia(priced, asking([], {}, [text, sound]))).toBe(true);
  expect(mayHoldMedia(priced, asking([], { modalities: ['text', 'audio'] }))).toBe(true);
  expect(mayHoldMedia(plain, asking([], {}, [sound]))).toBe(false);
});

test('a model that paints is set aside for as if it did nothing else', () => {
  const painter = { rates: { input: 1, output: 2, outputImage: 30 } };
  expect(mayHoldMedia(painter, asking([]))).toBe(true);
});

const answered = {
  input: 1_000,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 1_300,
  reasoning: 10,
};

test('output is pictures where they have a price of their own and nobody says how much of it is', () => {
  const painter = { rates: { input: 1, output: 2, outputImage: 30 } };
  expect(withPictures(painter, answered)).toEqual({ ...answered, outputImage: 1_290 });
  const told = { ...answered, outputImage: 0 };
  expect(withPictures(painter, told)).toBe(told);
  expect(withPictures({ rates: { input: 1, output: 2 } }, answered)).toBe(answered);
  const film = { rates: { input: 1, output: 2, outputVideo: 30 } };
  expect(withPictures(film, answered)).toEqual({ ...answered, outputVideo: 1_290 });
});

test.each<[JsonObject, boolean]>([
  [{}, false],
  [{ service_tier: 'auto' }, false],
  [{ service_tier: 'flex' }, false],
  [{ service_tier: 'priority' }, true],
  [{ speed: 'fast' }, true],
  [{ inference_geo: 'us' }, true],
  [{ inference_geo: 'global' }, false],
  [{ serviceTier: { type: 'flex' } }, false],
  [{ serviceTier: { type: 'priority' } }, true],
  [{ performanceConfig: { latency: 'standard' } }, false],
  [{ performanceConfig: { latency: 'optimized' } }, true],
])('%j asks for a faster tier: %s', (fields, faster) => {
  expect(asksFaster(asking([], fields))).toBe(faster);
});

test('a header may ask for a faster tier', () => {
  expect(asksFaster({ ...asking([]), isHasty: true })).toBe(true);
});

test.each<[JsonObject, number, number]>([
  [{}, 1, 1],
  [{}, 3, 3],
  [{ best_of: 5 }, 3, 5],
  [{ best_of: 2 }, 3, 3],
  [{ prompt: ['a', 'b', 'c', 'd'] }, 1, 4],
  [{ prompt: ['a', 'b'], best_of: 5 }, 3, 10],
  [{ prompt: [[1, 2], [3], [4]] }, 1, 3],
  [{ prompt: [1, 2, 3] }, 1, 1],
])('a completion of %j and %i choices is so many answers: %i', (fields, choices, answers) => {
  const extensions = { dialect: 'openai-completions', fields } as const;
  expect(answersOf({ ...asking([]), choices, extensions })).toBe(answers);
});
