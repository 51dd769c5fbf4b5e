import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../base/index.ts';
import { jsonObjectOf, toBase64, utf8 } from '../../base/index.ts';
import type { DialectName } from '../model.ts';
import { dialectNamed } from '../table.ts';
import { DocumentNames, idOf, isToolName } from './names.ts';

const claude = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const llama = 'meta.llama3-3-70b-instruct-v1:0';

function translated(from: DialectName, to: DialectName, body: unknown, model = claude): JsonObject {
  const source = dialectNamed(from);
  const path = source.readPath?.(source.upstreamPath('asked', true));
  const decoded = source.decodeRequest(jsonObjectOf(JSON.stringify(body)) ?? {}, path);
  if (!decoded.ok) throw new Error(`${decoded.error.code} ${decoded.error.param}`);
  const encoded = dialectNamed(to).encodeRequest(decoded.value, { model, maxOutputTokens: 4096 });
  if (!encoded.ok) throw new Error(`${encoded.error.code} ${encoded.error.param}`);
  return encoded.value;
}

const toConverse = (from: DialectName, body: unknown, model?: string) =>
  translated(from, 'bedrock-converse', body, model);

const user = { role: 'user', content: 'x' };

/** What a coding agent sends at its worst: signed thinking, parallel tools, a cached prompt. */
const worst = {
  model: 'claude',
  max_tokens: 1000,
  stream: true,
  stop_sequences: ['END'],
  top_k: 5,
  system: [
    { type: 'text', text: 'You are careful.', cache_control: { type: 'ephemeral', ttl: '1h' } },
    { type: 'text', text: 'You are brief.' },
  ],
  thinking: { type: 'enabled', budget_tokens: 2048 },
  tools: [
    {
      name: 'read',
      description: 'Reads a file',
      input_schema: { type: 'object', properties: { path: { type: 'string' } } },
      cache_control: { type: 'ephemeral' },
    },
  ],
  tool_choice: { type: 'auto', disable_parallel_tool_use: true },
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Compare.' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        {
          type: 'document',
          title: 'a/b  c.pdf',
          source: { type: 'base64', media_type: 'application/pdf', data: 'UERG' },
        },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Two reads.', signature: 'c2ln' },
        { type: 'redacted_thinking', data: 'cmVk' },
        { type: 'text', text: 'Reading.' },
        { type: 'tool_use', id: 'toolu_1', name: 'read', input: { path: 'a' } },
        { type: 'tool_use', id: 'toolu_2', name: 'read', input: {} },
      ],
    },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'A' }] },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Go on.', cache_control: { type: 'ephemeral' } },
        {
          type: 'tool_result',
          tool_use_id: 'toolu_2',
          is_error: true,
          content: [
            { type: 'text', text: 'no such file' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'BBBB' } },
          ],
        },
      ],
    },
  ],
};

