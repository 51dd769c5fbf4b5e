import { describe, expect, test } from 'vitest';
import { utf8, utf8Text } from '../base/index.ts';
import type { AnswerContext } from './dialect.ts';
import type { DialectName } from './model.ts';
import { dialectNamed } from './table.ts';

const context: AnswerContext = {
  requestId: 'r',
  nowMs: 0,
  receivedAtMs: 0,
  model: 'm',
  streamUsage: false,
};

function patched(name: DialectName, text: string, maxOutputTokens?: number): string {
  const result = dialectNamed(name).patchRequest(text, { model: 'up', maxOutputTokens });
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

describe('requests that pass through', () => {
  test('only model, cap and the wish for usage change; every other byte stays', () => {
    const text =
      '{ "messages": [ {"role":"user","content":"\\u00e9","x":1.50} ],\n "model":"instant", "stream": true, "stream_options": {"include_obfuscation":false}, "zz": [1e2] }';
    expect(patched('openai-chat', text, 99)).toBe(
      '{ "messages": [ {"role":"user","content":"\\u00e9","x":1.50} ],\n "model":"up", "stream": true, "stream_options": {"include_obfuscation":false,"include_usage":true}, "zz": [1e2],"max_tokens":99 }',
    );
    expect(
      patched('openai-chat', '{"stream":true,"stream_options":null,"max_completion_tokens":5}', 9),
    ).toBe(
      '{"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":5,"model":"up"}',
    );
    expect(patched('openai-chat', '{"stream":false,"max_tokens":null}', 9)).toBe(
      '{"stream":false,"max_tokens":9,"model":"up"}',
    );
  });

  test('the cap has the name that the model behind knows', () => {
    const cap = (model: string) => {
      const result = dialectNamed('openai-chat').patchRequest('{}', { model, maxOutputTokens: 7 });
      return result.ok ? result.value : '';
    };
    expect(cap('gpt-5.2')).toContain('max_completion_tokens');
    expect(cap('openai/o3-mini')).toContain('max_completion_tokens');
    expect(cap('gpt-oss:20b')).toContain('"max_tokens"');
    expect(cap('gpt-4o')).toContain('"max_tokens"');
    expect(cap('llama3.1')).toContain('"max_tokens"');
  });

  test('cache markers, signatures and unknown blocks of a Messages request are not touched', () => {
    const text =
      '{"model":"x","max_tokens":10,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"assistant","content":[{"type":"new_block","n":1.0}]}]}';
    expect(patched('anthropic-messages', text, 5)).toBe(text.replace('"x"', '"up"'));
    expect(patched('anthropic-messages', '{"messages":[]}', 5)).toBe(
      '{"messages":[],"model":"up","max_tokens":5}',
    );
  });

  test('input is sent on as prompt', () => {
    expect(patched('openai-completions', '{"model":"m","input":"ping","n":1}')).toBe(
      '{"model":"up","n":1,"prompt":"ping"}',
    );
    expect(patched('ask', '{"prompt":"p"}', 5)).toBe('{"prompt":"p","model":"up"}');
  });
});

describe('streams that pass through', () => {
  const chunk = (members: object) => `data: ${JSON.stringify({ id: 'c', ...members })}\n\n`;
  const text = chunk({ choices: [{ index: 0, delta: { content: 'Hello' } }] });
  const finish = chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  const usage = chunk({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } });
  const done = 'data: [DONE]\n\n';

  test('usage that was forced is read and held back, unless the caller asked for it', () => {
    for (const streamUsage of [false, true]) {
      const watcher = dialectNamed('openai-chat').streamWatcher({ ...context, streamUsage });
      const out = watcher.push(utf8(`: hi\n\n${text}${finish}${usage}${done}`));
      expect(out.ok ? utf8Text(out.value) : out.error).toBe(
        `: hi\n\n${text}${finish}${streamUsage ? usage : ''}${done}`,
      );
      expect(watcher.finish().ok).toBe(true);
      expect(watcher.usage()).toMatchObject({ input: 3, output: 2 });
      expect(watcher.deliveredChars()).toBe(5);
    }
  });

  test('a frame is forwarded when it is whole and not before', () => {
    const watcher = dialectNamed('openai-chat').streamWatcher(context);
    const half = watcher.push(utf8(text.slice(0, 20)));
    expect(half.ok && half.value.length).toBe(0);
    const rest = watcher.push(utf8(text.slice(20)));
    expect(rest.ok && utf8Text(rest.value)).toBe(text);
    expect(watcher.finish().ok).toBe(false);
  });

  test('an error frame of the upstream is an error and is not forwarded', () => {
    const watcher = dialectNamed('openai-chat').streamWatcher(context);
    const first = watcher.push(utf8(`${text}${chunk({ error: { message: 'key sk-1' } })}${done}`));
    expect(first.ok && utf8Text(first.value)).toBe(text);
    const next = watcher.push(utf8(done));
    expect(next.ok ? 'forwarded' : next.error.code).toBe('upstream_error');
    expect(watcher.finish().ok).toBe(false);
  });

  test('a Messages stream is metered from both of its usage frames', () => {
    const watcher = dialectNamed('anthropic-messages').streamWatcher(context);
    const frame = (type: string, members: object) =>
      `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
    const whole = [
      frame('message_start', {
        message: { usage: { input_tokens: 9, cache_read_input_tokens: 4, output_tokens: 1 } },
      }),
      frame('content_block_start', {
        index: 0,
        content_block: { type: 'tool_use', id: 't', name: 'abc' },
      }),
      frame('content_block_delta', {
        index: 0,
        delta: { type: 'input_json_delta', partial_json: '{}' },
      }),
      frame('content_block_delta', { index: 0, delta: { type: 'brand_new_delta', x: 1 } }),
      frame('brand_new_event', {}),
      frame('content_block_stop', { index: 0 }),
      frame('message_delta', { delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 12 } }),
      frame('message_stop', {}),
    ].join('');
    const out = watcher.push(utf8(whole));
    expect(out.ok && utf8Text(out.value)).toBe(whole);
    expect(watcher.finish().ok).toBe(true);
    expect(watcher.usage()).toMatchObject({ input: 9, cacheRead: 4, output: 12 });
    expect(watcher.deliveredChars()).toBe(5);
  });
});
