import { newSpanId, newTraceId, parseTraceparent, traceparentOf } from './context.ts';
import type { SpanSink } from './span.ts';

/** What is known of an exchange of the mesh when it begins. */
export interface MeshExchange {
  readonly edge: 'inbound' | 'outbound';
  readonly method: string;
  readonly app: string;
  readonly port: number;
  readonly traceparent: string | undefined;
}

export interface MeshExchangeSpan {
  readonly traceparent: string;
  end(status: number | undefined, error: string | undefined): void;
}

export interface MeshSpansOptions {
  readonly sink: SpanSink;
  readonly sample: number;
  readonly random: () => number;
  readonly nowMs: () => number;
}

/** Spans of exchanges: of the one who serves at the way in, of the one who calls at the way out. Paths are nobody's label. */
export function createMeshSpans({
  sink,
  sample,
  random,
  nowMs,
}: MeshSpansOptions): (exchange: MeshExchange) => MeshExchangeSpan | undefined {
  return ({ edge, method, app, port, traceparent }) => {
    const parent = parseTraceparent(traceparent);
    // Whoever calls at the way in was verified, at the way out it is our own machine: both may join a trace.
    if (parent?.isSampled === false || (parent === undefined && random() >= sample)) {
      return undefined;
    }
    const traceId = parent?.traceId ?? newTraceId();
    const spanId = newSpanId();
    const startMs = nowMs();
    return {
      traceparent: traceparentOf(traceId, spanId),
      end: (status, error) => {
        sink({
          traceId,
          spanId,
          parentSpanId: parent?.spanId,
          name: `${method} mesh ${edge}`,
          kind: edge === 'inbound' ? 'server' : 'client',
          startMs,
          endMs: nowMs(),
          attributes: {
            'http.request.method': method,
            'http.response.status_code': status,
            'server.port': port,
            'postern.mesh.app': app,
            'postern.mesh.edge': edge,
            'error.type': error,
          },
          events: [],
          error: error ?? (status !== undefined && status >= 500 ? String(status) : undefined),
        });
      },
    };
  };
}
