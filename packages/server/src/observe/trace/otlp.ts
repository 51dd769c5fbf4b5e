import { genAi } from '../genai.ts';
import type { Attributes, AttributeValue, Span, SpanEvent } from './span.ts';

/** SPAN_KIND_* and STATUS_CODE_* of opentelemetry-proto. */
const kinds = { server: 2, client: 3 } as const;
const statusError = 2;

/** What the service calls itself to a collector. */
export interface TraceResource {
  readonly version: string;
  readonly instance: string;
}

/**
 * `ExportTraceServiceRequest` in the JSON of OTLP/HTTP: ids in hex, 64-bit numbers as strings, enums as numbers. Written
 * as text at once: objects for every attribute would cost as much as everything else of a span.
 */
export function otlpTraces(spans: readonly Span[], resource: TraceResource): string {
  const about = attributesText({
    'service.name': 'postern',
    'service.version': resource.version,
    'service.instance.id': resource.instance,
  });
  const scope = `{"name":"postern","version":${JSON.stringify(resource.version)}}`;
  const scoped = `{"scope":${scope},"schemaUrl":"${genAi.schemaUrl}","spans":[${spans.map(spanText).join(',')}]}`;
  return `{"resourceSpans":[{"resource":{"attributes":${about}},"scopeSpans":[${scoped}]}]}`;
}

/** Ids are hex of ours or checked; every other text goes through `JSON.stringify`. */
function spanText(span: Span): string {
  const { traceId, spanId, parentSpanId, name, kind, startMs, endMs, attributes, events, error } =
    span;
  const parent = parentSpanId === undefined ? '' : `"parentSpanId":"${parentSpanId}",`;
  const status =
    error === undefined ? '{}' : `{"code":${statusError},"message":${JSON.stringify(error)}}`;
  const times = `"startTimeUnixNano":"${nanosOf(startMs)}","endTimeUnixNano":"${nanosOf(Math.max(startMs, endMs))}"`;
  const what = `"name":${JSON.stringify(name)},"kind":${kinds[kind]},${times},"attributes":${attributesText(attributes)}`;
  return `{"traceId":"${traceId}","spanId":"${spanId}",${parent}${what},"events":[${events.map(eventText).join(',')}],"status":${status}}`;
}

function eventText({ name, atMs, attributes }: SpanEvent): string {
  return `{"name":${JSON.stringify(name)},"timeUnixNano":"${nanosOf(atMs)}","attributes":${attributesText(attributes)}}`;
}

/** Microseconds are what a double holds of an epoch; the rest is zeros. */
function nanosOf(ms: number): string {
  return `${Math.round(ms * 1_000)}000`;
}

function attributesText(attributes: Attributes): string {
  let text = '';
  for (const key of Object.keys(attributes)) {
    const value = attributes[key];
    if (value === undefined) continue;
    // Keys are names of ours.
    text += `${text === '' ? '' : ','}{"key":"${key}","value":${valueText(value)}}`;
  }
  return `[${text}]`;
}

function valueText(value: AttributeValue): string {
  if (typeof value === 'string') return `{"stringValue":${JSON.stringify(value)}}`;
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  return Number.isInteger(value) ? `{"intValue":"${value}"}` : `{"doubleValue":${value}}`;
}
