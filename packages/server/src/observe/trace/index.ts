/**
 * @module Traces: a span for each request of a known caller and one for each attempt below it, and their way to a
 * collector by OTLP over HTTP, as JSON.
 *
 * Promises: ids of ours are drawn here; a caller's context says where its trace goes on and nothing else; the queue is
 * bounded and every lost span is counted. Refuses: prompts, answers, names of callers, and texts of theirs in place of
 * model names.
 */
export * from './context.ts';
export * from './exporter.ts';
export * from './mesh-span.ts';
export * from './otlp.ts';
export * from './request-trace.ts';
export type * from './span.ts';
