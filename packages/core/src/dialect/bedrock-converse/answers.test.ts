import { describe, expect, test } from 'vitest';
import { decodeEventMessage } from '../../base/event-stream/index.ts';
import type { JsonObject } from '../../base/index.ts';
import { jsonObjectOf, utf8Text } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { errorTable, isErrorCode, refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { dialectNamed } from '../table.ts';

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_500,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};

const converse = dialectNamed('bedrock-converse');

describe('errors', () => {
  const wire = (of: Refusal) => {
    const got = converse.encodeRefusal(of, 'req_9');
    return { ...got, body: jsonObjectOf(utf8Text(got.body) ?? '') };
  };

  test('a refusal has its type in the header and its words in the body', () => {
    expect(wire(refusal('rate_limited', 'Slow.', { retryAfterMs: 1500 }))).toEqual({
      status: 429,
      contentType: 'application/json',
      headers: {
        'x-amzn-errortype': 'ThrottlingException',
        'x-amzn-requestid': 'req_9',
        'x-request-id': 'req_9',
        'request-id': 'req_9',
        'x-should-retry': 'true',
        'retry-after': '2',
        'retry-after-ms': '1500',
      },
      body: { message: 'Slow.' },
    });
    const type = (of: Refusal) => wire(of).headers['x-amzn-errortype'];
    expect(type(refusal('invalid_request', 'x'))).toBe('ValidationException');
    expect(type(refusal('body_too_large', 'x'))).toBe('ValidationException');
    expect(type(refusal('credential_missing', 'x'))).toBe('AccessDeniedException');
    expect(type(refusal('access_denied', 'x'))).toBe('AccessDeniedException');
    expect(type(refusal('model_not_found', 'x'))).toBe('ResourceNotFoundException');
    expect(type(refusal('upstream_overloaded', 'x'))).toBe('ServiceUnavailableException');
    expect(type(refusal('upstream_timeout', 'x'))).toBe('ModelTimeoutException');
    expect(type(refusal('upstream_error', 'x'))).toBe('InternalServerException');
    expect(type(refusal('internal', 'x'))).toBe('InternalServerException');
  });

  test('inside a stream each code is an exception that client libraries know', () => {
    const known = [
      'internalServerException',
      'modelStreamErrorException',
      'serviceUnavailableException',
      'throttlingException',
      'validationException',
    ];
    for (const code of Object.keys(errorTable)) {
      if (!isErrorCode(code)) continue;
      const message = decodeEventMessage(converse.encodeStreamRefusal(refusal(code, 'w'), 'r'));
      if (!message.ok) throw new Error(message.error.what);
      expect(known).toContain(message.value.headers.get(':exception-type')?.value);
      expect(message.value.headers.get(':message-type')?.value).toBe('exception');
      expect(utf8Text(message.value.payload)).toBe('{"message":"w"}');
    }
  });

  test('an error answer of the service is the refusal that it means', () => {
    const of = (status: number, errorType: string | undefined, body: object | string) =>
      converse.decodeUpstreamError(
        status,
        { retryAfter: undefined, errorType },
        typeof body === 'string' ? body : JSON.stringify(body),
      );
    const said = { message: 'The text field is blank.' };
    expect(of(400, 'ValidationException:http://internal.amazon.com/coral/', said)).toMatchObject({
      code: 'upstream_rejected',
      status: 400,
      message: 'The text field is blank.',
      detail: { upstreamStatus: 400, upstreamType: 'ValidationException' },
    });
    expect(of(400, undefined, { __type: 'com.amazon#ThrottlingException' }).code).toBe(
      'upstream_rate_limited',
    );
    const cases: readonly (readonly [number, string | undefined, object | string, string])[] = [
      [
        403,
        'AccessDeniedException',
        { Message: 'User: arn:… is not authorized' },
        'upstream_credential',
      ],
      [400, 'ExpiredTokenException', { message: 'token sk' }, 'upstream_credential'],
      [403, 'UnrecognizedClientException', {}, 'upstream_credential'],
      [429, 'ThrottlingException', {}, 'upstream_rate_limited'],
      [400, 'ServiceQuotaExceededException', {}, 'upstream_rate_limited'],
      [429, 'ModelNotReadyException', {}, 'upstream_overloaded'],
      [503, 'ServiceUnavailableException', {}, 'upstream_overloaded'],
      [408, 'ModelTimeoutException', {}, 'upstream_timeout'],
      [424, 'ModelErrorException', {}, 'upstream_error'],
      [500, 'InternalServerException', {}, 'upstream_error'],
      [404, 'ResourceNotFoundException', { message: 'This model is legacy.' }, 'model_not_found'],
      [
        400,
        'ValidationException',
        { message: 'The provided model identifier is invalid.' },
        'model_not_found',
      ],
      [502, undefined, '<html>', 'upstream_error'],
    ];
    for (const [status, type, body, code] of cases) {
      const got = of(status, type, body);
      expect(got.code).toBe(code);
      expect(got.detail?.['upstreamStatus']).toBe(status);
      expect(JSON.stringify(got)).not.toMatch(/sk|arn:/);
    }
    expect(of(400, undefined, { Message: 'Bad.' }).message).toBe('Bad.');
  });
});

