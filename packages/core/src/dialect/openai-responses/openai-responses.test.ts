import { describe, expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../../base/index.ts';
import { jsonObjectOf, utf8, utf8Text } from '../../base/index.ts';
import { refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { fold } from '../fold.ts';
import type { Completion } from '../model.ts';
import { dialectNamed } from '../table.ts';
import { openAiResponses } from './openai-responses.ts';

const context: AnswerContext = {
  requestId: 'r',
  nowMs: 1_700_000_000_000,
  receivedAtMs: 0,
  model: 'asked',
  streamUsage: true,
};
const target = { model: 'up', maxOutputTokens: 9 };

function decoded(body: object) {
  const result = openAiResponses.decodeRequest(jsonObjectOf(JSON.stringify(body)) ?? {});
  if (!result.ok) throw new Error(`${result.error.code} ${result.error.param}`);
  return result.value;
}

function reads(...events: readonly JsonObject[]) {
  const decoder = openAiResponses.streamDecoder();
  const frames = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  const pushed = decoder.push(utf8(frames));
  const last = pushed.ok ? decoder.finish() : pushed;
  return pushed.ok && last.ok ? fold([...pushed.value, ...last.value]) : last;
}

const response = (members: object): JsonObject => ({
  id: 'resp_1',
  model: 'm',
  status: 'completed',
  output: [],
  ...members,
});
const created = { type: 'response.created', response: response({ status: 'in_progress' }) };
const completed = (...output: readonly JsonValue[]) => ({
  type: 'response.completed',
  response: response({ output }),
});
const said = (text: string) => ({
  type: 'message',
  id: 'msg_1',
  content: [{ type: 'output_text', text }],
});

describe('requests', () => {
  test('that are hostile name the field at fault', () => {
    const cases: readonly (readonly [object, string])[] = [
      [{}, 'input'],
      [{ input: [] }, 'input'],
      [{ input: {} }, 'input'],
      [{ input: ['x'] }, 'input.0'],
      [{ input: [{}] }, 'input.0.type'],
      [{ input: [{ type: 'message' }] }, 'input.0.role'],
      [{ input: [{ role: 'root', content: 'x' }] }, 'input.0.role'],
      [{ input: [{ role: 'user', content: 5 }] }, 'input.0.content'],
      [{ input: [{ role: 'user', content: [{ type: 'input_text' }] }] }, 'input.0.content.0.text'],
      [
        {
          input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'file:///etc' }] }],
        },
        'input.0.content.0.image_url',
      ],
      [
        { input: [{ role: 'user', content: [{ type: 'input_file' }] }] },
        'input.0.content.0.file_data',
      ],
      [{ input: [{ type: 'function_call', name: 'f' }] }, 'input.0.call_id'],
      [{ input: [{ type: 'function_call_output', output: 'x' }] }, 'input.0.call_id'],
      [{ input: [{ type: 'reasoning', summary: 'x' }] }, 'input.0.summary'],
      [{ input: 'x', instructions: 5 }, 'instructions'],
      [{ input: 'x', max_output_tokens: 0 }, 'max_output_tokens'],
      [{ input: 'x', stream: 'yes' }, 'stream'],
      [{ input: 'x', tools: [{ name: 'f' }] }, 'tools.0.type'],
      [{ input: 'x', tools: [{ type: 'function' }] }, 'tools.0.name'],
      [{ input: 'x', tool_choice: 'always' }, 'tool_choice'],
      [{ input: 'x', text: { format: { type: 'json_schema', name: 'n' } } }, 'text.format.schema'],
      [{ input: 'x', reasoning: 'low' }, 'reasoning'],
    ];
    for (const [body, param] of cases) {
      expect(() => decoded(body)).toThrow(`invalid_request ${param}`);
    }
  });

  test('what the model gave one after the other is one turn, and results of tools are another', () => {
    const { messages } = decoded({
      input: [
        { role: 'user', content: 'q' },
        { type: 'reasoning', summary: [{ text: 'a' }, { text: 'b' }], encrypted_content: 'x' },
        { role: 'assistant', content: 'w' },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '' },
        { type: 'custom_tool_call', call_id: 'd', name: 'g', input: 'raw' },
        { type: 'function_call_output', call_id: 'c', output: 'r' },
        { type: 'custom_tool_call_output', call_id: 'd', output: 's' },
        { role: 'system', content: 'later' },
      ],
    });
    expect(
      messages.map(({ role, content }) => [role, ...content.map((part) => part.kind)]),
    ).toEqual([
      ['user', 'text'],
      ['assistant', 'thinking', 'text', 'tool-call', 'foreign'],
      ['user', 'tool-result', 'foreign'],
      ['system', 'text'],
    ]);
    expect(messages[1]?.content[0]).toEqual({
      kind: 'thinking',
      text: 'a\n\nb',
      signature: 'openai-responses:x',
    });
    expect(messages[1]?.content[2]).toMatchObject({ arguments: '{}' });
  });

  test('pass through with the model and a missing cap alone changed', () => {
    const patched = (text: string) => {
      const result = openAiResponses.patchRequest(text, { model: 'up', maxOutputTokens: 7 });
      return result.ok ? result.value : '';
    };
    expect(patched('{ "input":"\\u00e9", "x":1.50,"model":"a","stream":true }')).toBe(
      '{ "input":"\\u00e9", "x":1.50,"model":"up","stream":true,"max_output_tokens":7 }',
    );
    expect(patched('{"max_output_tokens":3}')).toBe('{"max_output_tokens":3,"model":"up"}');
    expect(patched('{"max_output_tokens":null}')).toBe('{"max_output_tokens":7,"model":"up"}');
  });

  test('of a Messages client store nothing, and signed thinking goes to its signer only', () => {
    const messages = dialectNamed('anthropic-messages').decodeRequest({
      messages: [
        { role: 'user', content: 'q' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'own', signature: 'openai-responses:seal' },
            { type: 'thinking', thinking: 'other', signature: 'c2ln' },
            { type: 'redacted_thinking', data: 'x' },
            { type: 'text', text: 'a' },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't', content: 'gone', is_error: true },
            { type: 'text', text: 'b' },
          ],
        },
      ],
      thinking: { type: 'disabled' },
    });
    if (!messages.ok) throw new Error(messages.error.message);
    const encoded = openAiResponses.encodeRequest(messages.value, target);
    expect(encoded).toEqual({
      ok: true,
      value: {
        model: 'up',
        input: [
          { type: 'message', role: 'user', content: 'q' },
          {
            type: 'reasoning',
            summary: [{ type: 'summary_text', text: 'own' }],
            encrypted_content: 'seal',
          },
          {
            type: 'message',
            role: 'assistant',
            content: [{ type: 'output_text', text: 'a', annotations: [] }],
          },
          { type: 'function_call_output', call_id: 't', output: 'Error: gone' },
          { type: 'message', role: 'user', content: 'b' },
        ],
        max_output_tokens: 9,
        store: false,
        reasoning: { effort: 'none' },
      },
    });
  });

  test('say what the format has no word for', () => {
    const chat = dialectNamed('openai-chat');
    const cases: readonly (readonly [object, string])[] = [
      [{ stop: 'END' }, 'stop'],
      [{ seed: 1 }, 'seed'],
      [{ top_k: 4 }, 'top_k'],
      [{ presence_penalty: 1 }, 'presence_penalty'],
      [{ n: 2 }, 'n'],
    ];
    for (const [extra, param] of cases) {
      const asked = chat.decodeRequest({ messages: [{ role: 'user', content: 'x' }], ...extra });
      const encoded = asked.ok ? openAiResponses.encodeRequest(asked.value, target) : asked;
      expect(encoded).toMatchObject({ ok: false, error: { code: 'unsupported_parameter', param } });
    }
  });
});

