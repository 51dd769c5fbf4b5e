import * as fc from 'fast-check';
import type { JsonValue } from '../../base/index.ts';
import { concatBytes } from '../../base/index.ts';
import type { AnswerContext, Dialect } from '../dialect.ts';
import { fold, unfold } from '../fold.ts';
import type { Completion, DialectName, Part, StopReason } from '../model.ts';
import { dialectNamed } from '../table.ts';
import { overTheWire } from './trip.ts';

/** What an answer may hold, one thing at a time. */
export interface AnswerFeature {
  readonly name: string;
  readonly values: fc.Arbitrary<Partial<Completion>>;
  readonly seen: (completion: Completion) => JsonValue;
}

const context: AnswerContext = {
  requestId: 'req_1',
  nowMs: 1_700_000_000_000,
  receivedAtMs: 1_700_000_000_000,
  model: 'asked',
  streamUsage: true,
};

const word = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_-]{0,12}$/);
const said = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).map((text) => `.${text}`);
const count = fc.integer({ min: 1, max: 100_000 });
const call = (id: string, input: string): Part => ({
  kind: 'tool-call',
  id,
  name: 'f',
  arguments: JSON.stringify({ input }),
});

function stops(stop: StopReason, content: readonly Part[] = [{ kind: 'text', text: 'a' }]) {
  return fc.constant({ stop, content });
}

const stopOf = ({ stop }: Completion): JsonValue => stop;

export const answerFeatures: readonly AnswerFeature[] = [
  {
    name: 'text',
    values: said.map((text) => ({ content: [{ kind: 'text', text }] })),
    seen: ({ content }) => content.map((part) => (part.kind === 'text' ? part.text : part.kind)),
  },
  {
    name: 'parallel tool calls',
    values: fc.tuple(said, said).map(([a, b]) => ({
      content: [{ kind: 'text', text: 'so' }, call('c1', a), call('c2', b)],
      stop: 'tool-calls',
    })),
    seen: ({ content, stop }) => [
      content.flatMap((part) =>
        part.kind === 'tool-call' ? [[part.id, part.name, part.arguments]] : [],
      ),
      stop,
    ],
  },
  {
    name: 'signed thinking',
    values: fc.tuple(said, word).map(([text, signature]) => ({
      content: [
        { kind: 'thinking', text, signature },
        { kind: 'text', text: 'so' },
      ],
    })),
    seen: ({ content }) =>
      content.flatMap((part) =>
        part.kind === 'thinking' ? [[part.text, part.signature ?? null]] : [],
      ),
  },
  {
    name: 'redacted thinking',
    values: word.map((data) => ({
      content: [
        { kind: 'redacted-thinking', data },
        { kind: 'text', text: 'so' },
      ],
    })),
    seen: ({ content }) =>
      content.flatMap((part) => (part.kind === 'redacted-thinking' ? [part.data] : [])),
  },
  {
    name: 'a refusal in words',
    values: said.map((text) => ({ content: [{ kind: 'refusal', text }] })),
    seen: ({ content }) => content.map((part) => ('text' in part ? [part.kind, part.text] : [])),
  },
  {
    name: 'tokens in, out and from the cache',
    values: fc.tuple(count, count, count).map(([input, cacheRead, output]) => ({
      usage: { input, cacheRead, cacheWrite: 0, cacheWriteHour: 0, output, reasoning: 0 },
    })),
    seen: ({ usage }) => (usage === undefined ? null : { ...usage }),
  },
  {
    name: 'tokens written to the cache',
    values: fc.tuple(count, count).map(([input, cacheWrite]) => ({
      usage: { input, cacheRead: 0, cacheWrite, cacheWriteHour: 0, output: 1, reasoning: 0 },
    })),
    seen: ({ usage }) => usage?.cacheWrite ?? null,
  },
  {
    name: 'tokens written to the cache for an hour',
    values: count.map((cacheWrite) => ({
      usage: {
        input: 1,
        cacheRead: 0,
        cacheWrite,
        cacheWriteHour: cacheWrite,
        output: 1,
        reasoning: 0,
      },
    })),
    seen: ({ usage }) => usage?.cacheWriteHour ?? null,
  },
  {
    name: 'tokens of thinking',
    values: count.map((reasoning) => ({
      usage: {
        input: 1,
        cacheRead: 0,
        cacheWrite: 0,
        cacheWriteHour: 0,
        output: reasoning,
        reasoning,
      },
    })),
    seen: ({ usage }) => usage?.reasoning ?? null,
  },
  { name: 'ended by itself', values: stops('end'), seen: stopOf },
  { name: 'ended by its length', values: stops('length'), seen: stopOf },
  {
    name: 'ended by tool calls',
    values: stops('tool-calls', [call('c1', 'x')]),
    seen: stopOf,
  },
  { name: 'ended by a stop sequence', values: stops('stop-sequence'), seen: stopOf },
  { name: 'ended by a content filter', values: stops('content-filter'), seen: stopOf },
  { name: 'ended by a refusal', values: stops('refusal'), seen: stopOf },
  { name: 'paused', values: stops('pause'), seen: stopOf },
];

export function completionOf(over: Partial<Completion>): Completion {
  return { id: 'id-1', model: 'served', content: [], stop: 'end', ...over };
}

/** What a caller that speaks `to` reads of an answer that a server wrote in `from`. */
export function answerTrip(completion: Completion, from: DialectName, to: DialectName): Completion {
  const [source, sink] = [dialectNamed(from), dialectNamed(to)];
  const read = source.decodeAnswer(overTheWire(source.encodeAnswer(completion, context)));
  if (!read.ok) throw new Error(read.error.message);
  const arrived = sink.decodeAnswer(overTheWire(sink.encodeAnswer(read.value, context)));
  if (!arrived.ok) throw new Error(arrived.error.message);
  return arrived.value;
}

/** The same as a stream. */
export function streamTrip(completion: Completion, from: DialectName, to: DialectName): Completion {
  const [source, sink] = [dialectNamed(from), dialectNamed(to)];
  const written = source.streamEncoder(context);
  const bytes = concatBytes(...unfold(completion).map((event) => written.encode(event)));
  const encoder = sink.streamEncoder(context);
  const events = eventsOf(source, bytes);
  const folded = fold(eventsOf(sink, concatBytes(...events.map((event) => encoder.encode(event)))));
  if (!folded.ok) throw new Error(folded.error.message);
  return folded.value;
}

function eventsOf(dialect: Dialect, bytes: Uint8Array) {
  const decoder = dialect.streamDecoder();
  const some = decoder.push(bytes);
  if (!some.ok) throw new Error(some.error.message);
  const rest = decoder.finish();
  if (!rest.ok) throw new Error(rest.error.message);
  return [...some.value, ...rest.value];
}
