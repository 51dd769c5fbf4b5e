import * as fc from 'fast-check';
import type { JsonObject, JsonValue } from '../../base/index.ts';
import { jsonObjectOf } from '../../base/index.ts';
import type { Conversation, DialectName, Part } from '../model.ts';

/** What a conversation may hold, one thing at a time: how it is made, and how it is found again. */
export interface Feature {
  readonly name: string;
  readonly values: fc.Arbitrary<Partial<Conversation>>;
  /** What of a conversation is this feature, in a form that can be compared. */
  readonly seen: (conversation: Conversation) => JsonValue;
}

const word = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_-]{0,12}$/);
const said = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).map((text) => `.${text}`);
const json: fc.Arbitrary<JsonObject> = fc
  .dictionary(word, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3, noNullPrototype: true })
  .map((value) => jsonObjectOf(JSON.stringify(value)) ?? {});
const base64 = fc.constantFrom('AAAA', 'QUJD', 'UERG');
const hi: Part = { kind: 'text', text: 'hi' };

const tool = (name: string, schema: JsonObject = {}) => ({
  name,
  description: `does ${name}`,
  schema: { type: 'object', properties: schema },
});

export function conversationOf(from: DialectName, over: Partial<Conversation>): Conversation {
  return {
    model: 'm',
    stream: false,
    streamUsage: false,
    system: [],
    messages: [{ role: 'user', content: [hi] }],
    tools: [],
    maxOutputTokens: 99,
    ...over,
    extensions: { dialect: from, fields: {} },
  };
}

function userPart(part: fc.Arbitrary<Part>): fc.Arbitrary<Partial<Conversation>> {
  return part.map((one) => ({ messages: [{ role: 'user', content: [hi, one] }] }));
}

/** A turn of the model between two of the user, with a tool that may have been called in it. */
function history(parts: readonly Part[], results: readonly Part[] = []): Partial<Conversation> {
  return {
    tools: [tool('f'), tool('g')],
    messages: [
      { role: 'user', content: [hi] },
      { role: 'assistant', content: parts },
      { role: 'user', content: results.length === 0 ? [hi] : results },
    ],
  };
}

const call = (id: string, name: string, input: JsonObject): Part => ({
  kind: 'tool-call',
  id,
  name,
  arguments: JSON.stringify(input),
});
const result = (callId: string, text: string, isError = false): Part => ({
  kind: 'tool-result',
  callId,
  content: [{ kind: 'text', text }],
  isError,
});

const partsOf = (conversation: Conversation): readonly Part[] => [
  ...conversation.system,
  ...conversation.messages.flatMap(({ content }) => content),
];
/** Parts of a kind, each by what is compared of it. */
const each = <K extends Part['kind']>(
  kind: K,
  pick: (part: Extract<Part, { kind: K }>) => JsonValue,
) => {
  return (conversation: Conversation): JsonValue =>
    partsOf(conversation)
      // The filter leaves parts of this kind only.
      .filter((part): part is Extract<Part, { kind: K }> => part.kind === kind)
      .map(pick);
};

const texts = (parts: readonly Part[]): string =>
  parts.map((part) => (part.kind === 'text' ? part.text : '')).join('\n');

const calls = each('tool-call', ({ id, name, arguments: input }) => [id, name, input]);
const results = each('tool-result', ({ callId, content }) => [callId, texts(content)]);