describe('streams of servers that differ', () => {
  const whole = (...content: readonly object[]) => ({ ok: true, value: { content } });
  const text = { kind: 'text', text: 'Hello' };
  const delta = (piece: string) => ({
    type: 'response.output_text.delta',
    output_index: 0,
    content_index: 0,
    delta: piece,
  });

  test('that stream only the end, only the items, or say all of it twice read the same', () => {
    const done = { type: 'response.output_item.done', output_index: 0, item: said('Hello') };
    expect(reads(completed(said('Hello')))).toMatchObject(whole(text));
    expect(reads(created, done, completed())).toMatchObject(whole(text));
    expect(reads(created, done, completed(said('Hello')))).toMatchObject(whole(text));
    expect(reads(created, delta('Hel'), delta('lo'), completed(said('Hello')))).toMatchObject(
      whole(text),
    );
    expect(
      reads(
        created,
        { type: 'response.output_item.added', output_index: 0, item: said('') },
        delta('Hel'),
        delta('lo'),
        { type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'Hello' },
        done,
        completed(said('Hello')),
      ),
    ).toMatchObject(whole(text));
  });

  test('a call whose arguments come with its end is whole, and ends the turn', () => {
    const item = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{"a":1}' };
    const added = { type: 'response.output_item.added', output_index: 0, item };
    const done = { type: 'response.output_item.done', output_index: 0, item };
    const call = { kind: 'tool-call', id: 'c', name: 'f', arguments: '{"a":1}' };
    for (const events of [
      [created, added, done, completed()],
      [created, added, completed(item)],
      [created, done, completed()],
    ]) {
      expect(reads(...events)).toMatchObject({
        ok: true,
        value: { content: [call], stop: 'tool-calls' },
      });
    }
  });

  test('paragraphs of a summary stay apart, and reasoning in the clear is read too', () => {
    const part = (index: number, piece: string) => ({
      type: 'response.reasoning_summary_text.delta',
      output_index: 0,
      summary_index: index,
      delta: piece,
    });
    const done = (item: object) => ({
      type: 'response.output_item.done',
      output_index: 0,
      item: { type: 'reasoning', ...item },
    });
    expect(
      reads(
        created,
        part(0, 'a'),
        part(0, 'b'),
        part(1, 'c'),
        done({ encrypted_content: 'x' }),
        completed(),
      ),
    ).toMatchObject(whole({ kind: 'thinking', text: 'ab\n\nc', signature: 'openai-responses:x' }));
    const clear = { type: 'response.reasoning_text.delta', output_index: 0, delta: 'Hm.' };
    expect(reads(created, clear, done({ summary: [] }), completed())).toMatchObject(
      whole({ kind: 'thinking', text: 'Hm.' }),
    );
  });

  test('breaches and failures are errors, never an end', () => {
    const cut = response({ status: 'incomplete', incomplete_details: { reason: 'new' } });
    const cases: readonly (readonly [readonly JsonObject[], string])[] = [
      [[delta('x')], 'before response.created'],
      [[created, { type: 'response.incomplete', response: cut }], 'incomplete new'],
      [
        [
          created,
          {
            type: 'response.function_call_arguments.delta',
            output_index: 0,
            delta: 'x',
          },
        ],
        'arguments outside a call',
      ],
      [[created, delta('x')], 'before its end'],
      [
        [created, { type: 'error', code: 'rate_limit_exceeded', message: 'm' }],
        'limits its callers',
      ],
      [
        [
          created,
          {
            type: 'response.failed',
            response: response({ error: { code: 'server_error', message: 'secret' } }),
          },
        ],
        'failed in the middle',
      ],
    ];
    for (const [events, why] of cases) {
      const result = reads(...events);
      const next = result.ok ? undefined : result.error.message;
      expect(next ?? 'read').toContain(why);
    }
  });

  test('the error event goes on with the numbers of what was forwarded', () => {
    const watcher = openAiResponses.streamWatcher(context);
    watcher.push(utf8(`data: ${JSON.stringify({ ...created, sequence_number: 6 })}\n\n`));
    const event = watcher.encodeRefusal?.(refusal('upstream_error', 'It failed.'));
    const text = event === undefined ? '' : (utf8Text(event) ?? '');
    expect(text).toContain('event: error\ndata: {"type":"error","sequence_number":7,');
    expect(text).toContain(
      'event: response.failed\ndata: {"type":"response.failed","sequence_number":8,',
    );
    expect(text).toContain('"id":"resp_1"');
    expect(text).toContain('"status":"failed"');
    expect(text).toContain('"error":{"code":"upstream_error","message":"It failed."}}}');
  });
});

