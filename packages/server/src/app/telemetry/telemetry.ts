import type { Config } from '@postern/core/contract';
import type { Snapshot } from '@postern/core/state';
import type { GatewayClock, Identify } from '../../gateway/index.ts';
import type { Egress, HttpHandler, Listener, RefusedRequest } from '../../http/index.ts';
import type { MeshFacts } from '../../mesh/index.ts';
import type { Logger, Settlement } from '../../observe/index.ts';
import { RequestCounts } from '../../observe/metrics/index.ts';
import type { MeshExchange, MeshExchangeSpan, Tracer } from '../../observe/trace/index.ts';
import type { AuditTrail } from '../audit.ts';
import type { Deployment } from '../deployment.ts';
import type { IssuerKeyRing } from '../issuers.ts';
import type { MoneyPlane } from '../money.ts';
import type { Alarm } from './alarm.ts';
import { listedIn } from './listed.ts';
import { metricsRoute } from './metrics-route.ts';
import type { Tracing } from './tracing.ts';

/** What telemetry reads of a process that is up. All of it is asked when somebody looks, not before. */
export interface TelemetryView {
  readonly version: string;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  readonly clock: GatewayClock;
  readonly egress: Egress;
  readonly deployment: () => Deployment;
  readonly listeners: () => readonly Listener[];
  readonly snapshot: () => Snapshot;
  readonly isReady: () => boolean;
  readonly audit: AuditTrail;
  readonly money: MoneyPlane;
  readonly issuerKeys: IssuerKeyRing;
  /** Undefined while no mesh runs. */
  readonly mesh?: () => MeshFacts | undefined;
  readonly logger: Logger;
}

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
