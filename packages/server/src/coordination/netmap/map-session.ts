import type { Writable } from 'node:stream';
import { coordinationLimits } from '../limits.ts';
import { keepAliveFrame } from '../protocol/frame.ts';
import type { Bits } from './bits.ts';
import type { Machine } from './machine.ts';

/** What a machine was last told of itself, to tell it only what changed. */
export interface Told {
  self: string;
  filter: string;
  ssh: string;
  dns: string;
  derp: string;
}

/** One open map stream. */
export class MapSession {
  readonly machine: Machine;
  /** Under which it was opened: with another one the machine has begun anew. */
  readonly nodeKey: string;
  /** The capability version of the client. */
  readonly version: number;
  readonly isZstd: boolean;
  readonly #stream: Writable;
  readonly #wantsKeepAlive: boolean;
  /** Slots of the machines that it knows. */
  known: Bits;
  readonly told: Told = { self: '', filter: '', ssh: '', dns: '', derp: '' };
  /** It was too slow to be told of every change: it gets the whole map when it has caught up. */
  isBehind = false;
  #quietSinceMs: number;

  constructor(options: {
    readonly machine: Machine;
    readonly stream: Writable;
    readonly version: number;
    readonly isZstd: boolean;
    readonly wantsKeepAlive: boolean;
    readonly known: Bits;
    readonly nowMs: number;
  }) {
    this.machine = options.machine;
    this.nodeKey = options.machine.record.nodeKey;
    this.version = options.version;
    this.isZstd = options.isZstd;
    this.#stream = options.stream;
    this.#wantsKeepAlive = options.wantsKeepAlive;
    this.known = options.known;
    this.#quietSinceMs = options.nowMs;
  }

  get isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.writableEnded;
  }

  send(frame: Buffer, nowMs: number): void {
    if (!this.isOpen) return;
    this.#quietSinceMs = nowMs;
    this.#stream.write(frame);
  }

  get hasBacklog(): boolean {
    return this.#stream.writableLength > coordinationLimits.backlogBytesMax;
  }

  onDrain(then: () => void): void {
    this.#stream.once('drain', then);
  }

  keepAlive(nowMs: number): void {
    if (!this.#wantsKeepAlive || nowMs - this.#quietSinceMs < coordinationLimits.keepAliveMs)
      return;
    if (this.#stream.writableLength === 0) this.send(keepAliveFrame(this.isZstd), nowMs);
  }

  end(): void {
    this.#stream.end();
  }
}
