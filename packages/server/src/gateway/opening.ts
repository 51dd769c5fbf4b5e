import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Conversation, Dialect } from '@postern/core/dialect';
import type { HttpReply, HttpRequest, HttpStream } from '../http/index.ts';
import type { GatewayClock } from './ports.ts';
import type { Relayed } from './relayed.ts';
import type { GatewayView } from './view.ts';

/** What was asked, as far as its stream is concerned. */
interface Asked {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  readonly dialect: Dialect;
  readonly conversation: Conversation;
  readonly view: Pick<GatewayView, 'limits'>;
}

/**
 * The caller's stream before there is an answer. While a streamed request waits for its turn or for a machine to
 * wake, heartbeats keep its connection alive; the first of them sends the head. Until then a failure is a status,
 * from then on it is an error event.
 */
export class Opening {
  readonly #stage: Asked;
  readonly #clock: GatewayClock;
  #stream: HttpStream | undefined;
  #timer: { clear(): void } | undefined;
  #isHeld = false;

  constructor(stage: Asked, clock: GatewayClock) {
    this.#stage = stage;
    this.#clock = clock;
  }

  /** Undefined until something went out. */
  get stream(): HttpStream | undefined {
    return this.#stream;
  }

  open(): HttpStream {
    const { dialect, reply } = this.#stage;
    this.#stream ??= reply.start(200, streamHeaders(dialect.streamContentType));
    return this.#stream;
  }

  /** Heartbeats for as long as `wait` takes. */
  async during<T>(wait: Promise<T>): Promise<T> {
    const { conversation, dialect } = this.#stage;
    if (!conversation.stream || dialect.heartbeat.length === 0) return wait;
    this.#isHeld = true;
    this.#arm();
    try {
      return await wait;
    } finally {
      this.#isHeld = false;
      this.#timer?.clear();
    }
  }

  /** The refusal, as the last event where the stream is open. */
  refuse(error: Refusal): Result<Relayed, Refusal> {
    const stream = this.#stream;
    const { dialect, request } = this.#stage;
    if (stream === undefined || request.signal.aborted) return err(error);
    void stream.write(dialect.encodeStreamRefusal(error, request.id));
    stream.end();
    return ok({ outcome: 'failed', refusal: error });
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#stage.view.limits.heartbeatMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    if (this.#stage.request.signal.aborted) return;
    const isAlive = await this.open().write(this.#stage.dialect.heartbeat);
    if (isAlive && this.#isHeld) this.#arm();
  }
}

export function streamHeaders(contentType: string): Record<string, string> {
  return { 'content-type': contentType, 'cache-control': 'no-cache', 'x-accel-buffering': 'no' };
}
