import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../base/index.ts';
import { concatBytes, jsonObjectOf } from '../base/index.ts';
import type { AnswerContext, Dialect } from './dialect.ts';
import { fold, unfold } from './fold.ts';
import type { Completion, Conversation, Message, Part, StreamEvent, Usage } from './model.ts';
import { dialectNamed, dialects } from './table.ts';

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_000,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};
const target = { model: 'm', maxOutputTokens: undefined };

const text = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' });
const word = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_-]{0,12}$/);
const base64 = fc.constantFrom('AAAA', 'QUJD', 'UERG');
const json: fc.Arbitrary<JsonObject> = fc
  .dictionary(word, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3, noNullPrototype: true })
  .map((value) => jsonObjectOf(JSON.stringify(value)) ?? {});
const toolCall: fc.Arbitrary<Part> = fc.tuple(word, word, json).map(([id, name, input]) => ({
  kind: 'tool-call',
  id,
  name,
  arguments: JSON.stringify(input),
}));
const image: fc.Arbitrary<Part> = fc.oneof(
  base64.map(
    (data): Part => ({ kind: 'image', source: { kind: 'base64', mediaType: 'image/png', data } }),
  ),
  word.map(
    (name): Part => ({ kind: 'image', source: { kind: 'url', url: `https://a.test/${name}` } }),
  ),
);
const textPart: fc.Arbitrary<Part> = text.map((said): Part => ({ kind: 'text', text: said }));
const signed: fc.Arbitrary<Part> = fc.oneof(
  fc
    .tuple(text, word)
    .map(([thought, signature]): Part => ({ kind: 'thinking', text: thought, signature })),
  word.map((data): Part => ({ kind: 'redacted-thinking', data })),
);
const cached = (part: fc.Arbitrary<Part>): fc.Arbitrary<Part> =>
  fc
    .tuple(part, fc.boolean())
    .map(([value, isCached]) => (isCached ? { ...value, cache: { type: 'ephemeral' } } : value));

/** Text that is not blank, which Bedrock refuses. */
const saidPart: fc.Arbitrary<Part> = text.map((said): Part => ({ kind: 'text', text: `.${said}` }));
const bytesImage: fc.Arbitrary<Part> = base64.map(
  (data): Part => ({ kind: 'image', source: { kind: 'base64', mediaType: 'image/png', data } }),
);
const plainDocument: fc.Arbitrary<Part> = fc.oneof(
  text.map((said): Part => ({ kind: 'document', source: { kind: 'text', text: said }, title: '' })),
  base64.map(
    (data): Part => ({
      kind: 'document',
      source: { kind: 'base64', mediaType: 'application/pdf', data },
      title: '',
    }),
  ),
);

/** Documents of one Bedrock request have different names. */
function withUniqueTitles(messages: readonly Message[]): readonly Message[] {
  let count = 0;
  return messages.map((message) => ({
    ...message,
    content: message.content.map((part) => {
      if (part.kind !== 'document') return part;
      count += 1;
      return { ...part, title: `file ${count}` };
    }),
  }));
}

const count = fc.nat(100_000);
const usage: fc.Arbitrary<Usage> = fc
  .tuple(count, count, count, fc.nat(100), count, fc.nat(100))
  .map(([input, cacheRead, cacheWrite, hour, output, reasoning]) => ({
    input,
    cacheRead,
    cacheWrite,
    cacheWriteHour: Math.min(hour, cacheWrite),
    output,
    reasoning: Math.min(reasoning, output),
  }));
/** OpenAI's usage has no class for what was cached for an hour. */
const openAiUsage = usage.map((value) => ({ ...value, cacheWriteHour: 0 }));

const alternating = (
  user: fc.Arbitrary<readonly Part[]>,
  assistant: fc.Arbitrary<readonly Part[]>,
): fc.Arbitrary<readonly Message[]> =>
  fc.tuple(fc.array(fc.tuple(user, assistant), { maxLength: 3 }), user).map(([turns, last]) => [
    ...turns.flatMap(([asked, said]): Message[] => [
      { role: 'user', content: asked },
      { role: 'assistant', content: said },
    ]),
    { role: 'user', content: last },
  ]);

