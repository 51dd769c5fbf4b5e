import { ok, type Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { type CallSignal, Leaving, turnMs } from '../../http/index.ts';
import type { SocketEgressLimits } from './limits.ts';
import type { SocketDialer } from './place.ts';
import { Wire } from './wire.ts';

/** How often idle connections are looked through; one that is too old is never used in between either. */
const lookMs = 500;
/** With so many connections in use the next call is likely to need one more. Fewer are opened only when they are needed. */
const sparesFromUsed = 16;
/** Connections that are opened ahead of the calls that will use them. */
const sparesMax = 2;
/** A spare that is not there by then is given up; whoever needs one dials. */
const spareDialMs = 2_000;

/**
 * Connections to one place, last in first out: the warmest is used first and the others get old and close. One call at
 * a time on each; a call never waits in a queue that nobody sees.
 */
export class Pool {
  readonly #dialer: SocketDialer;
  readonly #limits: SocketEgressLimits;
  readonly #idle: Wire[] = [];
  readonly #open = new Set<Wire>();
  #dialing = 0;
  /** Of those that are dialled now: for nobody yet. */
  readonly #spares = new Set<Leaving>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #onSpare = (): void => {
    while (this.#lacksSpare) void this.#dialSpare();
  };

  constructor(dialer: SocketDialer, limits: SocketEgressLimits) {
    this.#dialer = dialer;
    this.#limits = limits;
  }

  get isUnused(): boolean {
    return this.open === this.#idle.length;
  }

  get open(): number {
    return this.#open.size + this.#dialing;
  }

  get isFull(): boolean {
    return this.open >= this.#limits.connectionsPerOriginMax;
  }

  /** A kept connection that is still good. */
  take(nowMs: number): Wire | undefined {
    const warm = this.#takeIdle(nowMs);
    // Behind the call that takes the last one: what it needs is done first.
    if (this.#lacksSpare) setImmediate(this.#onSpare);
    return warm;
  }

  #takeIdle(nowMs: number): Wire | undefined {
    for (let warm = this.#idle.pop(); warm !== undefined; warm = this.#idle.pop()) {
      if (warm.isOpen && nowMs < warm.expiresAtMs) return warm;
      this.drop(warm);
    }
    return undefined;
  }

  async dial(signal: CallSignal): Promise<Result<Wire, Refusal>> {
    this.#dialing += 1;
    let isCounted = true;
    const leave = (): void => {
      if (isCounted) this.#dialing -= 1;
      isCounted = false;
    };
    // A name that is being resolved cannot be given up, but the place that it takes can.
    signal.addEventListener('abort', leave);
    const wire = new Wire((ended) => this.drop(ended));
    const dialed = await this.#dialer.dial(signal, wire.onread);
    leave();
    if (!dialed.ok) return dialed;
    wire.attach(dialed.value);
    if (this.#closed) wire.destroy();
    else this.#open.add(wire);
    return ok(wire);
  }

  /** Gives a connection back after a whole answer. `keepMs`: how long the upstream lets it be idle. */
  offer(wire: Wire, keepMs: number): void {
    if (!wire.isOpen || keepMs <= 0 || this.#idle.length >= this.#limits.idlePerOriginMax) {
      this.drop(wire);
      return;
    }
    wire.rest();
    wire.expiresAtMs = turnMs() + keepMs;
    this.#idle.push(wire);
    this.#timer ??= setInterval(() => this.#look(), lookMs).unref();
  }

  drop(wire: Wire): void {
    this.#open.delete(wire);
    const at = this.#idle.indexOf(wire);
    if (at !== -1) this.#idle.splice(at, 1);
    wire.destroy();
  }

  /** Calls come one after the other, and each would open its own connection: the next one finds it open. */
  get #lacksSpare(): boolean {
    const ahead = this.#idle.length + this.#spares.size;
    const used = this.#open.size - this.#idle.length;
    return ahead < sparesMax && used >= sparesFromUsed && !this.isFull && !this.#closed;
  }

  async #dialSpare(): Promise<void> {
    const leaving = new Leaving();
    this.#spares.add(leaving);
    const late = setTimeout(() => leaving.abort(), spareDialMs);
    const dialed = await this.dial(leaving);
    clearTimeout(late);
    this.#spares.delete(leaving);
    if (dialed.ok) this.offer(dialed.value, this.#limits.keepAliveMs);
  }

  close(): void {
    this.#closed = true;
    for (const spare of this.#spares) spare.abort();
    clearInterval(this.#timer);
    for (const wire of this.#open) {
      wire.socket.destroy();
    }
    this.#idle.length = 0;
  }

  #look(): void {
    const nowMs = performance.now();
    const old = this.#idle.filter((wire) => nowMs >= wire.expiresAtMs);
    for (const wire of old) this.drop(wire);
    if (this.#idle.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
