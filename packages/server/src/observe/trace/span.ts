export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

export interface SpanEvent {
  readonly name: string;
  /** Epoch, ms. */
  readonly atMs: number;
  readonly attributes: Attributes;
}

/** One span, over and complete. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: 'server' | 'client';
  /** Epoch, ms, as fine as the clock is. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events: readonly SpanEvent[];
  /** A code of ours where it failed; never a message, which may hold words of a caller. */
  readonly error: string | undefined;
}

/** Takes spans that are over. Must not throw and must not block. */
export type SpanSink = (span: Span) => void;
