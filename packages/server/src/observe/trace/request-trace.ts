import type { Usage } from '@postern/core/dialect';
import type { HttpRequest } from '../../http/index.ts';
import { knownRoute, unknownName } from '../audit/named.ts';
import { genAi, genAiOperation, genAiProvider } from '../genai.ts';
import type { SettledTrace, Settlement } from '../settlement.ts';
import { newSpanId, newTraceId, parseTraceparent, traceparentOf } from './context.ts';
import type { Attributes, SpanEvent, SpanSink } from './span.ts';

/** Where one attempt goes. */
export interface AttemptPlace {
  readonly provider: string;
  readonly model: string;
  readonly dialect: string;
  /** From 1; repetitions count. */
  readonly number: number;
}

export interface AttemptResult {
  readonly outcome: 'complete' | 'aborted' | 'failed';
  /** The code of the refusal. */
  readonly error: string | undefined;
  readonly usage: Usage | undefined;
}

/** The span of one attempt while it runs. */
export interface AttemptTrace {
  /** What goes on to the model server, beside everything else; empty where nothing is propagated. */
  readonly headers: Readonly<Record<string, string>>;
  end(result: AttemptResult): void;
}

/** The trace of one request: a span of its own, and one for each attempt below it. */
export interface RequestTrace extends SettledTrace {
  attempt(place: AttemptPlace): AttemptTrace;
}

/** Decides whether a request is traced. Asked once its caller is known: nobody else can begin a trace or join one. */
export interface Tracer {
  begin(request: HttpRequest): RequestTrace | undefined;
}

export interface TracerOptions {
  readonly sink: SpanSink;
  /** The part of requests that is traced. */
  readonly sample: number;
  /** In [0, 1). Callers choose their trace ids, so those decide nothing. */
  readonly random: () => number;
  readonly propagate: boolean;
  /** Epoch, ms, as fine as possible. */
  readonly nowMs: () => number;
  readonly isListed: (target: string) => boolean;
}

const none: Readonly<Record<string, string>> = Object.freeze({});

export function createTracer(options: TracerOptions): Tracer {
  return {
    begin: (request) => {
      const parent = parseTraceparent(request.headers.get('traceparent'));
      // A caller may say that it is not to be traced, but not that it is.
      if (parent?.isSampled === false || options.random() >= options.sample) return undefined;
      return new Trace(options, request, parent);
    },
  };
}

class Trace implements RequestTrace {
  readonly traceId: string;
  readonly #spanId = newSpanId();
  readonly #parentSpanId: string | undefined;
  readonly #options: TracerOptions;
  readonly #events: SpanEvent[] = [];
  readonly #startMs: number;

  constructor(
    options: TracerOptions,
    { receivedAtMs }: HttpRequest,
    parent: { readonly traceId: string; readonly spanId: string } | undefined,
  ) {
    this.#options = options;
    this.#startMs = Math.min(receivedAtMs, options.nowMs());
    this.traceId = parent?.traceId ?? newTraceId();
    this.#parentSpanId = parent?.spanId;
  }

  attempt(place: AttemptPlace): AttemptTrace {
    const { nowMs, propagate, sink } = this.#options;
    const spanId = newSpanId();
    const startMs = nowMs();
    const model = this.#shown(place.provider, place.model);
    this.#events.push({
      name: 'attempt',
      atMs: startMs,
      attributes: { 'postern.provider': place.provider, 'postern.attempt': place.number },
    });
    return {
      headers: propagate ? { traceparent: traceparentOf(this.traceId, spanId) } : none,
      end: ({ outcome, error, usage }) => {
        const endMs = nowMs();
        if (error !== undefined)
          this.#events.push({
            name: 'attempt failed',
            atMs: endMs,
            attributes: { 'postern.attempt': place.number, [genAi.errorType]: error },
          });
        sink({
          traceId: this.traceId,
          spanId,
          parentSpanId: this.#spanId,
          name: `${genAiOperation(place.dialect)} ${model}`,
          kind: 'client',
          startMs,
          endMs,
          attributes: attemptAttributes(place, model, { outcome, error, usage }),
          events: [],
          error: outcome === 'failed' ? (error ?? 'internal') : undefined,
        });
      },
    };
  }

  settled(settlement: Settlement): void {
    const { request, status, refusal, outcome } = settlement;
    const route = knownRoute(request.path);
    this.#options.sink({
      traceId: this.traceId,
      spanId: this.#spanId,
      parentSpanId: this.#parentSpanId,
      name: `${request.method} ${route ?? 'other'}`,
      kind: 'server',
      startMs: this.#startMs,
      endMs: this.#options.nowMs(),
      attributes: {
        'http.request.method': request.method,
        'http.route': route,
        'http.response.status_code': status,
        // The log and the audit record have everything else under this.
        'postern.request_id': request.id,
        'postern.listener': request.listener,
        'postern.outcome': outcome,
        'postern.waited_ms': settlement.waitedMs,
        'postern.own_ms': settlement.ownMs,
        [genAi.errorType]: refusal?.code,
      },
      events: this.#events,
      // What a caller did wrong is no failure of the server's span.
      error: status >= 500 || outcome === 'failed' ? (refusal?.code ?? 'failed') : undefined,
    });
  }

  /** A name of the catalogue as it is; of any other, which a caller made up, a digest. */
  #shown(provider: string, model: string): string {
    return this.#options.isListed(`${provider}/${model}`) ? model : unknownName(model);
  }
}

function attemptAttributes(
  { provider, dialect, number }: AttemptPlace,
  model: string,
  { outcome, error, usage }: AttemptResult,
): Attributes {
  return {
    [genAi.operation]: genAiOperation(dialect),
    [genAi.provider]: genAiProvider(dialect, provider),
    [genAi.requestModel]: model,
    [genAi.inputTokens]:
      usage === undefined ? undefined : usage.input + usage.cacheRead + usage.cacheWrite,
    [genAi.outputTokens]: usage?.output,
    [genAi.cacheReadTokens]: usage?.cacheRead,
    [genAi.cacheWriteTokens]: usage?.cacheWrite,
    [genAi.errorType]: error,
    'postern.provider': provider,
    'postern.dialect': dialect,
    'postern.attempt': number,
    'postern.outcome': outcome,
  };
}
