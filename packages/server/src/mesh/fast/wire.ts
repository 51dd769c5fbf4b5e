import type { Socket } from 'node:net';

/** Whoever has a connection at the moment. */
export interface WireUser {
  onBytes(bytes: Buffer): void;
  /** It ended; `cause` where it broke. */
  onGone(cause: Error | undefined): void;
  /** What was written has left us. */
  onDrain(): void;
}

/** A connection onwards, with at most one user at a time. What arrives while it has none ends it. */
export class Wire {
  readonly socket: Socket;
  /** Requests that it carried before. */
  carried = 0;
  /** Tick of the pool at which it began to wait. */
  restsSince = 0;
  #user: WireUser | undefined;
  #cause: Error | undefined;

  constructor(socket: Socket, onEnd: (wire: Wire) => void) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      if (this.#user === undefined) socket.destroy();
      else this.#user.onBytes(bytes);
    });
    socket.on('error', (cause: Error) => {
      this.#cause = cause;
    });
    socket.on('drain', () => this.#user?.onDrain());
    // A half-closed connection carries no further request.
    socket.on('end', () => {
      const user = this.#user;
      this.#user = undefined;
      user?.onGone(undefined);
      socket.destroy();
    });
    socket.on('close', () => {
      onEnd(this);
      const user = this.#user;
      this.#user = undefined;
      user?.onGone(this.#cause ?? new Error('closed'));
    });
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  use(user: WireUser | undefined): void {
    this.#user = user;
  }
}
