import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';
import type {
  AnswerContext,
  Dialect,
  BilledApart,
  StreamEvent,
  Usage,
} from '@postern/core/dialect';
import { answerChars } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { HttpStream, OutboundAnswer } from '../http/index.ts';
import { whenAborted } from './abort.ts';
import { answerContext } from './answer-context.ts';
import { glanceAtChat } from './chat-glance.ts';
import { sinceReceivedMs } from './elapsed.ts';
import { gatewayLimits } from './limits.ts';
import type { GatewayClock } from './ports.ts';
import { canFlow, flowThrough, type Step } from './relay-flow.ts';
import type { Delivery, Dispatched } from './stages.ts';
import type { Relayed } from './relayed.ts';

/** What turns upstream bytes into caller bytes: a watcher where the formats match, decoder + encoder elsewhere. */
interface Transform {
  push(bytes: Uint8Array): Result<Uint8Array, Refusal>;
  finish(): Result<Uint8Array, Refusal>;
  usage(): Usage | undefined;
  deliveredChars(): number;
  apart?(): BilledApart | undefined;
  /** The error event, where it depends on what went out before it. */
  encodeRefusal?(refusal: Refusal): Uint8Array | undefined;
}

/** What both ways of relaying work with. */
export interface RelayWay {
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
  const { delivery } = way;
  const source = transformFor(stage, answerContext(stage, way.clock));
  const out = new CallerStream(stage, way, (error) => source.encodeRefusal?.(error));
  const pass = (bytes: Uint8Array): Step<Ending> => {
    const piece = source.push(bytes);
    meter(source, delivery);
    if (!piece.ok) return err(piece.error);
    const wrote = out.write(piece.value);
    const paid = stage.purse?.grow(writtenTokens(delivery));
    return wrote === true && paid === undefined ? undefined : settled(wrote, paid);
  };
  const isPaid = (stage.purse?.accounts.length ?? 0) > 0;
  // What arrives at once is paid for in parts, so that no burst outgrows what is set aside.
  const step = (bytes: Uint8Array): Step<Ending> =>
    isPaid && bytes.length > paidBytesMax ? inParts(bytes, pass) : pass(bytes);
  try {
    const passed = canFlow(answer) ? await flowThrough(answer, step) : await pull(answer, step);
    if (!passed.ok) return passed.error === 'left' ? await out.left() : out.fail(passed.error);
    // What ended the body after the last frame of a whole answer took nothing away from it.
    const rest = source.finish();
    meter(source, delivery);
    if (!rest.ok) {
      return request.signal.aborted ? await out.left() : out.fail(answer.failure() ?? rest.error);
    }
    return (await out.write(rest.value)) ? out.complete() : await out.left();
  } finally {
    delivery.apart = source.apart?.();
    out.release();
    answer.cancel();
  }
}

/** Far less than a step of what streams set aside at a time. */
const paidBytesMax = 2_048;

async function inParts(
  bytes: Uint8Array,
  pass: (part: Uint8Array) => Step<Ending>,
): Promise<Result<undefined, Ending>> {
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    end = partEnd(bytes, at);
    const done = pass(bytes.subarray(at, end));
    // oxlint-disable-next-line no-await-in-loop -- each part waits for the one before it
    const outcome = done === undefined ? undefined : await done;
    if (outcome?.ok === false) return outcome;
  }
  return ok(undefined);
}

/** Behind a whole frame where one ends in this part: frames that are whole are read faster. */
function partEnd(bytes: Uint8Array, at: number): number {
  if (bytes.length - at <= paidBytesMax) return bytes.length;
  const part = Buffer.from(bytes.buffer, bytes.byteOffset + at, paidBytesMax);
  const frameEnd = part.lastIndexOf('\n\n', undefined, 'latin1');
  return frameEnd === -1 ? at + paidBytesMax : at + frameEnd + 2;
}

/** Why a stream ends before its body does: its caller left, or a refusal. */
type Ending = 'left' | Refusal;

