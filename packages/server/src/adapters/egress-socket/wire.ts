import type { Socket } from 'node:net';
import type { AnswerHead } from './answer-head.ts';

/** Who uses a connection now. */
export interface WireUser {
  onBytes(bytes: Buffer): void;
  /** The upstream ended its side: by its FIN (no cause), or in another way. */
  onGone(cause: Error | undefined): void;
}

/** One connection to an upstream: its socket, one user at a time, and whether it may have another. */
export class Wire {
  readonly socket: Socket;
  /** Served a call before this one. */
  reused = false;
  /** When it is too old to be used again, while it is idle. */
  expiresAtMs = 0;
  /** The head that came last, as text and as read: many servers answer with the very same one within a second. */
  lastHead: { readonly text: string; readonly head: AnswerHead } | undefined;
  #user: WireUser | undefined;
  readonly #onIdleEnd: (wire: Wire) => void;

  /** `onIdleEnd` is called once when it ends, or says something, while nobody uses it. */
  constructor(socket: Socket, onIdleEnd: (wire: Wire) => void) {
    this.socket = socket;
    this.#onIdleEnd = onIdleEnd;
    socket.on('data', (bytes: Buffer) => {
      if (this.#user === undefined) this.#end();
      else this.#user.onBytes(bytes);
    });
    socket.on('end', () => this.#gone(undefined));
    socket.on('error', (cause) => this.#gone(cause));
    socket.on('close', () => this.#gone(new Error('closed')));
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable && !this.socket.readableEnded;
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
    this.socket.destroy();
  }

  #gone(cause: Error | undefined): void {
    if (this.#user === undefined) this.#end();
    else this.#user.onGone(cause);
  }

  /** Bytes that nobody asked for could be the start of a lie about the next answer. */
  #end(): void {
    this.socket.destroy();
    this.#onIdleEnd(this);
  }
}
