import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';
import type { AnswerContext, Dialect, StreamEvent, Usage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { HttpStream } from '../http/index.ts';
import type { GatewayClock } from './ports.ts';
import type { Dispatched, Relayed } from './stages.ts';

/** What turns upstream bytes into caller bytes: a watcher where the formats match, decoder + encoder elsewhere. */
interface Transform {
  push(bytes: Uint8Array): Result<Uint8Array, Refusal>;
  finish(): Result<Uint8Array, Refusal>;
  usage(): Usage | undefined;
  deliveredChars(): number;
}

/**
 * Streams an answer. The head goes out with the first bytes for the caller, or with the first heartbeat where the
 * model thinks longer than that: until then a failure is still a status. Back-pressure goes through: the next piece
 * is read from upstream when the caller has room.
 */
export async function relayStream(
  stage: Dispatched,
  context: AnswerContext,
  clock: GatewayClock,
): Promise<Result<Relayed, Refusal>> {
  const transform = transformFor(stage, context);
  const out = new CallerStream(stage, clock);
  try {
    for await (const bytes of stage.answer.body) {
      const piece = transform.push(bytes);
      if (!piece.ok) return out.fail(piece.error, transform);
      if (piece.value.length > 0 && !(await out.write(piece.value))) return out.left(transform);
    }
    const failure = stage.answer.failure();
    if (stage.request.signal.aborted) return out.left(transform);
    if (failure !== undefined) return out.fail(failure, transform);
    const rest = transform.finish();
    if (!rest.ok) return out.fail(rest.error, transform);
    if (rest.value.length > 0 && !(await out.write(rest.value))) return out.left(transform);
    return out.complete(transform);
  } finally {
    out.release();
    stage.answer.cancel();
  }
}

/** The caller's side of one stream: head at the last moment, heartbeats while nothing else is written. */
class CallerStream {
  readonly #stage: Dispatched;
  readonly #clock: GatewayClock;
  #stream: HttpStream | undefined;
  #timer: { clear(): void } | undefined;
  #firstByteMs: number | undefined;

  constructor(stage: Dispatched, clock: GatewayClock) {
    this.#stage = stage;
    this.#clock = clock;
    this.#arm();
  }

  write(bytes: Uint8Array): Promise<boolean> {
    this.#firstByteMs ??= this.#clock.nowMs() - this.#stage.request.receivedAtMs;
    this.#arm();
    return this.#open().write(bytes);
  }

  complete(transform: Transform): Result<Relayed, Refusal> {
    this.release();
    this.#open().end();
    return ok(this.#relayed('complete', undefined, transform));
  }

  /** The caller went away or cannot keep up. */
  left(transform: Transform): Result<Relayed, Refusal> {
    this.#stream?.destroy();
    return ok(this.#relayed('aborted', undefined, transform));
  }

  fail(refusal: Refusal, transform: Transform): Result<Relayed, Refusal> {
    this.release();
    const stream = this.#stream;
    if (stream === undefined) return err(refusal);
    void stream.write(this.#stage.dialect.encodeStreamRefusal(refusal, this.#stage.request.id));
    stream.end();
    return ok(this.#relayed('failed', refusal, transform));
  }

  release(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #open(): HttpStream {
    const { dialect, reply } = this.#stage;
    this.#stream ??= reply.start(200, streamHeaders(dialect.streamContentType));
    return this.#stream;
  }

  #arm(): void {
    this.#timer?.clear();
    const { heartbeat } = this.#stage.dialect;
    if (heartbeat.length === 0) return;
    this.#timer = this.#clock.after(this.#stage.view.limits.heartbeatMs, () => {
      this.#arm();
      void this.#open().write(heartbeat);
    });
  }

  #relayed(
    outcome: Relayed['outcome'],
    refusal: Refusal | undefined,
    transform: Transform,
  ): Relayed {
    return {
      outcome,
      refusal,
      usage: transform.usage(),
      deliveredChars: transform.deliveredChars(),
      firstByteMs: this.#firstByteMs,
    };
  }
}

function transformFor(stage: Dispatched, context: AnswerContext): Transform {
  const { attempt, dialect } = stage;
  if (attempt.dialect === dialect) return dialect.streamWatcher(context);
  return translator(attempt.dialect, dialect, context);
}

function translator(from: Dialect, to: Dialect, context: AnswerContext): Transform {
  const decoder = from.streamDecoder();
  const encoder = to.streamEncoder(context);
  let usage: Usage | undefined;
  let deliveredChars = 0;

  function encode(events: Result<readonly StreamEvent[], Refusal>): Result<Uint8Array, Refusal> {
    if (!events.ok) return events;
    const pieces: Uint8Array[] = [];
    for (const event of events.value) {
      if (event.kind === 'usage') usage = event.usage;
      if (event.kind === 'block-delta') deliveredChars += deltaChars(event.delta);
      pieces.push(encoder.encode(event));
    }
    return ok(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : concatBytes(...pieces));
  }

  return {
    push: (bytes) => encode(decoder.push(bytes)),
    finish: () => encode(decoder.finish()),
    usage: () => usage,
    deliveredChars: () => deliveredChars,
  };
}

function deltaChars(delta: Extract<StreamEvent, { kind: 'block-delta' }>['delta']): number {
  switch (delta.kind) {
    case 'text':
    case 'thinking':
    case 'refusal':
      return delta.text.length;
    case 'arguments':
      return delta.json.length;
    case 'signature':
    case 'foreign':
      return 0;
  }
}

export function streamHeaders(contentType: string): Record<string, string> {
  return { 'content-type': contentType, 'cache-control': 'no-cache', 'x-accel-buffering': 'no' };
}
