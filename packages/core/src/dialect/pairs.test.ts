import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../base/index.ts';
import { errorRow, refusal } from '../errors/index.ts';
import { answerFeatures, answerTrip, completionOf, streamTrip } from './testing/answers.ts';
import { conversationOf, features } from './testing/features.ts';
import { answerLosses, lossBetween, requestLosses } from './testing/losses.ts';
import { conversational, overTheWire, trip } from './testing/trip.ts';
import type { AnswerContext } from './dialect.ts';
import type { Completion, Conversation, DialectName } from './model.ts';
import { dialectNamed } from './table.ts';

/**
 * Every ordered pair of formats and every feature: it arrives, or the list of losses says what becomes of it. A loss
 * that is none any more fails as well.
 */

const pairs = conversational.flatMap((from) => conversational.map((to) => [from, to] as const));
const numRuns = 8;

describe.each(pairs)('a request from %s to %s', (from, to) => {
  test.each(features)('$name', ({ name, values, seen }) => {
    const loss = lossBetween(requestLosses, name, from, to);
    fc.assert(
      fc.property(values, (over) => {
        const conversation = conversationOf(from, over);
        const arrived = trip(conversation, from, to);
        if (loss?.outcome === 'refused') {
          expect(arrived).toMatchObject({ kind: 'refused', param: expect.any(String) });
          return;
        }
        if (arrived.kind === 'refused') throw new Error(`refused: ${arrived.param}`);
        const found = expect(seen(arrived.conversation));
        if (loss === undefined) found.toEqual(seen(conversation));
        else found.not.toEqual(seen(conversation));
      }),
      { numRuns },
    );
  });
});

describe.each(pairs)('an answer from %s to %s', (from, to) => {
  test.each(answerFeatures)('$name, whole and streamed', ({ name, values, seen }) => {
    const loss = lossBetween(answerLosses, name, from, to);
    fc.assert(
      fc.property(values, (over) => {
        const completion = completionOf(over);
        const whole = seen(answerTrip(completion, from, to));
        expect(seen(streamTrip(completion, from, to))).toEqual(whole);
        if (loss === undefined) expect(whole).toEqual(seen(completion));
        else expect(whole).not.toEqual(seen(completion));
      }),
      { numRuns },
    );
  });
});

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_000,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};

/** The next request of a caller that sends an answer back as it got it, with the result of its one tool call. */
const replays: Readonly<
  Record<(typeof conversational)[number], (answer: JsonObject) => JsonObject>
> = {
  'openai-chat': (answer) => ({
    model: 'm',
    messages: [
      { role: 'user', content: 'hi' },
      // The answer was written with one choice that has a message.
      (answer['choices'] as { message: JsonObject }[])[0]?.message ?? null,
      { role: 'tool', tool_call_id: 'c1', content: 'done' },
    ],
  }),
  'openai-responses': (answer) => ({
    model: 'm',
    input: [
      { role: 'user', content: 'hi' },
      // The answer was written with a list of items.
      ...(answer['output'] as JsonObject[]),
      { type: 'function_call_output', call_id: 'c1', output: 'done' },
    ],
  }),
  'anthropic-messages': (answer) => messagesReplay(answer),
  'bedrock-invoke': (answer) => ({
    ...messagesReplay(answer),
    anthropic_version: 'bedrock-2023-05-31',
  }),
  'bedrock-converse': (answer) => ({
    messages: [
      { role: 'user', content: [{ text: 'hi' }] },
      // The answer was written with a message.
      (answer['output'] as { message: JsonObject }).message,
      {
        role: 'user',
        content: [{ toolResult: { toolUseId: 'c1', content: [{ text: 'done' }] } }],
      },
    ],
  }),
};

function messagesReplay(answer: JsonObject): JsonObject {
  return {
    model: 'm',
    max_tokens: 9,
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: answer['content'] ?? null },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: 'done' }] },
    ],
  };
}

const signers = ['anthropic-messages', 'bedrock-converse', 'bedrock-invoke'] as const;
const turns = conversational.flatMap((caller) =>
  signers.map((server) => [caller, server] as const),
);

