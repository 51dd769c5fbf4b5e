/** What an agent's provider caches is a prefix of bytes: it has to be the same from turn to turn, however long it grows. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { whole } from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let key = '';

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  const openai = { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] };
  gateway = await startGateway({
    config: {
      providers: {
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'], maxOutputTokens: 100 },
        chat: { ...openai, api: ['chat'] },
        rsp: { ...openai, api: ['responses'] },
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('agent');
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const session = '5222aba9-5773-47d0-91d2-42c841072ce4';
const betas = 'claude-code-20250219,interleaved-thinking-2025-05-14,made-up-2099-01-01';

async function send(path: string, body: string): Promise<string> {
  upstream.forget();
  upstream.expect(path === '/v1/messages' ? whole.anthropic : whole['openai-chat']);
  const answer = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'anthropic-version': '2023-06-01',
      'anthropic-beta': betas,
      'x-claude-code-session-id': session,
    },
    body,
  });
  await answer.text();
  return upstream.received.at(-1)?.body ?? '';
}

/** Members out of order, odd spacing, escapes, numbers as their writer spelt them, fields that nobody knows. */
const odd =
  '"tools": [{"name":"z","input_schema":{"type":"object","properties":{"b":{"type":"number"},"a":{}}},"cache_control":{"type":"ephemeral","ttl":"1h"}},{"input_schema":{"type":"object"},"name":"a"}],  "x_new" : {"z":1.0,"y":1e2,"\\u0061":"\\ud83d\\ude00"}, "temperature":1.0';

describe('in its own format a request goes on byte for byte', () => {
  test.each([
    [
      '/v1/messages',
      'ant',
      (m: string) =>
        `{"model": "${m}",${odd},"max_tokens":9,"messages":[{"content":"hi","role":"user"}]}`,
    ],
    [
      '/v1/chat/completions',
      'chat',
      (m: string) =>
        `{"messages":[{"content":"hi","role":"user"}], "x":{"b":1.0,"a":2}, "max_tokens":9,"model":"${m}"}`,
    ],
    [
      '/v1/responses',
      'rsp',
      (m: string) =>
        `{ "input":[{"content":"hi","role":"user","type":"message"}],"max_output_tokens":9,"model":"${m}","tools":[{"type":"custom","name":"q"}],"store":true}`,
    ],
  ])('%s', async (path, provider, body) => {
    const sent = await send(path, body(`${provider}/up`));
    expect(sent).toBe(body('up'));
  });
});

test('the headers of the contract go on, the session is in the log and nowhere else', async () => {
  await send(
    '/v1/messages',
    '{"model":"ant/up","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}',
  );
  const headers = new Map(upstream.received.at(-1)?.headers ?? []);
  expect(headers.get('anthropic-beta')).toBe(betas);
  expect(headers.get('anthropic-version')).toBe('2023-06-01');
  expect(headers.has('x-claude-code-session-id')).toBe(false);
  expect(await gateway.logged((line) => line['session'] === session)).toBeDefined();
});

const picture = 'A'.repeat(1_000_000);
/** A session of an agent: every turn reads a picture with a tool and thinks about it. */
function turns(count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => [
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: `turn ${index}`, signature: `sig${index}==` },
        { type: 'tool_use', id: `toolu_${index}`, name: 'see', input: { z: index, a: 1 } },
      ],
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: `toolu_${index}`,
          content: [
            {
              type: 'image',
              source: {
                type: 'base64',
                media_type: 'image/png',
                data: index < 10 ? picture : 'AAAA',
              },
            },
          ],
        },
      ],
    },
  ]).flat();
}
const request = (model: string, count: number): string =>
  JSON.stringify({
    model,
    max_tokens: 9,
    system: [{ type: 'text', text: 'You see.', cache_control: { type: 'ephemeral' } }],
    tools: [
      { name: 'see', input_schema: { type: 'object', properties: { z: {}, a: {} } } },
      { name: 'act', input_schema: { type: 'object' } },
    ],
    messages: [{ role: 'user', content: 'go' }, ...turns(count)],
  });

test('a history of 200 turns and 10 MB of pictures passes, in its own format and translated', async () => {
  const own = await send('/v1/messages', request('ant/up', 200));
  expect(own.length).toBeGreaterThan(10_000_000);
  expect(own === request('up', 200)).toBe(true);
  const chat = await send('/v1/messages', request('chat/up', 200));
  expect(chat.length).toBeGreaterThan(10_000_000);
}, 120_000);

test('a translated prompt only grows at its end: what a server cached of it stays true', async () => {
  const messagesOf = async (count: number): Promise<string> => {
    const sent = await send('/v1/messages', request('chat/up', count));
    const { tools, messages } = JSON.parse(sent) as { tools: unknown; messages: unknown[] };
    return JSON.stringify([tools, ...messages]).slice(0, -1);
  };
  const [short, long] = [await messagesOf(11), await messagesOf(12)];
  expect(long.startsWith(short)).toBe(true);
}, 120_000);