const worstConverse = {
  system: [
    { text: 'You are careful.' },
    { cachePoint: { type: 'default', ttl: '1h' } },
    { text: 'You are brief.' },
  ],
  messages: [
    {
      role: 'user',
      content: [
        { text: 'Compare.' },
        { image: { format: 'png', source: { bytes: 'AAAA' } } },
        { document: { format: 'pdf', name: 'a-b c-pdf', source: { bytes: 'UERG' } } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { reasoningContent: { reasoningText: { text: 'Two reads.', signature: 'c2ln' } } },
        { reasoningContent: { redactedContent: 'cmVk' } },
        { text: 'Reading.' },
        { toolUse: { toolUseId: 'toolu_1', name: 'read', input: { path: 'a' } } },
        { toolUse: { toolUseId: 'toolu_2', name: 'read', input: {} } },
      ],
    },
    {
      role: 'user',
      content: [
        { toolResult: { toolUseId: 'toolu_1', content: [{ text: 'A' }] } },
        {
          toolResult: {
            toolUseId: 'toolu_2',
            content: [
              { text: 'no such file' },
              { image: { format: 'png', source: { bytes: 'BBBB' } } },
            ],
            status: 'error',
          },
        },
        { text: 'Go on.' },
        { cachePoint: { type: 'default' } },
      ],
    },
  ],
  inferenceConfig: { maxTokens: 1000, stopSequences: ['END'] },
  toolConfig: {
    tools: [
      {
        toolSpec: {
          name: 'read',
          description: 'Reads a file',
          inputSchema: { json: { type: 'object', properties: { path: { type: 'string' } } } },
        },
      },
      { cachePoint: { type: 'default' } },
    ],
    toolChoice: { auto: {} },
  },
  additionalModelRequestFields: {
    top_k: 5,
    thinking: { type: 'enabled', budget_tokens: 2048 },
    tool_choice: { type: 'auto', disable_parallel_tool_use: true },
  },
  additionalModelResponseFieldPaths: ['/stop_sequence'],
};

describe('requests to Converse', () => {
  test('the worst Messages request says all of it', () => {
    expect(toConverse('anthropic-messages', worst)).toEqual(worstConverse);
  });

  test('the worst Converse request says all of it to a Messages server', () => {
    const { additionalModelResponseFieldPaths: _asked, ...body } = worstConverse;
    const got = translated('bedrock-converse', 'anthropic-messages', body, 'claude');
    const [first, said, results] = worst.messages;
    const second = worst.messages[3]?.content[1];
    expect(got).toEqual({
      ...worst,
      messages: [
        {
          ...first,
          content: (first?.content ?? []).map((block) =>
            'title' in block ? { ...block, title: 'a-b c-pdf' } : block,
          ),
        },
        said,
        {
          role: 'user',
          content: [
            results?.content[0],
            {
              type: 'tool_result',
              tool_use_id: 'toolu_2',
              is_error: true,
              content: second !== undefined && 'content' in second ? second.content : undefined,
            },
            worst.messages[3]?.content[0],
          ],
        },
      ],
    });
  });

  test('models of other vendors get no reasoning, no cache points and no fields that they refuse', () => {
    const { top_k: _topK, tool_choice: _choice, ...plain } = worst;
    const text = JSON.stringify(toConverse('anthropic-messages', plain, llama));
    expect(text).not.toMatch(/cachePoint|reasoningContent|additionalModel/);
    const refused = (body: object) => () => toConverse('anthropic-messages', body, llama);
    expect(refused({ ...plain, top_k: 5 })).toThrow('unsupported_parameter top_k');
    expect(refused(worst)).toThrow('unsupported_parameter');
    const nova = toConverse('anthropic-messages', plain, 'us.amazon.nova-pro-v1:0');
    expect(nova['system']).toContainEqual({ cachePoint: { type: 'default' } });
    expect(JSON.stringify(nova['toolConfig'])).not.toContain('cachePoint');
    const profile = 'arn:aws:bedrock:eu-west-1:1:application-inference-profile/x';
    const hidden = toConverse('anthropic-messages', plain, profile);
    expect(hidden['system']).toEqual(worstConverse.system);
    expect(hidden).not.toHaveProperty('additionalModelRequestFields');
  });

  test('a history with tools gets a tool configuration where the caller defines none', () => {
    const history = {
      messages: [
        user,
        {
          role: 'assistant',
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'read', arguments: '{}' } },
            { id: 'b', type: 'function', function: { name: 'list', arguments: '{' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: '' },
        { role: 'tool', tool_call_id: 'b', content: 'B' },
        { role: 'user', content: 'go' },
      ],
    };
    const got = toConverse('openai-chat', history, llama);
    const tools = (got['toolConfig'] as { tools: { toolSpec: { name: string } }[] }).tools;
    expect(tools.map((tool) => tool.toolSpec.name)).toEqual(['read', 'list']);
    expect(got['messages']).toEqual([
      { role: 'user', content: [{ text: 'x' }] },
      {
        role: 'assistant',
        content: [
          { toolUse: { toolUseId: 'a', name: 'read', input: {} } },
          { toolUse: { toolUseId: 'b', name: 'list', input: { INVALID_JSON: '{' } } },
        ],
      },
      {
        role: 'user',
        content: [
          { toolResult: { toolUseId: 'a', content: [] } },
          { toolResult: { toolUseId: 'b', content: [{ text: 'B' }] } },
          { text: 'go' },
        ],
      },
    ]);
    const orphan = { messages: [{ role: 'tool', tool_call_id: 'a', content: 'A' }] };
    expect(toConverse('openai-chat', orphan)).toHaveProperty(
      'toolConfig.tools.0.toolSpec.name',
      'tool',
    );
    expect(toConverse('openai-chat', { messages: [user] })).not.toHaveProperty('toolConfig');
  });

  test('a choice of no tool leaves the tools out, and is refused where the history holds them', () => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
    const body = { messages: [user], tools, tool_choice: 'none' };
    expect(toConverse('openai-chat', body)).not.toHaveProperty('toolConfig');
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
    const messages = [user, { role: 'assistant', tool_calls: [call] }, user];
    expect(() => toConverse('openai-chat', { ...body, messages })).toThrow(
      'unsupported_parameter tool_choice',
    );
    const choice = (value: unknown) =>
      toConverse('openai-chat', { ...body, tool_choice: value })['toolConfig'];
    expect(choice('required')).toHaveProperty('toolChoice', { any: {} });
    const one = { type: 'function', function: { name: 'f' } };
    expect(choice(one)).toHaveProperty('toolChoice', { tool: { name: 'f' } });
  });

  test('effort and structured output have their own fields', () => {
    const schema = { type: 'object', properties: {} };
    const body = {
      messages: [user],
      reasoning_effort: 'minimal',
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema } },
    };
    expect(toConverse('openai-chat', body)).toMatchObject({
      outputConfig: {
        effort: 'low',
        textFormat: {
          type: 'json_schema',
          structure: { jsonSchema: { name: 'n', schema: JSON.stringify(schema) } },
        },
      },
      additionalModelRequestFields: { thinking: { type: 'adaptive' } },
    });
  });

  test('what Bedrock would refuse is left out or put right', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: ' \n' },
      { role: 'developer', content: 'now in French' },
      { role: 'user', content: 'b' },
    ];
    expect(toConverse('openai-chat', { messages })).toEqual({
      system: [{ text: 'now in French' }],
      messages: [{ role: 'user', content: [{ text: 'a' }, { text: 'b' }] }],
      inferenceConfig: { maxTokens: 4096 },
    });
    const source = { type: 'text', media_type: 'text/plain', data: 'hi' };
    const documents = [1, 2].map(() => ({ type: 'document', source }));
    const got = toConverse('anthropic-messages', {
      messages: [{ role: 'user', content: documents }],
    });
    const bytes = toBase64(utf8('hi'));
    expect(got['messages']).toEqual([
      {
        role: 'user',
        content: [
          { document: { format: 'txt', name: 'document', source: { bytes } } },
          { document: { format: 'txt', name: 'document 2', source: { bytes } } },
          { text: 'See the document.' },
        ],
      },
    ]);
  });

  test('what cannot be said is refused with its place', () => {
    const image = { type: 'image_url', image_url: { url: 'https://a.test/x.png' } };
    const tiff = { type: 'image_url', image_url: { url: 'data:image/tiff;base64,AAAA' } };
    const tool = (name: string) => [{ type: 'function', function: { name, parameters: {} } }];
    const cases: readonly (readonly [object, string])[] = [
      [{ seed: 1 }, 'seed'],
      [{ n: 2 }, 'n'],
      [{ temperature: 1.5 }, 'temperature'],
      [{ presence_penalty: 1 }, 'presence_penalty'],
      [{ logit_bias: { 5: 1 } }, 'logit_bias'],
      [{ response_format: { type: 'json_object' } }, 'response_format'],
      [{ tools: tool('a.b') }, 'tools.0.name'],
      [{ tools: tool('x'.repeat(65)) }, 'tools.0.name'],
      [{ messages: [{ role: 'user', content: [image] }] }, 'messages.0.content.0'],
      [{ messages: [{ role: 'user', content: [tiff] }] }, 'messages.0.content.0'],
      [{ messages: [{ role: 'system', content: 'x' }] }, 'messages'],
    ];
    for (const [over, param] of cases) {
      expect(() => toConverse('openai-chat', { messages: [user], ...over })).toThrow(
        `unsupported_parameter ${param}`,
      );
    }
    const serial = { messages: [user], tools: tool('f'), parallel_tool_calls: false };
    expect(() => toConverse('openai-chat', serial, llama)).toThrow('parallel_tool_calls');
  });
});

