import type { Config } from '@postern/core/contract';
import type { Identify } from '../../gateway/index.ts';
import type { HttpHandler, RefusedRequest } from '../../http/index.ts';
import type { Settlement } from '../../observe/index.ts';
import { RequestCounts } from '../../observe/metrics/index.ts';
import type { MeshExchange, MeshExchangeSpan, Tracer } from '../../observe/trace/index.ts';
import type { Alarm } from './alarm.ts';
import { listedIn } from './listed.ts';
import type { TelemetryView } from './view.ts';
import { metricsRoute } from './metrics-route.ts';
import type { Tracing } from './tracing.ts';

/** Metrics, traces and alerts of one process. */
export interface Telemetry {
  settled(settlement: Settlement): void;
  refused(refused: RefusedRequest): void;
  /** For whoever appraises evidence of peers: the verdict, a word of ours. */
  appraised(verdict: string): void;
  /** Undefined while nothing is traced. */
  tracer(): Tracer | undefined;
  /** A span of an exchange of the mesh; undefined where it is not traced. */
  meshSpan(exchange: MeshExchange): MeshExchangeSpan | undefined;
  /** `/metrics`. */
  metrics(identify: Identify): HttpHandler;
  /** Takes up what a (new) configuration says; resolves when it is in force. Never rejects. */
  configure(config: Config): Promise<void>;
  close(): Promise<void>;
}

/** Counts from the start; everything else is loaded when a scrape or the configuration asks for it. */
export function createTelemetry(view: TelemetryView): Telemetry {
  const isListed = listedIn(() => view.deployment().catalog.current());
  const counts = new RequestCounts({ isListed });
  let tracing: Tracing | undefined;
  let alarm: Alarm | undefined;
  let closing: Promise<void> | undefined;
  let changes: Promise<void> = Promise.resolve();

  async function take(config: Config): Promise<void> {
    const { traces } = config.telemetry;
    if (traces !== undefined || tracing !== undefined) {
      const { Tracing: Loaded } = await import('./tracing.ts');
      tracing ??= new Loaded(view, isListed);
      await tracing.configure(traces);
    }
    if (config.alerts.webhooks.length > 0 || alarm !== undefined) {
      const { Alarm: Loaded } = await import('./alarm.ts');
      alarm ??= new Loaded(view);
      alarm.configure(config.alerts);
    }
  }

  async function end(): Promise<void> {
    await changes;
    alarm?.close();
    await tracing?.close();
  }

  return {
    settled: (settlement) => {
      counts.settled(settlement);
      settlement.trace?.settled(settlement);
    },
    refused: (refused) => counts.refused(refused),
    appraised: (verdict) => counts.appraised(verdict),
    tracer: () => tracing?.tracer,
    meshSpan: (exchange) => tracing?.meshSpan?.(exchange),
    metrics: (identify) =>
      metricsRoute({
        view,
        identify,
        counted: [
          (sheet) => counts.write(sheet),
          (sheet) => tracing?.write(sheet),
          (sheet) => alarm?.write(sheet),
        ],
      }),
    configure: (config) => {
      changes = changes
        .then(() => take(config))
        .catch((fault: unknown) => view.logger.error({ err: fault }, 'telemetry'));
      return changes;
    },
    // A second signal must not end what the first one is still sending.
    close: () => (closing ??= end()),
  };
}