test('a group of tools is one list elsewhere, and its calls come back under both names', () => {
  const responses = dialectNamed('openai-responses');
  const body = {
    model: 'm',
    tools: [
      {
        type: 'namespace',
        name: 'agents',
        tools: [{ type: 'function', name: 'close', parameters: { type: 'object' } }],
      },
      { type: 'web_search', external_web_access: false },
    ],
    input: [
      { role: 'user', content: 'hi' },
      { type: 'function_call', call_id: 'c1', namespace: 'agents', name: 'close', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'ok' },
    ],
  };
  const asked = responses.decodeRequest(body);
  if (!asked.ok) throw new Error(asked.error.message);
  expect(asked.value.tools.map(({ name }) => name)).toEqual(['agents__close']);
  expect(asked.value.messages[1]?.content).toMatchObject([{ name: 'agents__close' }]);
  const completion: Completion = {
    id: 'r',
    model: 'm',
    content: [{ kind: 'tool-call', id: 'c2', name: 'agents__close', arguments: '{}' }],
    stop: 'tool-calls',
  };
  const answered = responses.encodeAnswer(completion, { ...context, conversation: asked.value });
  expect(answered['output']).toMatchObject([
    { type: 'function_call', call_id: 'c2', namespace: 'agents', name: 'close' },
  ]);
});