async function settled(
  wrote: true | Promise<boolean>,
  paid: undefined | Promise<Result<void, Refusal>>,
): Promise<Result<undefined, Ending>> {
  if (!(await wrote)) return err('left');
  const refused = await paid;
  return refused?.ok === false ? refused : ok(undefined);
}

/** The same steps over a body that only comes with promises. */
async function pull(
  answer: OutboundAnswer,
  step: (bytes: Uint8Array) => Step<Ending>,
): Promise<Result<undefined, Ending>> {
  for await (const bytes of answer.body) {
    const done = step(bytes);
    const outcome = done === undefined ? undefined : await done;
    if (outcome?.ok === false) return outcome;
  }
  return ok(undefined);
}

/** Output tokens so far: as reported, or as counted where nothing was reported yet. */
function writtenTokens({ usage, chars }: Delivery): number {
  return Math.max(usage?.output ?? 0, Math.ceil(chars / gatewayLimits.charsPerToken));
}

/** Keeps the account of a transform up to date, piece by piece. */
function meter(transform: Transform, delivery: Delivery): void {
  delivery.usage = transform.usage();
  delivery.chars = transform.deliveredChars();
}

/** The caller's side of one stream: head at the last moment, heartbeats while nothing else is written. */
class CallerStream {
  readonly #stage: Dispatched;
  readonly #way: RelayWay;
  readonly #errorEvent: (error: Refusal) => Uint8Array | undefined;
  #stream: HttpStream | undefined;
  #timer: { clear(): void } | undefined;
  #wroteAtMs: number;
  #isWriting = false;
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
    this.#wroteAtMs = way.clock.nowMs();
    this.#arm(stage.view.limits.heartbeatMs);
  }

  /** False when the caller is gone. No bytes are nothing to write, and no reason for the head to go out. */
  write(bytes: Uint8Array): true | Promise<boolean> {
    if (bytes.length === 0) return true;
    const { clock, delivery } = this.#way;
    this.#wroteAtMs = clock.nowMs();
    delivery.firstByteMs ??= sinceReceivedMs(this.#stage.request, this.#wroteAtMs);
    const wrote = this.#open().write(bytes);
    return wrote === true ? true : this.#waited(wrote);
  }

  /** A piece may go out in parts while the caller is slow: a heartbeat between them would break the frame. */
  async #waited(wrote: Promise<boolean>): Promise<boolean> {
    this.#isWriting = true;
    const isAlive = await wrote;
    this.#isWriting = false;
    this.#wroteAtMs = this.#way.clock.nowMs();
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

  /** One timer, looked at when it is over: what was written meanwhile only moves the next look. */
  #arm(waitMs: number): void {
    const { heartbeat } = this.#stage.dialect;
    if (this.#isOver || heartbeat.length === 0) return;
    this.#timer = this.#way.clock.after(waitMs, () => void this.#look(heartbeat));
  }

  async #look(heartbeat: Uint8Array): Promise<void> {
    const { heartbeatMs } = this.#stage.view.limits;
    const quietMs = this.#isWriting ? 0 : this.#way.clock.nowMs() - this.#wroteAtMs;
    if (quietMs < heartbeatMs) {
      this.#arm(heartbeatMs - quietMs);
      return;
    }
    if (!(await this.#open().write(heartbeat))) return;
    this.#wroteAtMs = this.#way.clock.nowMs();
    this.#arm(heartbeatMs);
  }
}

function transformFor(stage: Dispatched, context: AnswerContext): Transform {
  const { attempt, dialect } = stage;
  if (attempt.dialect === dialect) {
    // No watcher of this format has an error event of its own.
    return dialect.name === 'openai-chat'
      ? glanceAtChat(() => dialect.streamWatcher(context))
      : dialect.streamWatcher(context);
  }
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
    apart: () => decoder.apart?.(),
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
      return answerChars(delta.text);
    case 'arguments':
      return answerChars(delta.json);
    case 'signature':
    case 'foreign':
      return 0;
  }
}
