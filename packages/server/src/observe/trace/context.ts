import { randomFillSync } from 'node:crypto';

/** The part of a caller's `traceparent` that is taken up: where our spans hang, and whether it is traced at all. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** Longer is no header of this kind. */
const traceparentCharsMax = 512;
const sampledFlag = 1;

/** W3C Trace Context level 1, section 3.2. A later version may have more behind it; anything else is as if not sent. */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.length > traceparentCharsMax) return undefined;
  const [, version, traceId, spanId, flags, more] = traceparentForm.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || version === 'ff') return undefined;
  if (version === '00' && more !== undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags ?? '0', 16) & sampledFlag) === 1 };
}

export function traceparentOf(traceId: string, spanId: string): string {
  return `00-${traceId}-${spanId}-01`;
}

const traceIdBytes = 16;
const spanIdBytes = 8;
/** Random bytes are drawn for many ids at once. */
const pool = Buffer.alloc(4_096);
let drawn = pool.length;

export function newTraceId(): string {
  return newId(traceIdBytes);
}

export function newSpanId(): string {
  return newId(spanIdBytes);
}

function newId(bytes: number): string {
  if (drawn + bytes > pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  const id = pool.toString('hex', drawn, drawn + bytes);
  drawn += bytes;
  // All zeros is no id.
  return id.startsWith('00000000') && /^0+$/.test(id) ? newId(bytes) : id;
}
