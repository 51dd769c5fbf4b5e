import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../base/index.ts';
import { jsonObjectOf, utf8, utf8Text } from '../../base/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { EventFold } from '../fold.ts';
import type { StreamEvent } from '../model.ts';
import { openAiResponses } from './openai-responses.ts';

const context: AnswerContext = {
  requestId: 'r',
  nowMs: 1_700_000_000_000,
  receivedAtMs: 0,
  model: 'asked',
  streamUsage: true,
};

const kinds = ['text', 'refusal', 'thinking', 'redacted-thinking', 'tool-call'] as const;

/** Blocks of every kind whose events are drawn from any open one. */
const interleaved: fc.Arbitrary<readonly StreamEvent[]> = fc
  .tuple(
    fc.array(fc.constantFrom(...kinds), { maxLength: 5 }),
    fc.array(fc.nat(), { maxLength: 30 }),
    fc.constantFrom('end', 'length', 'tool-calls', 'refusal', 'content-filter', 'pause'),
  )
  .map(([blocks, picks, stop]) => {
    const queues = blocks.map(eventsOf);
    const events: StreamEvent[] = [{ kind: 'start', id: 'i', model: 'm' }];
    for (const pick of [...picks, ...Array.from({ length: 40 }, () => 0)]) {
      const open = queues.filter((queue) => queue.length > 0);
      const next = open[pick % Math.max(1, open.length)]?.shift();
      if (next !== undefined) events.push(next);
    }
    return [...events, { kind: 'finish', stop }, { kind: 'end' }];
  });

function eventsOf(kind: (typeof kinds)[number], index: number): StreamEvent[] {
  const delta = (value: Extract<StreamEvent, { kind: 'block-delta' }>['delta']): StreamEvent => ({
    kind: 'block-delta',
    index,
    delta: value,
  });
  const said = (): StreamEvent[] => {
    switch (kind) {
      case 'text':
      case 'refusal':
      case 'thinking':
        return [delta({ kind, text: `a${index}` }), delta({ kind, text: 'b' })];
      case 'tool-call':
        return [
          delta({ kind: 'arguments', json: '{"a":' }),
          delta({ kind: 'arguments', json: '1}' }),
        ];
      case 'redacted-thinking':
        return [];
    }
  };
  const block =
    kind === 'tool-call'
      ? ({ kind, id: `c${index}`, name: 'f' } as const)
      : kind === 'redacted-thinking'
        ? ({ kind, data: `d${index}` } as const)
        : ({ kind } as const);
  const seal = kind === 'thinking' ? [delta({ kind: 'signature', signature: `s${index}` })] : [];
  return [{ kind: 'block-start', index, block }, ...said(), ...seal, { kind: 'block-stop', index }];
}

function written(events: readonly StreamEvent[]): readonly JsonObject[] {
  const encoder = openAiResponses.streamEncoder(context);
  const text = events.map((event) => utf8Text(encoder.encode(event)) ?? '').join('');
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => jsonObjectOf(line.slice(6)) ?? {});
}

test('in any order of blocks, numbers have no gap, items are added and done once, and the end repeats them', () => {
  fc.assert(
    fc.property(interleaved, (events) => {
      const frames = written(events);
      expect(frames.map((frame) => frame['sequence_number'])).toEqual(frames.map((_, at) => at));
      const items = (type: string) => frames.filter((frame) => frame['type'] === type);
      const added = items('response.output_item.added').map((frame) => frame['output_index']);
      const done = items('response.output_item.done');
      expect(added).toEqual(added.map((_, at) => at));
      const byIndex = new Map(done.map((frame) => [frame['output_index'], frame['item']]));
      expect(byIndex.size).toBe(done.length);
      const last = frames.at(-1)?.['response'] as JsonObject;
      expect(last['output']).toEqual(added.map((index) => byIndex.get(index)));
    }),
  );
});

test('frames that are lost, doubled or moved are refused or read in a sound order, never a throw', () => {
  fc.assert(
    fc.property(
      interleaved,
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.constantFrom('drop', 'double', 'move')), {
        maxLength: 4,
      }),
      (events, changes) => {
        const frames = [...written(events)];
        for (const [from, to, change] of changes) {
          const at = from % frames.length;
          const frame = frames[at] ?? {};
          if (change !== 'double') frames.splice(at, 1);
          if (change !== 'drop') frames.splice(to % (frames.length + 1), 0, frame);
          if (frames.length === 0) return;
        }
        const decoder = openAiResponses.streamDecoder();
        const fold = new EventFold();
        for (const frame of frames) {
          const read = decoder.push(utf8(`data: ${JSON.stringify(frame)}\n\n`));
          if (!read.ok) {
            expect(read.error.code).toBe('upstream_error');
            return;
          }
          for (const event of read.value) expect(fold.add(event)).toBe(undefined);
        }
        expect(decoder.finish().ok).toBe(fold.completion().ok);
      },
    ),
    { numRuns: 300 },
  );
});
