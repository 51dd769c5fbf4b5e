import { hostname } from 'node:os';
import type { TracesConfig } from '@postern/core/contract';
import { secretReader } from '../../adapters/secrets/index.ts';
import { createCollector } from '../../adapters/telemetry-http/index.ts';
import type { Sheet } from '../../observe/metrics/index.ts';
import type { Span, Tracer } from '../../observe/trace/index.ts';
import {
  createMeshSpans,
  createTracer,
  otlpTraces,
  SpanExporter,
} from '../../observe/trace/index.ts';
import type { TelemetryView } from './view.ts';

/** Between complaints about a collector. */
const complainMs = 60_000;

/** What waits at the end of the process has this long: a collector must not hold a shutdown. */
const closeMsMax = 3_000;

/** What traces need of a process. */
export type TracingView = Pick<
  TelemetryView,
  'clock' | 'env' | 'nowMs' | 'egress' | 'version' | 'logger'
>;

/** Traces as one configuration wants them; the counts go on over reloads. */
export class Tracing {
  tracer: Tracer | undefined;
  /** Spans of the mesh; undefined while nothing is traced. */
  meshSpan: ReturnType<typeof createMeshSpans> | undefined;
  readonly #view: TracingView;
  readonly #isListed: (target: string) => boolean;
  readonly #past = { exported: 0, failed: 0, dropped: 0 };
  #exporter: SpanExporter | undefined;
  #configured = '';
  #complainedAtMs = Number.NEGATIVE_INFINITY;

  constructor(view: TracingView, isListed: (target: string) => boolean) {
    this.#view = view;
    this.#isListed = isListed;
  }

  async configure(config: TracesConfig | undefined): Promise<void> {
    const text = JSON.stringify(config) ?? '';
    if (text === this.#configured) return;
    this.#configured = text;
    const old = this.#exporter;
    this.tracer = undefined;
    this.meshSpan = undefined;
    this.#exporter = undefined;
    if (config !== undefined) this.#begin(config);
    await this.#end(old);
  }

  write(sheet: Sheet): void {
    const now = this.#exporter?.counts;
    for (const result of ['exported', 'failed', 'dropped'] as const)
      sheet.put('postern_trace_spans_total', this.#past[result] + (now?.[result] ?? 0), result);
  }

  async close(): Promise<void> {
    this.tracer = undefined;
    await this.#end(this.#exporter);
    this.#exporter = undefined;
  }

  #begin(config: TracesConfig): void {
    const { clock, env, nowMs, egress, version } = this.#view;
    const resource = { version, instance: hostname() };
    const deliver = createCollector({
      egress,
      url: config.endpoint,
      headers: Object.entries(config.headers).map(
        ([name, source]) => [name, secretReader(source, { env, nowMs, egress })] as const,
      ),
    });
    const exporter = new SpanExporter({
      after: (ms, callback) => clock.after(ms, callback),
      deliver: (spans) => deliver(otlpTraces(spans, resource)),
      onProblem: (why) => this.#complain(why),
    });
    this.#exporter = exporter;
    const how = {
      sink: (span: Span): void => exporter.take(span),
      sample: config.sample,
      random: Math.random,
      nowMs: (): number => performance.timeOrigin + performance.now(),
    };
    this.meshSpan = createMeshSpans(how);
    this.tracer = createTracer({
      ...how,
      propagate: config.propagate,
      isListed: this.#isListed,
    });
  }

  async #end(exporter: SpanExporter | undefined): Promise<void> {
    if (exporter === undefined) return;
    const late = new Promise<void>((resolve) => {
      this.#view.clock.after(closeMsMax, resolve);
    });
    await Promise.race([exporter.close(), late]);
    this.#past.exported += exporter.counts.exported;
    this.#past.failed += exporter.counts.failed;
    this.#past.dropped += exporter.counts.dropped;
  }

  #complain(why: string): void {
    const now = this.#view.nowMs();
    if (now - this.#complainedAtMs < complainMs) return;
    this.#complainedAtMs = now;
    this.#view.logger.warn({ why }, 'spans were not exported');
  }
}
