/** What is known of an exchange when it begins. */
export interface MeshSpanStart {
  readonly edge: 'inbound' | 'outbound';
  readonly method: string;
  /** The app that is called, or that calls. */
  readonly app: string;
  readonly port: number;
  /** As the caller sent it (W3C Trace Context). */
  readonly traceparent: string | undefined;
}

/** One exchange at one proxy, while it runs. */
export interface MeshSpan {
  /** Goes on in place of the caller's, so that the next proxy hangs its span below this one. */
  readonly traceparent: string;
  /** Called once. `error`: a code of ours; undefined where the other end answered. */
  end(status: number | undefined, error: string | undefined): void;
}

/** Undefined: this exchange is not traced, and a caller's `traceparent` goes on as it is. */
export type BeginMeshSpan = (start: MeshSpanStart) => MeshSpan | undefined;

const traceField = 'traceparent';

/** Fields of a request that go on under a span. */
export function tracedFields(fields: readonly string[], span: MeshSpan | undefined): string[] {
  if (span === undefined) return [...fields];
  return [...withoutTrace(fields), traceField, span.traceparent];
}

export function withoutTrace(fields: readonly string[]): string[] {
  return fields.filter((_, index) => fields[index - (index % 2)]?.toLowerCase() !== traceField);
}