const settings = {
  stream: fc.boolean(),
  maxOutputTokens: fc.integer({ min: 1, max: 9999 }),
  temperature: fc.constantFrom(undefined, 0, 0.5, 1),
  topP: fc.constantFrom(undefined, 0.1, 1),
  stop: fc.option(fc.array(word, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  toolChoice: fc.constantFrom<Conversation['toolChoice']>(
    undefined,
    { kind: 'auto' },
    { kind: 'none' },
    { kind: 'required' },
    { kind: 'tool', name: 'f' },
  ),
  endUser: fc.constantFrom(undefined, 'u-1'),
};

const tools = fc.array(
  fc.tuple(word, text, json, fc.boolean()).map(([name, description, schema, strict]) => ({
    name,
    description,
    schema: { type: 'object', properties: schema },
    strict,
  })),
  { minLength: 1, maxLength: 3 },
);

const directly: Readonly<Record<string, fc.Arbitrary<Conversation>>> = {
  'openai-chat': fc
    .record({
      ...settings,
      tools,
      parallelToolCalls: fc.constantFrom(undefined, true, false),
      seed: fc.constantFrom(undefined, 0, -7),
      presencePenalty: fc.constantFrom(undefined, -0.5),
      choices: fc.constantFrom(undefined, 3),
      system: fc.array(textPart, { maxLength: 1 }),
      messages: alternating(
        fc.array(fc.oneof(textPart, image), { minLength: 1, maxLength: 3 }),
        fc
          .tuple(
            fc.array(signed, { maxLength: 2 }),
            fc.option(textPart, { nil: undefined }),
            fc.array(toolCall, { maxLength: 2 }),
          )
          .map(([thoughts, said, calls]) => [
            ...thoughts,
            ...(said === undefined ? [] : [said]),
            ...calls,
          ]),
      ),
      format: fc.constantFrom<Conversation['format']>(
        undefined,
        { kind: 'text' },
        { kind: 'json' },
        { kind: 'schema', name: 'n', schema: { type: 'object' }, strict: true },
      ),
      reasoning: fc.constantFrom<Conversation['reasoning']>(undefined, {
        kind: 'effort',
        effort: 'low',
      }),
    })
    .map((value) => complete('openai-chat', value, { logit_bias: { '5': 1 } })),
  'anthropic-messages': fc
    .record({
      ...settings,
      tools,
      topK: fc.constantFrom(undefined, 4),
      parallelToolCalls: fc.constantFrom(undefined, false),
      system: fc.array(cached(textPart), { maxLength: 3 }),
      messages: alternating(
        fc
          .tuple(
            fc.array(
              fc
                .tuple(
                  word,
                  fc.array(fc.oneof(textPart, image), { minLength: 1, maxLength: 2 }),
                  fc.boolean(),
                )
                .map(
                  ([callId, content, isError]): Part => ({
                    kind: 'tool-result',
                    callId,
                    content,
                    isError,
                  }),
                ),
              { maxLength: 2 },
            ),
            fc.array(cached(fc.oneof(textPart, image)), { minLength: 1, maxLength: 2 }),
          )
          .map(([results, others]) => [...results, ...others]),
        fc.array(fc.oneof(textPart, signed, cached(toolCall)), { minLength: 1, maxLength: 4 }),
      ),
      format: fc.constantFrom<Conversation['format']>(undefined, {
        kind: 'schema',
        name: 'response',
        schema: { type: 'object' },
      }),
      reasoning: fc.constantFrom<Conversation['reasoning']>(
        undefined,
        { kind: 'off' },
        { kind: 'adaptive' },
        { kind: 'tokens', budgetTokens: 2048 },
        { kind: 'effort', effort: 'max' },
      ),
    })
    .map((value) => {
      // Whether calls may be parallel is said inside the choice here, and `none` has no room for it.
      const hasChoice = value.toolChoice !== undefined && value.toolChoice.kind !== 'none';
      const parallelToolCalls = hasChoice ? value.parallelToolCalls : undefined;
      return complete('anthropic-messages', { ...value, parallelToolCalls }, { container: 'c_1' });
    }),
  'openai-completions': fc
    .record({
      stream: fc.boolean(),
      maxOutputTokens: settings.maxOutputTokens,
      stop: settings.stop,
      prompt: text,
    })
    .map(({ prompt, ...value }) =>
      complete(
        'openai-completions',
        {
          ...value,
          system: [],
          tools: [],
          messages: [{ role: 'user', content: [{ kind: 'text', text: prompt }] }],
        },
        { suffix: 'x' },
      ),
    ),
  'openai-responses': fc
    .record({
      stream: fc.boolean(),
      maxOutputTokens: settings.maxOutputTokens,
      temperature: settings.temperature,
      topP: settings.topP,
      toolChoice: settings.toolChoice,
      endUser: settings.endUser,
      tools,
      parallelToolCalls: fc.constantFrom(undefined, true, false),
      system: fc.array(textPart, { maxLength: 3 }),
      messages: alternating(
        fc.oneof(
          fc.array(fc.oneof(textPart, image), { minLength: 1, maxLength: 3 }),
          fc.array(
            fc.tuple(word, fc.array(fc.oneof(textPart, image), { minLength: 1 })).map(
              ([callId, content]): Part => ({
                kind: 'tool-result',
                callId,
                content,
                isError: false,
              }),
            ),
            { minLength: 1, maxLength: 2 },
          ),
        ),
        fc.array(
          fc.oneof(
            textPart,
            toolCall,
            text.map((refused): Part => ({ kind: 'refusal', text: refused })),
            // What OpenAI sealed is the only reasoning that goes back to it.
            fc.tuple(fc.oneof(text, fc.constant('')), word).map(
              ([thought, seal]): Part => ({
                kind: 'thinking',
                text: thought,
                signature: `openai-responses:${seal}`,
              }),
            ),
          ),
          { minLength: 1, maxLength: 4 },
        ),
      ),
      format: fc.constantFrom<Conversation['format']>(
        undefined,
        { kind: 'text' },
        { kind: 'json' },
        { kind: 'schema', name: 'n', schema: { type: 'object' }, strict: true },
      ),
      reasoning: fc.constantFrom<Conversation['reasoning']>(undefined, {
        kind: 'effort',
        effort: 'low',
      }),
    })
    .map((value) =>
      complete('openai-responses', value, {
        include: ['reasoning.encrypted_content'],
        metadata: { a: 'b' },
        'reasoning.summary': 'auto',
        'text.verbosity': 'low',
      }),
    ),
  'openai-embeddings': fc
    .tuple(
      fc.oneof(
        fc.array(textPart, { minLength: 1, maxLength: 3 }),
        fc
          .array(fc.array(fc.nat(), { minLength: 1 }), { minLength: 1 })
          .map((input): readonly Part[] => [
            { kind: 'foreign', dialect: 'openai-embeddings', value: { input } },
          ]),
      ),
      settings.endUser,
    )
    .map(([content, endUser]) =>
      complete(
        'openai-embeddings',
        {
          stream: false,
          system: [],
          messages: [{ role: 'user', content }],
          tools: [],
          maxOutputTokens: 0,
          endUser,
        },
        { encoding_format: 'base64', dimensions: 3 },
      ),
    ),
  'bedrock-converse': fc
    .record({
      stream: settings.stream,
      maxOutputTokens: settings.maxOutputTokens,
      temperature: settings.temperature,
      topP: settings.topP,
      stop: settings.stop,
      toolChoice: settings.toolChoice.filter((choice) => choice?.kind !== 'none'),
      tools: tools.chain((list) =>
        fc
          .array(fc.boolean(), { minLength: list.length, maxLength: list.length })
          .map((marks) =>
            list.map((tool, at) => (marks[at] ? { ...tool, cache: { type: 'ephemeral' } } : tool)),
          ),
      ),
      topK: fc.constantFrom(undefined, 4),
      parallelToolCalls: fc.constantFrom(undefined, false),
      system: fc.array(cached(saidPart), { maxLength: 3 }),
      messages: alternating(
        fc
          .tuple(
            fc.array(
              fc
                .tuple(
                  word,
                  fc.array(fc.oneof(textPart, bytesImage), { minLength: 1, maxLength: 2 }),
                  fc.boolean(),
                )
                .map(
                  ([callId, content, isError]): Part => ({
                    kind: 'tool-result',
                    callId,
                    content,
                    isError,
                  }),
                ),
              { maxLength: 2 },
            ),
            fc.array(cached(fc.oneof(saidPart, bytesImage, plainDocument)), {
              minLength: 1,
              maxLength: 2,
            }),
          )
          .map(([results, others]) => [...results, ...others]),
        fc.array(fc.oneof(saidPart, signed, cached(toolCall)), { minLength: 1, maxLength: 4 }),
      ).map(withUniqueTitles),
      format: fc.constantFrom<Conversation['format']>(undefined, {
        kind: 'schema',
        name: 'n',
        schema: { type: 'object' },
      }),
      reasoning: fc.constantFrom<Conversation['reasoning']>(
        undefined,
        { kind: 'off' },
        { kind: 'adaptive' },
        { kind: 'tokens', budgetTokens: 2048 },
        { kind: 'effort', effort: 'max' },
      ),
    })
    .map((value) =>
      complete(
        'bedrock-converse',
        { ...value, betas: ['b-1'] },
        { guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' } },
      ),
    ),
  ask: fc.tuple(text, fc.boolean()).map(([prompt, stream]) =>
    complete(
      'ask',
      {
        stream,
        system: [{ kind: 'text', text: 's' }],
        tools: [],
        messages: [{ role: 'user', content: [{ kind: 'text', text: `q${prompt}` }] }],
      },
      {},
    ),
  ),
};

const never = fc.constant(undefined as never);

const conversations: Readonly<Record<string, fc.Arbitrary<Conversation>>> = {
  ...directly,
  // The same body; only the version and the names of betas stand in it too.
  'bedrock-invoke': (directly['anthropic-messages'] ?? never).map(
    (conversation): Conversation => ({
      ...conversation,
      betas: ['b-1'],
      extensions: { dialect: 'bedrock-invoke', fields: {} },
    }),
  ),
};

type Given = Pick<Conversation, 'stream' | 'system' | 'messages' | 'tools'> &
  Partial<Record<keyof Conversation, unknown>>;

/** A conversation without its undefined members, as decoders give it. */
function complete(dialect: Dialect['name'], value: Given, fields: JsonObject): Conversation {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const whole = { ...Object.fromEntries(members), model: 'm', streamUsage: value.stream };
  // The generators above give each member its own type.
  return { ...whole, extensions: { dialect, fields } } as unknown as Conversation;
}

const answerParts: Readonly<Record<string, fc.Arbitrary<readonly Part[]>>> = {
  'openai-chat': fc
    .tuple(
      fc.array(signed, { maxLength: 2 }),
      fc.option(textPart, { nil: undefined }),
      fc.array(toolCall, { maxLength: 3 }),
    )
    .map(([thoughts, said, calls]) => [
      ...thoughts,
      ...(said === undefined ? [] : [said]),
      ...calls,
    ]),
  'anthropic-messages': fc.array(fc.oneof(textPart, signed, toolCall), { maxLength: 4 }),
  'bedrock-invoke': fc.array(fc.oneof(textPart, signed, toolCall), { maxLength: 4 }),
  'bedrock-converse': fc.array(fc.oneof(textPart, signed, toolCall), { maxLength: 4 }),
  'openai-completions': fc.array(textPart, { maxLength: 1 }),
  'openai-responses': fc.array(fc.oneof(textPart, signed, toolCall), { maxLength: 4 }),
  'openai-embeddings': fc.array(
    fc.nat(9).map(
      (index): Part => ({
        kind: 'foreign',
        dialect: 'openai-embeddings',
        value: { object: 'embedding', index, embedding: [0.5, -1] },
      }),
    ),
    { maxLength: 3 },
  ),
  ask: fc.array(textPart, { maxLength: 1 }),
};

/** Vectors have no id and no end of their own, and cost input only. */
const embeddings: fc.Arbitrary<Completion> = fc
  .tuple(answerParts['openai-embeddings'] ?? fc.constant([]), count)
  .map(([content, input]) => ({
    id: '',
    model: 'served',
    content,
    stop: 'end',
    usage: { input, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0, output: 0, reasoning: 0 },
  }));

/** Converse counts no reasoning by itself. */
const converseUsage = usage.map((value) => ({ ...value, reasoning: 0 }));

const usageIn: Readonly<Record<string, fc.Arbitrary<Usage>>> = {
  'anthropic-messages': usage,
  'bedrock-invoke': usage,
  'bedrock-converse': converseUsage,
};

/** What answers call themselves; those of Converse have no names. */
function namesIn(name: string): Pick<Completion, 'id' | 'model' | 'created'> {
  if (name === 'bedrock-converse') return { id: '', model: '' };
  if (name === 'ask') return { id: 'req_1', model: 'served' };
  const hasTime = name !== 'anthropic-messages' && name !== 'bedrock-invoke';
  return { id: 'id-1', model: 'served', ...(hasTime ? { created: 1_700_000_000 } : {}) };
}

function completionOf(name: string): fc.Arbitrary<Completion> {
  if (name === 'openai-embeddings') return embeddings;
  return fc
    .tuple(answerParts[name] ?? fc.constant([]), usageIn[name] ?? openAiUsage, fc.boolean())
    .map(([content, counts, isCut]) => {
      const calls = content.some((part) => part.kind === 'tool-call');
      return {
        ...namesIn(name),
        content,
        stop: isCut ? 'length' : calls ? 'tool-calls' : 'end',
        usage: counts,
      };
    });
}

function encodeStream(dialect: Dialect, events: readonly StreamEvent[]): Uint8Array {
  const encoder = dialect.streamEncoder(context);
  return concatBytes(...events.map((event) => encoder.encode(event)));
}

function decodeStream(
  dialect: Dialect,
  bytes: Uint8Array,
  cuts: readonly number[],
): readonly StreamEvent[] {
  const decoder = dialect.streamDecoder();
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const events: StreamEvent[] = [];
  for (const [index, from] of [0, ...places].entries()) {
    const some = decoder.push(bytes.slice(from, places[index]));
    if (!some.ok) throw new Error(some.error.message);
    events.push(...some.value);
  }
  const last = decoder.finish();
  if (!last.ok) throw new Error(last.error.message);
  return [...events, ...last.value];
}

/** Reads its own text again, as a peer would. */
function overTheWire(value: JsonObject): JsonObject {
  return jsonObjectOf(JSON.stringify(value)) ?? {};
}

const cuts = fc.array(fc.nat(2000), { maxLength: 8 });

describe.each(Object.values(dialects).map((dialect) => [dialect.name, dialect] as const))(
  '%s',
  (name, dialect) => {
    const streams = dialect.streamContentType !== '';

    test('a request that is written reads back the same', () => {
      fc.assert(
        fc.property(conversations[name] ?? never, (conversation) => {
          const encoded = dialect.encodeRequest(conversation, target);
          if (!encoded.ok) throw new Error(encoded.error.message);
          const path = dialect.upstreamPath(target.model, conversation.stream);
          const decoded = dialect.decodeRequest(
            overTheWire(encoded.value),
            dialect.readPath?.(path),
          );
          if (!decoded.ok) throw new Error(decoded.error.message);
          // A chat stream asks for usage whatever the caller said.
          expect(decoded.value).toEqual(conversation);
        }),
        { numRuns: 200 },
      );
    });

    test('an answer that is written reads back the same', () => {
      fc.assert(
        fc.property(completionOf(name), (completion) => {
          const body = overTheWire(dialect.encodeAnswer(completion, context));
          expect(dialect.decodeAnswer(body)).toEqual({ ok: true, value: completion });
          expect(dialect.usageOfAnswer(body)).toEqual(completion.usage);
        }),
        { numRuns: 200 },
      );
    });

    test.runIf(streams)('a stream that is written folds to the answer, however it is split', () => {
      fc.assert(
        fc.property(completionOf(name), cuts, (completion, places) => {
          const bytes = encodeStream(dialect, unfold(completion));
          const folded = fold(decodeStream(dialect, bytes, places));
          // A stream of `/ask` gives its text before its names.
          const named =
            name === 'ask' && completion.content.length > 0 ? { id: '', model: '' } : {};
          expect(folded).toEqual({ ok: true, value: { ...completion, ...named } });
        }),
        { numRuns: 200 },
      );
    });

    test.runIf(streams)(
      'a watched stream passes through byte for byte and its usage is read',
      () => {
        fc.assert(
          fc.property(completionOf(name), cuts, (completion, places) => {
            const bytes = encodeStream(dialect, unfold(completion));
            const watcher = dialect.streamWatcher(context);
            const out: Uint8Array[] = [];
            const sorted = [...new Set(places.map((cut) => cut % (bytes.length + 1)))].sort(
              (a, b) => a - b,
            );
            for (const [index, from] of [0, ...sorted].entries()) {
              const piece = watcher.push(bytes.slice(from, sorted[index]));
              if (piece.ok) out.push(piece.value.slice());
            }
            const last = watcher.finish();
            if (!last.ok) throw new Error(last.error.message);
            expect(concatBytes(...out, last.value)).toEqual(bytes);
            expect(watcher.usage()).toEqual(completion.usage);
          }),
        );
      },
    );

    test.runIf(streams)('a stream cut before its last frame is never whole', () => {
      fc.assert(
        fc.property(completionOf(name), fc.nat(), (completion, place) => {
          const bytes = encodeStream(dialect, unfold(completion));
          // The last frame is whole once its data is; only the blank line may be missing.
          const cut = bytes.slice(0, place % (bytes.length - 3));
          const decoder = dialect.streamDecoder();
          const watcher = dialect.streamWatcher(context);
          decoder.push(cut);
          watcher.push(cut);
          expect(decoder.finish().ok).toBe(false);
          expect(watcher.finish().ok).toBe(false);
        }),
      );
    });

    test('any JSON object is a conversation, an answer or a refusal, never a throw', () => {
      fc.assert(
        fc.property(mangled(name), (body) => {
          const request = dialect.decodeRequest(body);
          if (!request.ok) {
            expect(request.error.code).toBe('invalid_request');
            expect(request.error.param).toBeTypeOf('string');
          } else {
            for (const other of Object.values(dialects)) {
              const encoded = other.encodeRequest(request.value, target);
              if (!encoded.ok)
                expect(['unsupported_parameter', 'invalid_request']).toContain(encoded.error.code);
            }
          }
          const answer = dialect.decodeAnswer(body);
          if (!answer.ok) expect(answer.error.code).toBe('upstream_error');
          dialect.usageOfAnswer(body);
        }),
        { numRuns: 500 },
      );
    });

    test('any bytes in a stream are events or a refusal, never a throw', () => {
      const frame = fc.oneof(
        mangled(name).map((body) => `data: ${JSON.stringify(body)}\n\n`),
        fc.constantFrom(
          'data: [DONE]\n\n',
          'data: {\n\n',
          ': c\n\n',
          'event: error\ndata: x\n\n',
          'data: null\n\n',
        ),
        fc.string(),
      );
      fc.assert(
        fc.property(fc.array(frame, { maxLength: 6 }), (frames) => {
          const bytes = new TextEncoder().encode(frames.join(''));
          const decoder = dialect.streamDecoder();
          const pushed = decoder.push(bytes);
          const encoders = Object.values(dialects).map((other) => other.streamEncoder(context));
          if (pushed.ok)
            for (const event of pushed.value) for (const one of encoders) one.encode(event);
          decoder.finish();
          const watcher = dialect.streamWatcher(context);
          watcher.push(bytes);
          watcher.finish();
          expect(watcher.deliveredChars()).toBeGreaterThanOrEqual(0);
        }),
        { numRuns: 300 },
      );
    });
  },
);

describe('between formats', () => {
  const streaming = Object.values(dialects).filter((dialect) => dialect.streamContentType !== '');
  const pairs = streaming.flatMap((from) => streaming.map((to) => [from.name, to.name] as const));

  test.each(pairs)('from %s to %s a stream says what the whole answer says', (from, to) => {
    const [source, sink] = [dialectNamed(from), dialectNamed(to)];
    fc.assert(
      fc.property(completionOf(from), cuts, (completion, places) => {
        const whole = source.decodeAnswer(overTheWire(source.encodeAnswer(completion, context)));
        if (!whole.ok) throw new Error(whole.error.message);
        const answer = sink.decodeAnswer(overTheWire(sink.encodeAnswer(whole.value, context)));
        const events = decodeStream(source, encodeStream(source, unfold(completion)), places);
        const streamed = fold(decodeStream(sink, encodeStream(sink, events), places));
        if (!answer.ok || !streamed.ok) throw new Error('not read back');
        expect(joined(streamed.value)).toEqual(joined(answer.value));
        expect(streamed.value.stop).toBe(answer.value.stop);
        expect(streamed.value.usage).toEqual(answer.value.usage);
      }),
      { numRuns: 40 },
    );
  });

  test('any order of deltas of open blocks reads back as the blocks that they make', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (blocks, picks) => {
          const events = shuffled(blocks, picks);
          const direct = fold(events);
          if (!direct.ok) throw new Error(direct.error.message);
          for (const name of [
            'openai-chat',
            'openai-responses',
            'anthropic-messages',
            'bedrock-converse',
            'bedrock-invoke',
          ] as const) {
            const dialect = dialectNamed(name);
            const read = fold(decodeStream(dialect, encodeStream(dialect, events), []));
            if (!read.ok) throw new Error(read.error.message);
            const calls = (parts: readonly Part[]) =>
              new Set(parts.map((part) => JSON.stringify(part)));
            expect(calls(read.value.content)).toEqual(calls(direct.value.content));
          }
        },
      ),
    );
  });
});

