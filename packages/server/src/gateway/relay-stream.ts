import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';
import type { AnswerContext, Dialect, StreamEvent, Usage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { HttpStream } from '../http/index.ts';
import { whenAborted } from './abort.ts';
import { gatewayLimits } from './limits.ts';
import type { GatewayClock } from './ports.ts';
import type { Delivery, Dispatched, Relayed } from './stages.ts';

/** What turns upstream bytes into caller bytes: a watcher where the formats match, decoder + encoder elsewhere. */
interface Transform {
  push(bytes: Uint8Array): Result<Uint8Array, Refusal>;
  finish(): Result<Uint8Array, Refusal>;
  usage(): Usage | undefined;
  deliveredChars(): number;
  /** The error event, where it depends on what went out before it. */
  encodeRefusal?(refusal: Refusal): Uint8Array | undefined;
}

/** What both ways of relaying work with. */
export interface RelayWay {
  readonly context: AnswerContext;
  readonly delivery: Delivery;
  readonly clock: GatewayClock;
}

/**
 * Streams an answer. The head goes out with the first bytes for the caller, or with the first heartbeat where the
 * model thinks longer than that: until then a failure is still a status. Back-pressure goes through: the next piece
 * is read from upstream when the caller has room.
 */
export async function relayStream(
  stage: Dispatched,
  way: RelayWay,
): Promise<Result<Relayed, Refusal>> {
  const { answer, request } = stage;
  const source = transformFor(stage, way.context);
  const transform = metered(source, way.delivery);
  const out = new CallerStream(stage, way, (error) => source.encodeRefusal?.(error));
  try {
    for await (const bytes of answer.body) {
      const piece = transform.push(bytes);
      if (!piece.ok) return out.fail(piece.error);
      if (!(await out.write(piece.value))) return await out.left();
      const paid = stage.purse?.grow(writtenTokens(way.delivery));
      const refused = paid === undefined ? undefined : await paid;
      if (refused?.ok === false) return out.fail(refused.error);
    }
    // What ended the body after the last frame of a whole answer took nothing away from it.
    const rest = transform.finish();
    if (!rest.ok) {
      return request.signal.aborted ? await out.left() : out.fail(answer.failure() ?? rest.error);
    }
    return (await out.write(rest.value)) ? out.complete() : await out.left();
  } finally {
    out.release();
    answer.cancel();
  }
}

/** Output tokens so far: as reported, or as counted where nothing was reported yet. */
function writtenTokens({ usage, chars }: Delivery): number {
  return Math.max(usage?.output ?? 0, Math.ceil(chars / gatewayLimits.charsPerToken));
}

/** Keeps the account of a transform up to date, piece by piece. */
function metered(transform: Transform, delivery: Delivery): Pick<Transform, 'push' | 'finish'> {
  const note = (piece: Result<Uint8Array, Refusal>): Result<Uint8Array, Refusal> => {
    delivery.usage = transform.usage();
    delivery.chars = transform.deliveredChars();
    return piece;
  };
  return {
    push: (bytes) => note(transform.push(bytes)),
    finish: () => note(transform.finish()),
  };
}

/** The caller's side of one stream: head at the last moment, heartbeats while nothing else is written. */
class CallerStream {
  readonly #stage: Dispatched;
  readonly #way: RelayWay;
  readonly #errorEvent: (error: Refusal) => Uint8Array | undefined;
  #stream: HttpStream | undefined;
  #timer: { clear(): void } | undefined;
  #isOver = false;

  constructor(
    stage: Dispatched,
    way: RelayWay,
    errorEvent: (error: Refusal) => Uint8Array | undefined,
  ) {
    this.#stage = stage;
    this.#way = way;
    this.#errorEvent = errorEvent;
    // While the request waited for its turn, heartbeats may have opened the stream.
    this.#stream = stage.opening.stream;
    this.#arm();
  }

  /** False when the caller is gone. No bytes are nothing to write, and no reason for the head to go out. */
  async write(bytes: Uint8Array): Promise<boolean> {
    if (bytes.length === 0) return true;
    const { clock, delivery } = this.#way;
    delivery.firstByteMs ??= clock.nowMs() - this.#stage.request.receivedAtMs;
    // A piece may go out in parts while the caller is slow: a heartbeat between them would break the frame.
    this.#timer?.clear();
    const isAlive = await this.#open().write(bytes);
    this.#arm();
    return isAlive;
  }

  complete(): Result<Relayed, Refusal> {
    this.release();
    this.#open().end();
    return ok({ outcome: 'complete', refusal: undefined });
  }

  /** The caller went away or cannot keep up. An answer that has begun is over when its connection is. */
  async left(): Promise<Result<Relayed, Refusal>> {
    this.release();
    if (this.#stream === undefined)
      return err(refusal('upstream_unavailable', 'The caller left before the answer began.'));
    this.#stream.destroy();
    await whenAborted(this.#stage.request.signal);
    return ok({ outcome: 'aborted', refusal: undefined });
  }

  fail(error: Refusal): Result<Relayed, Refusal> {
    this.release();
    const stream = this.#stream;
    if (stream === undefined) return err(error);
    const { dialect, request } = this.#stage;
    void stream.write(this.#errorEvent(error) ?? dialect.encodeStreamRefusal(error, request.id));
    stream.end();
    return ok({ outcome: 'failed', refusal: error });
  }

  release(): void {
    this.#isOver = true;
    this.#timer?.clear();
  }

  #open(): HttpStream {
    this.#stream ??= this.#stage.opening.open();
    return this.#stream;
  }

  #arm(): void {
    this.#timer?.clear();
    const { heartbeat } = this.#stage.dialect;
    if (this.#isOver || heartbeat.length === 0) return;
    this.#timer = this.#way.clock.after(this.#stage.view.limits.heartbeatMs, () => {
      void this.#beat(heartbeat);
    });
  }

  async #beat(heartbeat: Uint8Array): Promise<void> {
    if (await this.#open().write(heartbeat)) this.#arm();
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
      deliveredChars += eventChars(event);
      pieces.push(encoder.encode(event));
    }
    return ok(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : concatBytes(...pieces));
  }

  return {
    push: (bytes) => encode(decoder.push(bytes)),
    finish: () => encode(decoder.finish()),
    usage: () => usage,
    deliveredChars: () => deliveredChars,
    encodeRefusal: (refused) => encoder.encodeRefusal?.(refused),
  };
}

/** Characters of the model's own words in an event: what a cut answer is charged by. */
export function eventChars(event: StreamEvent): number {
  if (event.kind !== 'block-delta') return 0;
  const { delta } = event;
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
