import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { utf8, utf8Text } from '../base/index.ts';
import { errorTable, isErrorCode, refusal } from '../errors/index.ts';
import { dialects, dialectNamed } from './table.ts';

const headers = { retryAfter: undefined, errorType: undefined };

function envelope(
  name: 'openai-chat' | 'anthropic-messages' | 'ask',
  of: ReturnType<typeof refusal>,
) {
  const wire = dialectNamed(name).encodeRefusal(of, 'req_9');
  return { ...wire, body: JSON.parse(utf8Text(wire.body) ?? '') as JsonObject };
}

describe('refusals before the first byte', () => {
  test('OpenAI clients get their envelope, a request id and advice about retries', () => {
    const wire = envelope(
      'openai-chat',
      refusal('rate_limited', 'Slow down.', { retryAfterMs: 1500 }),
    );
    expect(wire).toEqual({
      status: 429,
      contentType: 'application/json',
      headers: {
        'x-request-id': 'req_9',
        'request-id': 'req_9',
        'x-should-retry': 'true',
        'retry-after': '2',
        'retry-after-ms': '1500',
      },
      body: {
        error: {
          message: 'Slow down.',
          type: 'rate_limit_error',
          param: null,
          code: 'rate_limit_exceeded',
        },
      },
    });
    const ask = envelope('ask', refusal('invalid_request', 'x', { param: 'prompt' }));
    expect(ask.body).toEqual({
      error: { message: 'x', type: 'invalid_request_error', param: 'prompt', code: null },
    });
  });

  test('Anthropic clients get theirs, with the request id in the body too', () => {
    const wire = envelope('anthropic-messages', refusal('model_not_found', 'No such model.'));
    expect(wire.status).toBe(404);
    expect(wire.headers['request-id']).toBe('req_9');
    expect(wire.body).toEqual({
      type: 'error',
      error: { type: 'not_found_error', message: 'No such model.' },
      request_id: 'req_9',
    });
  });

  test('no client is told to try again where that cannot help', () => {
    for (const code of Object.keys(errorTable)) {
      if (!isErrorCode(code)) continue;
      const wire = envelope('openai-chat', refusal(code, 'x'));
      expect(wire.headers['x-should-retry']).toBe(
        errorTable[code].retry === 'yes' ? 'true' : 'false',
      );
      expect(wire.status).toBeGreaterThanOrEqual(400);
    }
    const long = envelope('openai-chat', refusal('rate_limited', 'x', { retryAfterMs: 3_600_000 }));
    expect(long.headers['x-should-retry']).toBe('false');
    expect(long.headers['retry-after']).toBe('3600');
  });
});

describe('refusals inside a stream', () => {
  test('each format has its own error event and no end after it', () => {
    const of = refusal('rate_limited', 'The limit is reached.');
    const text = (name: 'openai-chat' | 'openai-completions' | 'anthropic-messages' | 'ask') =>
      utf8Text(dialectNamed(name).encodeStreamRefusal(of, 'req_9'));
    const openai =
      '{"error":{"message":"The limit is reached.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}';
    expect(text('openai-chat')).toBe(`data: ${openai}\n\n`);
    expect(text('openai-completions')).toBe(`data: ${openai}\n\n`);
    expect(text('ask')).toBe(`event: error\ndata: ${openai}\n\n`);
    expect(text('anthropic-messages')).toBe(
      'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"The limit is reached."},"request_id":"req_9"}\n\n',
    );
  });

  test('every format reads the error event that it writes', () => {
    for (const dialect of Object.values(dialects)) {
      const of = refusal('upstream_overloaded', 'No room.');
      const bytes = dialect.encodeStreamRefusal(of, 'req_9');
      expect(dialect.streamDecoder().push(bytes).ok).toBe(false);
      expect(dialect.streamWatcher(context).push(bytes).ok).toBe(false);
    }
  });
});

const context = {
  requestId: 'r',
  nowMs: 0,
  receivedAtMs: 0,
  model: 'm',
  streamUsage: false,
};

