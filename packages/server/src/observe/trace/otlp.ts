import { genAi } from '../genai.ts';
import type { Attributes, AttributeValue, Span } from './span.ts';

/** SPAN_KIND_* and STATUS_CODE_* of opentelemetry-proto. */
const kinds = { server: 2, client: 3 } as const;
const statusError = 2;

/** What the service calls itself to a collector. */
export interface TraceResource {
  readonly version: string;
  readonly instance: string;
}

/** `ExportTraceServiceRequest` in the JSON of OTLP/HTTP: ids in hex, 64-bit numbers as strings, enums as numbers. */
export function otlpTraces(spans: readonly Span[], resource: TraceResource): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: {
          attributes: attributesOf({
            'service.name': 'postern',
            'service.version': resource.version,
            'service.instance.id': resource.instance,
          }),
        },
        scopeSpans: [
          {
            scope: { name: 'postern', version: resource.version },
            schemaUrl: genAi.schemaUrl,
            spans: spans.map(spanOf),
          },
        ],
      },
    ],
  });
}

function spanOf(span: Span): Record<string, unknown> {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === undefined ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: nanosOf(span.startMs),
    endTimeUnixNano: nanosOf(Math.max(span.startMs, span.endMs)),
    attributes: attributesOf(span.attributes),
    events: span.events.map(({ name, atMs, attributes }) => ({
      name,
      timeUnixNano: nanosOf(atMs),
      attributes: attributesOf(attributes),
    })),
    status: span.error === undefined ? {} : { code: statusError, message: span.error },
  };
}

/** Microseconds are what a double holds of an epoch; the rest is zeros. */
function nanosOf(ms: number): string {
  return `${Math.round(ms * 1_000)}000`;
}

function attributesOf(attributes: Attributes): readonly unknown[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValueOf(value) }],
  );
}

function anyValueOf(value: AttributeValue): Readonly<Record<string, unknown>> {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
