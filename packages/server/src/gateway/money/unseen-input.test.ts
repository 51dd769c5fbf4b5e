import type { JsonObject } from '@postern/core/base';
import type { Conversation, Part } from '@postern/core/dialect';
import { expect, test } from 'vitest';
import { Prompt } from './prompt.ts';
import { unseenTokens } from './unseen-input.ts';

const dialect = 'openai-responses';
function asking(more: {
  readonly fields?: JsonObject;
  readonly tools?: readonly JsonObject[];
  readonly content?: readonly Part[];
}): Conversation {
  return {
    model: 'm',
    stream: false,
    streamUsage: false,
    system: [],
    messages: [{ role: 'user', content: more.content ?? [] }],
    tools: (more.tools ?? []).map((value) => ({
      name: 't',
      schema: {},
      foreign: { dialect, value },
    })),
    extensions: { dialect, fields: more.fields ?? {} },
  };
}
const part = (value: JsonObject): Part => ({ kind: 'foreign', dialect, value });
const pdf: Part = { kind: 'document', source: { kind: 'url', url: 'https://example.com/a.pdf' } };

test.each<[string, Parameters<typeof asking>[0]]>([
  ['an earlier answer', { fields: { previous_response_id: 'resp_1' } }],
  ['a conversation', { fields: { conversation: { id: 'c' } } }],
  ['a prompt', { fields: { prompt: { id: 'p' } } }],
  ['servers of tools', { fields: { mcp_servers: [{ url: 'https://example.com' }] } }],
  ['a server of tools', { tools: [{ type: 'mcp', server_label: 's' }] }],
  ['a document in the web', { content: [pdf] }],
  [
    'the same in the result of a tool',
    { content: [{ kind: 'tool-result', callId: 'c', content: [pdf], isError: false }] },
  ],
  ['a file', { content: [part({ type: 'input_file', file_id: 'f' })] }],
  ['a file of chat', { content: [part({ type: 'file', file: { file_id: 'f' } })] }],
  [
    'a file of Messages',
    { content: [part({ type: 'document', source: { type: 'file', file_id: 'f' } })] },
  ],
  [
    'a cited page',
    {
      content: [
        part({ type: 'document', citations: { enabled: true }, source: { type: 'url', url: 'u' } }),
      ],
    },
  ],
  [
    'a file in Amazon’s storage',
    { content: [part({ document: { name: 'd', source: { s3Location: { uri: 's3://b/k' } } } })] },
  ],
  ['an earlier item', { content: [part({ type: 'item_reference', id: 'i' })] }],
])('%s is set aside for, and charged by what it comes to', (_what, more) => {
  const conversation = asking(more);
  expect(unseenTokens(conversation)).toBe(50_000);
  const prompt = new Prompt(conversation);
  expect(prompt.tokensAtMost).toBe(prompt.tokens + 50_000);
});

test('a request that holds all of its prompt has nothing to add', () => {
  const content: Part[] = [
    { kind: 'text', text: 'file_id' },
    { kind: 'document', source: { kind: 'text', text: 'x' } },
    part({ type: 'output_text', annotations: ['file_id'] }),
  ];
  expect(unseenTokens(asking({ content, fields: { prompt: 'Hello', store: true } }))).toBe(0);
});

test('however many there are, it is bounded', () => {
  expect(unseenTokens(asking({ content: Array.from({ length: 99 }, () => pdf) }))).toBe(400_000);
});