describe('errors of upstreams', () => {
  const openai = (status: number, error: unknown, retryAfter?: string) =>
    dialectNamed('openai-chat').decodeUpstreamError(
      status,
      { ...headers, retryAfter },
      typeof error === 'string' ? error : JSON.stringify(error),
    );

  test('a refused credential is the gateway’s, never the caller’s, and its words stay here', () => {
    for (const status of [401, 403]) {
      const got = openai(status, { error: { message: 'Incorrect API key provided: sk-abc' } });
      expect(got.code).toBe('upstream_credential');
      expect(got.status).toBe(undefined);
      expect(JSON.stringify(got)).not.toContain('sk-abc');
    }
    const broke = {
      error: { message: 'quota', type: 'insufficient_quota', code: 'insufficient_quota' },
    };
    expect(openai(429, broke).code).toBe('upstream_credential');
    const credit = {
      type: 'error',
      error: {
        type: 'invalid_request_error',
        message: 'Your credit balance is too low to access the API.',
      },
    };
    expect(openai(400, credit).code).toBe('upstream_credential');
    expect(openai(402, 'pay').code).toBe('upstream_credential');
  });

  test('what the caller did wrong comes back in the upstream’s words and status', () => {
    const got = openai(400, {
      error: {
        message: 'Too long.\u001b[31m',
        type: 'invalid_request_error',
        param: 'messages',
        code: 'context_length_exceeded',
      },
    });
    expect(got).toEqual({
      code: 'upstream_rejected',
      message: 'Too long. [31m',
      param: 'messages',
      status: 400,
      detail: {
        upstreamStatus: 400,
        upstreamType: 'invalid_request_error',
        upstreamCode: 'context_length_exceeded',
      },
    });
    const body = envelope('openai-chat', got).body as { error: { code: string } };
    expect(body.error.code).toBe('context_length_exceeded');
    expect(openai(422, { detail: 'bad field' })).toMatchObject({
      status: 422,
      message: 'bad field',
    });
    expect(openai(413, '<html>')).toMatchObject({ code: 'upstream_rejected', status: 413 });
    expect(envelope('anthropic-messages', openai(413, '<html>')).body).toHaveProperty(
      'error.type',
      'request_too_large',
    );
    expect(openai(400, { error: { message: 'x'.repeat(9999) } }).message.length).toBe(2001);
  });

  test('limits and overload keep the wait, and failures keep their words to themselves', () => {
    expect(openai(429, {}, '1.5')).toMatchObject({
      code: 'upstream_rate_limited',
      retryAfterMs: 1500,
    });
    expect(openai(429, {}, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBe(undefined);
    expect(openai(529, {}).code).toBe('upstream_overloaded');
    expect(openai(503, {}, '3')).toMatchObject({ code: 'upstream_overloaded', retryAfterMs: 3000 });
    expect(openai(504, '').code).toBe('upstream_timeout');
    expect(openai(500, { error: { message: 'stack trace at db.internal' } }).message).not.toContain(
      'db',
    );
    expect(openai(418, '').code).toBe('upstream_error');
    expect(openai(404, { error: { code: 'model_not_found' } }).code).toBe('model_not_found');
    expect(openai(404, { error: 'model "x" not found, try pulling it' }).code).toBe(
      'model_not_found',
    );
    expect(openai(404, '404 page not found').code).toBe('upstream_error');
  });

  test('an error frame says what happened by its type', () => {
    const frame = (type: string) =>
      utf8(`event: error\ndata: {"type":"error","error":{"type":"${type}","message":"m"}}\n\n`);
    const expected = {
      overloaded_error: 'upstream_overloaded',
      rate_limit_error: 'upstream_rate_limited',
      api_error: 'upstream_error',
      invalid_request_error: 'upstream_rejected',
      authentication_error: 'upstream_credential',
      timeout_error: 'upstream_timeout',
    };
    for (const [type, code] of Object.entries(expected)) {
      const got = dialectNamed('anthropic-messages').streamDecoder().push(frame(type));
      expect(got.ok ? 'read' : got.error.code).toBe(code);
    }
  });
});