/** Tool calls whose events are drawn from any open block, in the order of the picks. */
function shuffled(
  blocks: readonly (readonly string[])[],
  picks: readonly number[],
): readonly StreamEvent[] {
  const queues = blocks.map((pieces, index): StreamEvent[] => [
    {
      kind: 'block-start',
      index,
      block: { kind: 'tool-call', id: `c${index}`, name: `f${index}` },
    },
    ...pieces.map(
      (json): StreamEvent => ({ kind: 'block-delta', index, delta: { kind: 'arguments', json } }),
    ),
    { kind: 'block-stop', index },
  ]);
  const events: StreamEvent[] = [{ kind: 'start', id: 'i', model: 'm' }];
  for (const pick of [...picks, ...Array.from({ length: 40 }, () => 0)]) {
    const open = queues.filter((queue) => queue.length > 0);
    const next = open[pick % Math.max(1, open.length)]?.shift();
    if (next !== undefined) events.push(next);
  }
  return [...events, { kind: 'finish', stop: 'tool-calls' }, { kind: 'end' }];
}

/** Content as any format tells it: texts joined, reasoning and calls each in their order. */
function joined(completion: Completion): unknown {
  const { content } = completion;
  return {
    text: content.map((part) => (part.kind === 'text' ? part.text : '')).join(''),
    thoughts: content.filter((part) => part.kind.endsWith('thinking')),
    calls: content.filter((part) => part.kind === 'tool-call'),
  };
}

