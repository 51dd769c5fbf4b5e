import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { Delivered, Span } from './index.ts';
import {
  createTracer,
  newSpanId,
  newTraceId,
  otlpTraces,
  parseTraceparent,
  spanBatchMax,
  SpanExporter,
  spanQueueMax,
  traceparentOf,
} from './index.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

function span(name = 's'): Span {
  return {
    traceId,
    spanId,
    parentSpanId: undefined,
    name,
    kind: 'client',
    startMs: 1_795_323_600_000.25,
    endMs: 1_795_323_600_001.5,
    attributes: { a: 'x', b: 3, c: 0.5, d: true, e: undefined },
    events: [],
    error: undefined,
  };
}

describe('traceparent (W3C Trace Context, section 3.2)', () => {
  test.each([
    [`00-${traceId}-${spanId}-01`, { traceId, spanId, isSampled: true }],
    [`00-${traceId}-${spanId}-00`, { traceId, spanId, isSampled: false }],
    [`00-${traceId}-${spanId}-03`, { traceId, spanId, isSampled: true }],
    [
      `cc-${traceId}-${spanId}-01-what-the-future-will-be-like`,
      { traceId, spanId, isSampled: true },
    ],
    [`00-${traceId}-${spanId}-01-more`, undefined],
    [`cc-${traceId}-${spanId}-01.more`, undefined],
    [`ff-${traceId}-${spanId}-01`, undefined],
    [`00-${'0'.repeat(32)}-${spanId}-01`, undefined],
    [`00-${traceId}-${'0'.repeat(16)}-01`, undefined],
    [`00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
    [`00-${traceId}-${spanId}-1`, undefined],
    [`00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`, undefined],
    [`cc-${traceId}-${spanId}-01-${'x'.repeat(600)}`, undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j', (text, parsed) => {
    expect(parseTraceparent(text)).toEqual(parsed);
  });

  test('what we write we read, and ids are new each time', () => {
    const ids = new Set(Array.from({ length: 2_000 }, () => newSpanId()));
    expect(ids.size).toBe(2_000);
    for (const id of ids) {
      const trace = newTraceId();
      expect(parseTraceparent(traceparentOf(trace, id))).toEqual({
        traceId: trace,
        spanId: id,
        isSampled: true,
      });
    }
  });

  test('nothing that a caller writes throws', () => {
    fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => void parseTraceparent(text)));
  });
});

test('how many requests are traced does not hang on what callers write', () => {
  let draws = 0;
  const tracer = createTracer({
    sink: () => undefined,
    sample: 0.25,
    random: () => {
      draws += 0.01;
      return draws - 0.005;
    },
    propagate: true,
    nowMs: () => 0,
    isListed: () => true,
  });
  const headers = { get: () => `00-${traceId}-${spanId}-01` };
  // A trace reads nothing else of a request before it is settled.
  const request = { headers, receivedAtMs: 0 } as unknown as Parameters<typeof tracer.begin>[0];
  const begun = Array.from({ length: 100 }, () => tracer.begin(request));
  expect(begun.filter((each) => each !== undefined)).toHaveLength(25);
});

test('OTLP/HTTP JSON: ids in hex, times as strings of nanoseconds, integers as strings', () => {
  const body: unknown = JSON.parse(otlpTraces([span()], { version: '1', instance: 'h' }));
  expect(body).toMatchObject({
    resourceSpans: [
      {
        resource: {
          attributes: expect.arrayContaining([
            { key: 'service.name', value: { stringValue: 'postern' } },
          ]),
        },
        scopeSpans: [
          {
            spans: [
              {
                traceId,
                spanId,
                name: 's',
                kind: 3,
                startTimeUnixNano: '1795323600000250000',
                endTimeUnixNano: '1795323600001500000',
                attributes: [
                  { key: 'a', value: { stringValue: 'x' } },
                  { key: 'b', value: { intValue: '3' } },
                  { key: 'c', value: { doubleValue: 0.5 } },
                  { key: 'd', value: { boolValue: true } },
                ],
                status: {},
              },
            ],
          },
        ],
      },
    ],
  });
});

describe('the exporter', () => {
  interface Rig {
    readonly clock: ReturnType<typeof createFakeClock>;
    readonly exporter: SpanExporter;
    readonly batches: number[];
    readonly problems: string[];
  }
  function rig(answer: () => Delivered | Promise<Delivered>): Rig {
    const clock = createFakeClock();
    const batches: number[] = [];
    const problems: string[] = [];
    const exporter = new SpanExporter({
      deliver: (spans) => {
        batches.push(spans.length);
        return Promise.resolve(answer());
      },
      after: (ms, callback) => clock.after(ms, callback),
      onProblem: (why) => problems.push(why),
    });
    return { clock, exporter, batches, problems };
  }
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
  };

  test('sends what gathers in two seconds, or a full batch at once', async () => {
    const { clock, exporter, batches } = rig(() => ({ kind: 'taken', rejected: 0 }));
    exporter.take(span());
    exporter.take(span());
    expect(batches).toEqual([]);
    clock.advance(2_000);
    expect(batches).toEqual([2]);
    await settled();
    for (let i = 0; i < spanBatchMax; i += 1) exporter.take(span());
    expect(batches).toEqual([2, spanBatchMax]);
    await settled();
    expect(exporter.counts).toEqual({ exported: spanBatchMax + 2, failed: 0, dropped: 0 });
  });

  test('tries a collector that is away four times, then gives the batch up and says so once', async () => {
    const { clock, exporter, batches, problems } = rig(() => ({ kind: 'later', why: 'away' }));
    exporter.take(span());
    for (const ms of [2_000, 1_000, 2_000, 4_000, 60_000]) {
      clock.advance(ms);
      await settled();
    }
    expect(batches).toEqual([1, 1, 1, 1]);
    expect(exporter.counts).toEqual({ exported: 0, failed: 1, dropped: 0 });
    expect(problems).toEqual(['away']);
  });

  test('what a collector refuses, whole or in part, is counted and not sent again', async () => {
    const whole = rig(() => ({ kind: 'refused', why: 'no' }));
    whole.exporter.take(span());
    await whole.exporter.close();
    expect(whole.exporter.counts).toEqual({ exported: 0, failed: 1, dropped: 0 });
    const part = rig(() => ({ kind: 'taken', rejected: 2 }));
    for (let i = 0; i < 5; i += 1) part.exporter.take(span());
    await part.exporter.close();
    expect(part.exporter.counts).toEqual({ exported: 3, failed: 2, dropped: 0 });
  });

  test('a queue that is full drops, counted; the spans before are kept', async () => {
    let release: (done: Delivered) => void = () => undefined;
    const { exporter, batches } = rig(
      () =>
        new Promise<Delivered>((resolve) => {
          release = resolve;
        }),
    );
    for (let i = 0; i < spanBatchMax + spanQueueMax + 7; i += 1) exporter.take(span());
    expect(batches).toEqual([spanBatchMax]);
    expect(exporter.counts.dropped).toBe(7);
    const closing = exporter.close();
    for (let i = 0; i <= spanQueueMax / spanBatchMax; i += 1) {
      release({ kind: 'taken', rejected: 0 });
      await settled();
    }
    await closing;
    expect(exporter.counts.exported).toBe(spanBatchMax + spanQueueMax);
  });

  test('closing tries once more and does not wait for a collector that is away', async () => {
    const { clock, exporter, batches } = rig(() => ({ kind: 'later', why: 'away' }));
    exporter.take(span());
    clock.advance(2_000);
    await settled();
    exporter.take(span());
    await exporter.close();
    expect(batches).toEqual([1, 1, 1]);
    expect(exporter.counts).toEqual({ exported: 0, failed: 2, dropped: 0 });
    exporter.take(span());
    expect(exporter.counts.dropped).toBe(1);
  });
});
