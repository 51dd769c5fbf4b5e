import type { OnReadOpts, Socket } from 'node:net';
import { assert } from '@postern/core/base';
import type { AnswerHead } from './answer-head.ts';

/** Who uses a connection now. */
export interface WireUser {
  /** `isLent`: the memory is written over after this call; what is kept of it has to be copied. */
  onBytes(bytes: Buffer, isLent: boolean): boolean;
  /** The upstream ended its side: by its FIN (no cause), or in another way. */
  onGone(cause: Error | undefined): void;
}

/**
 * What all connections read into, one after the other: a read of a socket's own takes 64 KiB from the heap for answers of
 * a few hundred bytes, and thousands of streams would hold one each.
 */
const lent = Buffer.allocUnsafeSlow(65_536);

/** One connection to an upstream: its socket, one user at a time, and whether it may have another. */
export class Wire {
  /** Served a call before this one. */
  reused = false;
  /** When it is too old to be used again, while it is idle. */
  expiresAtMs = 0;
  /** The head that came last, with its blank line, and as read: many servers answer with the very same one within a second. */
  lastHead: { readonly bytes: Buffer; readonly head: AnswerHead } | undefined;
  /** For whoever dials. */
  readonly onread: OnReadOpts = {
    buffer: lent,
    callback: (length) => this.#arrived(lent.subarray(0, length), true),
  };
  #socket: Socket | undefined;
  /** It spoke before anybody asked. */
  #isSpoilt = false;
  /** The other side has ended it, or it broke. */
  #hasEnded = false;
  #user: WireUser | undefined;
  readonly #onIdleEnd: (wire: Wire) => void;

  /** `onIdleEnd` is called once when it ends, or says something, while nobody uses it. */
  constructor(onIdleEnd: (wire: Wire) => void) {
    this.#onIdleEnd = onIdleEnd;
  }

  /** The connection is there. */
  attach(socket: Socket): void {
    this.#socket = socket;
    // Events of data come only where it was not dialled with `onread`.
    socket.on('data', (bytes: Buffer) => void this.#arrived(bytes, false));
    socket.on('end', () => this.#gone(undefined));
    socket.on('error', (cause) => this.#gone(cause));
    socket.on('close', () => this.#gone(new Error('closed')));
    if (this.#isSpoilt) socket.destroy();
  }

  get socket(): Socket {
    assert(this.#socket !== undefined, 'a wire is used once it is connected');
    return this.#socket;
  }

  get isOpen(): boolean {
    return !this.#isSpoilt && !this.#hasEnded && !this.socket.destroyed;
  }

  use(user: WireUser): void {
    this.#user = user;
  }

  /** Nobody uses it: what it says now belongs to no call. */
  rest(): void {
    this.#user = undefined;
    this.reused = true;
  }

  destroy(): void {
    this.#user = undefined;
    this.#socket?.destroy();
  }

  /** Whether to read on. */
  #arrived(bytes: Buffer, isLent: boolean): boolean {
    if (this.#user !== undefined) return this.#user.onBytes(bytes, isLent);
    this.#end();
    return true;
  }

  #gone(cause: Error | undefined): void {
    this.#hasEnded = true;
    if (this.#user === undefined) this.#end();
    else this.#user.onGone(cause);
  }

  /** Bytes that nobody asked for could be the start of a lie about the next answer. */
  #end(): void {
    this.#isSpoilt = true;
    this.#socket?.destroy();
    this.#onIdleEnd(this);
  }
}
