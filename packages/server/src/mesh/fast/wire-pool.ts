import type { Socket } from 'node:net';
import type { Result } from '@postern/core/base';
import type { OwnAnswer } from '../answer.ts';
import { type PassedHead, readPassedHead } from './answer-head.ts';
import { Wire } from './wire.ts';

export interface WireDialer {
  /** A connection that is there and may be written to. */
  dial(): Promise<Result<Socket, OwnAnswer>>;
  /** May this kept connection carry another request? */
  isUsable(socket: Socket): boolean;
}

export interface WirePoolLimits {
  readonly connectionsMax: number;
  readonly idleMax: number;
  readonly keepMs: number;
  readonly requestsMax: number;
  readonly headersMax: number;
}

/** Heads of answers that are known by their text. Most differ from the one before only in their date. */
const knownMax = 32;

/** Kept connections to one place, last in first out. */
export class WirePool {
  readonly #dialer: WireDialer;
  readonly #limits: WirePoolLimits;
  readonly #idle: Wire[] = [];
  readonly #open = new Set<Wire>();
  readonly #known = new Map<string, PassedHead>();
  #dialing = 0;
  #ticks = 0;

  constructor(dialer: WireDialer, limits: WirePoolLimits) {
    this.#dialer = dialer;
    this.#limits = limits;
  }

  get isFull(): boolean {
    return (
      this.#idle.length === 0 && this.#open.size + this.#dialing >= this.#limits.connectionsMax
    );
  }

  get isUnused(): boolean {
    return this.#open.size === 0 && this.#dialing === 0;
  }

  take(): Wire | undefined {
    for (let wire = this.#idle.pop(); wire !== undefined; wire = this.#idle.pop()) {
      if (wire.isOpen && this.#dialer.isUsable(wire.socket)) return wire;
      wire.socket.destroy();
    }
    return undefined;
  }

  async dial(): Promise<Result<Wire, OwnAnswer>> {
    this.#dialing += 1;
    const dialed = await this.#dialer.dial();
    this.#dialing -= 1;
    if (!dialed.ok) return dialed;
    const wire = new Wire(dialed.value, (ended) => this.#ended(ended));
    this.#open.add(wire);
    return { ok: true, value: wire };
  }

  /** Gives a connection back after a whole answer. */
  offer(wire: Wire): void {
    wire.carried += 1;
    wire.use(undefined);
    const { idleMax, requestsMax } = this.#limits;
    if (!wire.isOpen || this.#idle.length >= idleMax || wire.carried >= requestsMax) {
      wire.socket.destroy();
      return;
    }
    wire.restsSince = this.#ticks;
    this.#idle.push(wire);
  }

  /** Ends a connection that nobody may use again. */
  drop(wire: Wire): void {
    wire.use(undefined);
    wire.socket.destroy();
  }

  /** A head of an answer as it goes on. */
  headOf(text: string): PassedHead | undefined {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const read = readPassedHead(text, this.#limits.headersMax);
    if (read === undefined) return undefined;
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(text, read);
    return read;
  }

  /** Ends those that waited for too long; called every `everyMs`. */
  sweep(everyMs: number): void {
    this.#ticks += 1;
    const old = this.#ticks - Math.max(1, Math.floor(this.#limits.keepMs / everyMs));
    while (this.#idle.length > 0 && (this.#idle[0]?.restsSince ?? 0) <= old) {
      this.#idle.shift()?.socket.destroy();
    }
  }

  close(): void {
    for (const wire of this.#open) wire.socket.destroy();
    this.#idle.length = 0;
  }

  #ended(wire: Wire): void {
    this.#open.delete(wire);
    const at = this.#idle.indexOf(wire);
    if (at !== -1) this.#idle.splice(at, 1);
  }
}