describe('ids and names', () => {
  test('any text becomes an id that Bedrock takes, the same each time, and different texts differ', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), fc.string({ maxLength: 120 }), (a, b) => {
        expect(isToolName(idOf(a))).toBe(true);
        expect(idOf(idOf(a))).toBe(idOf(a));
        if (a !== b && /^[a-z0-9]+$/i.test(a + b)) expect(idOf(a)).not.toBe(idOf(b));
      }),
    );
    expect(idOf('call_1')).toBe('call_1');
    expect(idOf('functions.get:0')).toBe('functions_2e_get_3a_0');
    const long = 'x'.repeat(80);
    expect(idOf(`${long}1`)).not.toBe(idOf(`${long}2`));
  });

  test('names of documents are plain and stand once', () => {
    const names = new DocumentNames();
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (title) => {
        expect(names.name(title)).toMatch(/^(?! )(?!.* {2})[A-Za-z0-9 ()[\]-]{1,200}$/);
      }),
    );
    const again = Array.from({ length: 50 }, () => names.name('same'));
    expect(new Set(again).size).toBe(50);
  });
});

describe('requests from Converse', () => {
  const turn = { role: 'user', content: [{ text: 'x' }] };

  test('model and streaming come from the path', () => {
    const { readPath, upstreamPath, decodeRequest } = dialectNamed('bedrock-converse');
    const arn = 'arn:aws:bedrock:us-east-1:1:inference-profile/us.a.b-v1:0';
    for (const model of [claude, arn, 'provider/model', 'ü %']) {
      for (const stream of [false, true]) {
        expect(readPath?.(upstreamPath(model, stream))).toEqual({ model, stream });
      }
    }
    expect(upstreamPath(claude, true)).toBe(
      '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream',
    );
    expect(readPath?.(`/model/${arn}/converse`)).toEqual({ model: arn, stream: false });
    for (const path of [
      '/model/x/invoke',
      '/model//converse',
      '/model/%zz/converse',
      '/converse',
    ]) {
      expect(readPath?.(path)).toBe(undefined);
    }
    const decoded = decodeRequest({ messages: [turn] }, { model: 'm', stream: true });
    expect(decoded.ok && [decoded.value.model, decoded.value.stream]).toEqual(['m', true]);
    const bare = decodeRequest({ messages: [turn], modelId: 'x' });
    expect(bare.ok && [bare.value.model, bare.value.stream]).toEqual([undefined, false]);
  });

  test('what only Bedrock knows is refused elsewhere with its name, and hints are left out', () => {
    const to = (body: object) => () =>
      translated('bedrock-converse', 'openai-chat', { messages: [turn], ...body });
    const guard = { guardrailIdentifier: 'g', guardrailVersion: '1' };
    expect(to({ guardrailConfig: guard })).toThrow('guardrailConfig');
    expect(to({ additionalModelRequestFields: { reasoning_effort: 'low' } })).toThrow(
      'additionalModelRequestFields.reasoning_effort',
    );
    const place = { s3Location: { uri: 's3://b/k' } };
    const block = { image: { format: 'png', source: place } };
    expect(to({ messages: [{ role: 'user', content: [block] }] })).toThrow('messages.0.content.0');
    const lead = { cachePoint: { type: 'default' } };
    expect(to({ messages: [{ role: 'user', content: [lead, { text: 'x' }] }] })).toThrow();
    const hints = {
      requestMetadata: { a: 'b' },
      performanceConfig: { latency: 'optimized' },
      serviceTier: { type: 'flex' },
      additionalModelRequestFields: { anthropic_beta: ['x'] },
    };
    expect(to(hints)()).toEqual({
      model: claude,
      max_tokens: 4096,
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('hostile requests name the field at fault', () => {
    const content = (block: unknown) => ({ messages: [{ role: 'user', content: [block] }] });
    const cases: readonly (readonly [object, string])[] = [
      [{}, 'messages'],
      [{ messages: [] }, 'messages'],
      [{ messages: [{ role: 'tool', content: [] }] }, 'messages.0.role'],
      [{ messages: [{ role: 'user', content: 'x' }] }, 'messages.0.content'],
      [content({}), 'messages.0.content.0'],
      [content({ text: 'a', image: {} }), 'messages.0.content.0'],
      [content({ text: 5 }), 'messages.0.content.0.text'],
      [content({ image: { format: 'png' } }), 'messages.0.content.0.image.source'],
      [content({ toolUse: { name: 'f' } }), 'messages.0.content.0.toolUse.toolUseId'],
      [content({ toolResult: { toolUseId: 'a' } }), 'messages.0.content.0.toolResult.content'],
      [{ messages: [turn], inferenceConfig: { maxTokens: 0 } }, 'inferenceConfig.maxTokens'],
      [{ messages: [turn], inferenceConfig: { topK: 1 } }, 'inferenceConfig.topK'],
      [{ messages: [turn], toolConfig: {} }, 'toolConfig.tools'],
      [
        { messages: [turn], toolConfig: { tools: [{ toolSpec: { name: 'f' } }] } },
        'toolConfig.tools.0.toolSpec.inputSchema',
      ],
      [
        { messages: [turn], toolConfig: { tools: [], toolChoice: { some: {} } } },
        'toolConfig.toolChoice',
      ],
      [
        { messages: [turn], additionalModelRequestFields: { thinking: { type: 'enabled' } } },
        'additionalModelRequestFields.thinking.budget_tokens',
      ],
      [{ messages: [turn], additionalModelRequestFields: 5 }, 'additionalModelRequestFields'],
    ];
    for (const [body, param] of cases) {
      const decoded = dialectNamed('bedrock-converse').decodeRequest(
        jsonObjectOf(JSON.stringify(body)) ?? {},
      );
      expect(decoded.ok ? 'decoded' : `${decoded.error.code} ${decoded.error.param}`).toBe(
        `invalid_request ${param}`,
      );
    }
  });

  test('what passes through gets a cap where it has none, and is else not touched', () => {
    const patched = (text: string, maxOutputTokens?: number) => {
      const result = dialectNamed('bedrock-converse').patchRequest(text, {
        model: 'up',
        maxOutputTokens,
      });
      return result.ok ? result.value : result.error.message;
    };
    const text = '{ "messages": [ 1.50 ], "inferenceConfig": {"topP":1.0} }';
    expect(patched(text)).toBe(text);
    expect(patched(text, 9)).toBe(
      '{ "messages": [ 1.50 ], "inferenceConfig": {"topP":1.0,"maxTokens":9} }',
    );
    expect(patched('{"inferenceConfig":{"maxTokens":5 }}', 9)).toBe(
      '{"inferenceConfig":{"maxTokens":5 }}',
    );
    expect(patched('{"inferenceConfig":{"maxTokens":null}}', 9)).toBe(
      '{"inferenceConfig":{"maxTokens":9}}',
    );
    expect(patched('{"inferenceConfig":null}', 9)).toBe('{"inferenceConfig":{"maxTokens":9}}');
    expect(patched('{}', 9)).toBe('{"inferenceConfig":{"maxTokens":9}}');
  });

  test('a huge history is written in linear time', () => {
    const source = { type: 'text', media_type: 'text/plain', data: 'x' };
    const content = Array.from({ length: 10_000 }, () => ({ type: 'document', source }));
    const turns = Array.from({ length: 10_000 }, () => [user, { role: 'assistant', content: ' ' }]);
    const id = 'x'.repeat(1_000_000);
    const call = { role: 'assistant', content: [{ type: 'tool_use', id, name: 'f', input: {} }] };
    const start = performance.now();
    const got = toConverse('anthropic-messages', {
      messages: [...turns.flat(), { role: 'user', content }, call],
    });
    expect(performance.now() - start).toBeLessThan(5000);
    const [first] = got['messages'] as readonly { content: readonly unknown[] }[];
    expect(first?.content.length).toBe(20_000);
  });
});