/** Bodies that look right and are wrong somewhere: a valid one with a piece replaced by any JSON. */
function mangled(name: string): fc.Arbitrary<JsonObject> {
  const dialect = dialectNamed(name as Dialect['name']);
  const request = (conversations[name] ?? never).map((conversation) => {
    const encoded = dialect.encodeRequest(conversation, target);
    return encoded.ok ? encoded.value : {};
  });
  const answer = completionOf(name).map((value) => dialect.encodeAnswer(value, context));
  return fc
    .tuple(
      fc.oneof(request, answer),
      fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }),
      fc.jsonValue({ maxDepth: 2 }),
    )
    .map(([body, path, value]) => {
      const copy = overTheWire(body);
      return (replaceAt(copy, path, value as JsonValue) ?? {}) as JsonObject;
    });
}

function replaceAt(value: JsonValue, path: readonly number[], by: JsonValue): JsonValue {
  const [step, ...rest] = path;
  if (typeof value !== 'object' || value === null) return by;
  const keys = Object.keys(value);
  if (step === undefined || keys.length === 0) return Array.isArray(value) ? by : value;
  const key = keys[step % keys.length] ?? '';
  const inner = (value as JsonObject)[key] ?? null;
  const changed = rest.length === 0 ? by : replaceAt(inner, rest, by);
  if (!Array.isArray(value)) return { ...(value as JsonObject), [key]: changed };
  return value.map((item: JsonValue, index) => (String(index) === key ? changed : item));
}