test.each(turns)(
  'a %s caller gives signed thinking of a %s server back on the next turn, byte for byte',
  (caller, server) => {
    const word = fc.stringMatching(/^[a-zA-Z0-9+/]{1,20}={0,2}$/);
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), word, word, (text, signature, data) => {
        const completion: Completion = completionOf({
          content: [
            { kind: 'thinking', text, signature },
            { kind: 'redacted-thinking', data },
            { kind: 'text', text: 'so' },
            { kind: 'tool-call', id: 'c1', name: 'f', arguments: '{"a":1}' },
          ],
          stop: 'tool-calls',
        });
        const [speaks, serves] = [dialectNamed(caller), dialectNamed(server)];
        const read = serves.decodeAnswer(overTheWire(serves.encodeAnswer(completion, context)));
        if (!read.ok) throw new Error(read.error.message);
        const answer = overTheWire(speaks.encodeAnswer(read.value, context));
        const next = speaks.decodeRequest(overTheWire(replays[caller](answer)));
        if (!next.ok) throw new Error(next.error.message);
        const back = trip(next.value, caller, server);
        const sent = caller === server ? next.value : sentTo(next.value, server);
        expect(thoughtsAndCalls(sent)).toEqual(
          thoughtsAndCalls({ messages: [{ content: completion.content }] }),
        );
        expect(back.kind).toBe('arrived');
      }),
      { numRuns: 30 },
    );
  },
);

function sentTo(conversation: Conversation, server: DialectName): Conversation {
  const dialect = dialectNamed(server);
  const target = { model: 'anthropic.claude-x', maxOutputTokens: 9 };
  const encoded = dialect.encodeRequest(conversation, target);
  if (!encoded.ok) throw new Error(encoded.error.message);
  const decoded = dialect.decodeRequest(overTheWire(encoded.value));
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
}

function thoughtsAndCalls({
  messages,
}: {
  readonly messages: readonly Pick<Conversation['messages'][number], 'content'>[];
}): JsonValue {
  return messages
    .flatMap(({ content }) => content)
    .flatMap((part): JsonValue[] => {
      if (part.kind === 'thinking') return [['thinking', part.text, part.signature ?? null]];
      if (part.kind === 'redacted-thinking') return [['redacted', part.data]];
      return part.kind === 'tool-call' ? [['call', part.id, part.name, part.arguments]] : [];
    });
}

describe.each(pairs)('an error from %s to %s', (from, to) => {
  const [source, sink] = [dialectNamed(from), dialectNamed(to)];

  test.each([
    ['upstream_rejected', 'upstream_rejected', 400],
    ['model_not_found', 'model_not_found', 404],
    ['rate_limited', 'upstream_rate_limited', 429],
    ['overloaded', 'upstream_overloaded', 503],
    ['internal', 'upstream_error', 502],
    ['credential_invalid', 'upstream_credential', 502],
    ['access_denied', 'upstream_credential', 502],
  ] as const)('%s of the server is %s for the caller', (code, meant, status) => {
    const sent = source.encodeRefusal(
      refusal(code, 'the model said so', {
        retryAfterMs: 7_000,
        ...(code === 'upstream_rejected' ? { status: 400 } : {}),
      }),
      'up-1',
    );
    const read = source.decodeUpstreamError(
      sent.status,
      { retryAfter: sent.headers['retry-after'], errorType: sent.headers['x-amzn-errortype'] },
      new TextDecoder().decode(sent.body),
    );
    expect(read.code).toBe(meant);
    const wire = sink.encodeRefusal(read, 'req-1');
    expect(wire.status).toBe(status);
    const isWait = status === 429 || status === 503;
    if (isWait) expect(wire.headers['retry-after']).toBe('7');
    const text = new TextDecoder().decode(wire.body);
    if (status === 400) expect(text).toContain('the model said so');
    if (status === 502) expect(text).not.toContain('the model said so');
  });

  test.each(['upstream_overloaded', 'upstream_rate_limited', 'upstream_error'] as const)(
    '%s in the middle of a stream stays an error, and no end follows',
    (code) => {
      const decoder = source.streamDecoder();
      const read = decoder.push(source.encodeStreamRefusal(refusal(code, 'gone'), 'up-1'));
      if (read.ok) throw new Error('no error was read');
      expect(errorRow(read.error.code).status).toBe(errorRow(code).status);
      const reader = sink.streamDecoder();
      const written = sink.streamEncoder(context).encodeRefusal?.(read.error);
      const shown = reader.push(written ?? sink.encodeStreamRefusal(read.error, 'req-1'));
      const isError = !shown.ok || !reader.finish().ok;
      expect(isError).toBe(true);
    },
  );
});