describe('whole answers', () => {
  const answer = (over: object): JsonObject =>
    jsonObjectOf(
      JSON.stringify({
        output: { message: { role: 'assistant', content: [{ text: 'x' }] } },
        stopReason: 'end_turn',
        usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
        metrics: { latencyMs: 1 },
        ...over,
      }),
    ) ?? {};

  test('every stop reason has a counterpart that does not look more complete than it is', () => {
    const stopOf = (stopReason: string) => {
      const decoded = converse.decodeAnswer(answer({ stopReason }));
      return decoded.ok ? decoded.value.stop : decoded.error.code;
    };
    expect(stopOf('end_turn')).toBe('end');
    expect(stopOf('tool_use')).toBe('tool-calls');
    expect(stopOf('max_tokens')).toBe('length');
    expect(stopOf('model_context_window_exceeded')).toBe('length');
    expect(stopOf('stop_sequence')).toBe('stop-sequence');
    expect(stopOf('content_filtered')).toBe('content-filter');
    expect(stopOf('guardrail_intervened')).toBe('content-filter');
    expect(stopOf('malformed_model_output')).toBe('upstream_error');
    expect(stopOf('malformed_tool_use')).toBe('upstream_error');
    expect(stopOf('brand_new')).toBe('upstream_error');
  });

  test('a Messages client learns which sequence ended the answer', () => {
    const additionalModelResponseFields = { stop_sequence: 'END' };
    const body = answer({ stopReason: 'stop_sequence', additionalModelResponseFields });
    const decoded = converse.decodeAnswer(body);
    if (!decoded.ok) throw new Error(decoded.error.message);
    expect(dialectNamed('anthropic-messages').encodeAnswer(decoded.value, context)).toMatchObject({
      id: 'msg_req_1',
      model: 'asked',
      stop_reason: 'stop_sequence',
      stop_sequence: 'END',
    });
    expect(converse.encodeAnswer(decoded.value, context)).toMatchObject({
      additionalModelResponseFields,
    });
  });

  test('an answer that is not its protocol is the upstream’s breach', () => {
    const bodies = [
      {},
      { output: null },
      { output: { message: { content: 5 } } },
      { stopReason: 5 },
      { output: { message: { content: [{ toolUse: {} }] } } },
    ];
    for (const over of bodies) {
      const body = Object.keys(over).length === 0 ? {} : answer(over);
      const decoded = converse.decodeAnswer(body);
      expect(decoded.ok ? 'decoded' : decoded.error.code).toBe('upstream_error');
    }
  });
});
