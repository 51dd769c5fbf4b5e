import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

/** Where a listener of the suite is reached. */
export type Door = (
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'tls';
      readonly host: string;
      readonly port: number;
      /** Undefined: whatever it shows. */
      readonly caPem: string | undefined;
      /** PEM of what we show. */
      readonly client?: { readonly key: string; readonly cert: string };
    }
  | { readonly kind: 'unix'; readonly path: string }
) & {
  /** Field lines that every request needs here, written behind its first line. */
  readonly insert?: string;
};

export type ConnectionState = 'open' | 'closed' | 'timeout';

/** What came back for one request, as the suite's own client sees it. */
export interface Received {
  readonly text: string;
  readonly state: ConnectionState;
}

const headMsMax = 5_000;
/** How long to wait for a body behind a head, and then for the end of the connection. */
export interface Pauses {
  readonly bodyMs: number;
  readonly closeMs: number;
}

const suitePauses: Pauses = { bodyMs: 100, closeMs: 50 };
const bytesMax = 65_536;

/** One raw connection: writes bytes as they are and reads until the head is complete or five seconds pass. */
export class RawClient {
  readonly #socket: Socket;
  readonly #pauses: Pauses;
  #text = '';
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, pauses: Pauses) {
    this.#socket = socket;
    this.#pauses = pauses;
    const end = (): void => {
      this.#ended = true;
      this.#notify();
    };
    socket.on('data', (bytes: Buffer) => {
      // latin1 keeps one character for each byte.
      if (this.#text.length < bytesMax) this.#text += bytes.toString('latin1');
      this.#notify();
    });
    socket.on('end', end).on('close', end).on('error', end);
  }

  static async open(door: Door, pauses: Pauses = suitePauses): Promise<RawClient> {
    const socket = dial(door);
    const event = door.kind === 'tls' ? 'secureConnect' : 'connect';
    await new Promise<void>((resolve, reject) => {
      socket.once(event, () => resolve()).once('error', reject);
    });
    socket.setNoDelay(true);
    return new RawClient(socket, pauses);
  }

  async exchange(bytes: Uint8Array): Promise<Received> {
    this.#text = '';
    if (bytes.length > 0) this.#socket.write(bytes);
    const deadline = Date.now() + headMsMax;
    while (!this.#text.includes('\r\n\r\n')) {
      if (this.#ended) return { text: this.#text, state: 'closed' };
      const left = deadline - Date.now();
      if (left <= 0) return { text: this.#text, state: 'timeout' };
      // oxlint-disable-next-line no-await-in-loop -- waits for more bytes
      await this.#more(left);
    }
    await sleep(this.#pauses.bodyMs);
    const text = this.#text;
    await sleep(this.#pauses.closeMs);
    const closed = this.#ended && this.#text.length === text.length;
    return { text, state: closed ? 'closed' : 'open' };
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Takes nothing any more from what arrives. */
  pause(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  async #more(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function dial(door: Door): Socket {
  switch (door.kind) {
    case 'tcp':
      return connect({ host: door.host, port: door.port });
    case 'tls':
      return connectTls({
        host: door.host,
        port: door.port,
        servername: 'localhost',
        ...(door.caPem === undefined ? { rejectUnauthorized: false } : { ca: door.caPem }),
        ...door.client,
      });
    case 'unix':
      return connect({ path: door.path });
  }
}