export const features: readonly Feature[] = [
  {
    name: 'system prompt',
    values: said.map((text) => ({ system: [{ kind: 'text', text }] })),
    seen: ({ system }) => texts(system),
  },
  {
    name: 'turns',
    values: fc.tuple(said, said, said).map(([a, b, c]) => ({
      messages: [
        { role: 'user', content: [{ kind: 'text', text: a }] },
        { role: 'assistant', content: [{ kind: 'text', text: b }] },
        { role: 'user', content: [{ kind: 'text', text: c }] },
      ],
    })),
    seen: ({ messages }) => messages.map(({ role, content }) => [role, texts(content)]),
  },
  {
    name: 'tools, their order and that of the keys of their schemas',
    values: fc
      .uniqueArray(fc.tuple(word, json), { minLength: 1, maxLength: 4, selector: ([name]) => name })
      .map((list) => ({ tools: list.map(([name, schema]) => tool(name, schema)) })),
    seen: ({ tools }) =>
      tools.map(({ name, description, schema }) => [
        name,
        description ?? null,
        JSON.stringify(schema),
      ]),
  },
  {
    name: 'choice of a tool',
    values: fc
      .constantFrom<Conversation['toolChoice']>(
        { kind: 'auto' },
        { kind: 'required' },
        { kind: 'tool', name: 'f' },
      )
      .map((toolChoice) => ({
        tools: [tool('f')],
        ...(toolChoice === undefined ? {} : { toolChoice }),
      })),
    seen: ({ toolChoice }) => (toolChoice === undefined ? null : { ...toolChoice }),
  },
  {
    name: 'no tool may be called',
    values: word.map((name) => ({ tools: [tool(name)], toolChoice: { kind: 'none' } as const })),
    seen: ({ tools, toolChoice }) => [tools.length, toolChoice?.kind ?? null],
  },
  {
    name: 'one tool at a time',
    values: word.map((name) => ({ tools: [tool(name)], parallelToolCalls: false })),
    seen: ({ parallelToolCalls }) => parallelToolCalls ?? null,
  },
  {
    name: 'parallel tool calls and their results',
    values: fc
      .tuple(json, json, said, said)
      .map(([a, b, first, second]) =>
        history(
          [call('c1', 'f', a), call('c2', 'g', b)],
          [result('c1', first), result('c2', second)],
        ),
      ),
    seen: (conversation) => [calls(conversation), results(conversation)],
  },
  {
    name: 'a tool that failed',
    values: said.map((text) => history([call('c1', 'f', {})], [result('c1', text, true)])),
    seen: each('tool-result', ({ isError }) => isError),
  },
  {
    name: 'an image in the result of a tool',
    values: base64.map((data) => {
      const shown: Part = {
        kind: 'image',
        source: { kind: 'base64', mediaType: 'image/png', data },
      };
      const one: Part = { kind: 'tool-result', callId: 'c1', content: [hi, shown], isError: false };
      return history([call('c1', 'f', {})], [one]);
    }),
    seen: each('tool-result', ({ content }) => content.map(({ kind }) => kind)),
  },
  {
    name: 'images as data',
    values: userPart(
      base64.map((data) => ({
        kind: 'image',
        source: { kind: 'base64', mediaType: 'image/png', data },
      })),
    ),
    seen: each('image', ({ source }) => ({ ...source })),
  },
  {
    name: 'images by address',
    values: userPart(
      word.map((name) => ({
        kind: 'image',
        source: { kind: 'url', url: `https://a.test/${name}` },
      })),
    ),
    seen: each('image', ({ source }) => ({ ...source })),
  },
  {
    name: 'documents as data',
    values: userPart(
      base64.map((data) => ({
        kind: 'document',
        source: { kind: 'base64', mediaType: 'application/pdf', data },
        title: 'file',
      })),
    ),
    seen: each('document', ({ source }) => ({ ...source })),
  },
  {
    name: 'prompt-cache markers',
    values: userPart(
      said.map((text) => ({ kind: 'text', text, cache: { type: 'ephemeral', ttl: '1h' } })),
    ),
    seen: each('text', ({ cache }) => cache ?? null),
  },
  {
    name: 'effort of thinking',
    values: fc
      .constantFrom('low', 'medium', 'high')
      .map((effort) => ({ reasoning: { kind: 'effort', effort } as const })),
    seen: ({ reasoning }) => (reasoning === undefined ? null : { ...reasoning }),
  },
  {
    name: 'thinking by tokens',
    values: fc
      .integer({ min: 1_024, max: 9_000 })
      .map((budgetTokens) => ({ reasoning: { kind: 'tokens', budgetTokens } as const })),
    seen: ({ reasoning }) => (reasoning === undefined ? null : { ...reasoning }),
  },
  {
    name: 'length, temperature, nucleus',
    values: fc
      .tuple(
        fc.integer({ min: 1, max: 9_999 }),
        fc.constantFrom(0, 0.5, 1),
        fc.constantFrom(0.1, 1),
      )
      .map(([maxOutputTokens, temperature, topP]) => ({ maxOutputTokens, temperature, topP })),
    seen: ({ maxOutputTokens, temperature, topP }) => [
      maxOutputTokens ?? null,
      temperature ?? null,
      topP ?? null,
    ],
  },
  {
    name: 'stop sequences',
    values: word.map((stop) => ({ stop: [stop] })),
    seen: ({ stop }) => [...(stop ?? [])],
  },
  {
    name: 'answers by schema',
    values: json.map((schema) => ({
      format: {
        kind: 'schema',
        name: 'response',
        schema: { type: 'object', properties: schema },
      } as const,
    })),
    seen: ({ format }) => (format?.kind === 'schema' ? JSON.stringify(format.schema) : null),
  },
  {
    name: 'flags of betas',
    values: fc.constant({ betas: ['context-1m-2025-08-07'] }),
    seen: ({ betas }) => [...(betas ?? [])],
  },
];
