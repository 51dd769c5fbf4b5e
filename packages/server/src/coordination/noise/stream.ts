import { Duplex } from 'node:stream';
import type { RecordFailure } from './records.ts';
import { RecordOpener, RecordSealer } from './records.ts';

export interface NoiseStreamOptions {
  /** The connection below; from now on nobody else reads or writes it. */
  readonly socket: Duplex;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** Bytes that came with the handshake and belong to the first record. */
  readonly head?: Uint8Array;
}

/** The record layer failed: what came is not of our peer, and nothing can be read any more. */
export class RecordError extends Error {
  readonly failure: RecordFailure;

  constructor(failure: RecordFailure) {
    super(`record layer: ${failure}`);
    this.name = 'RecordError';
    this.failure = failure;
  }
}

/**
 * The plaintext side of a Noise transport as a Duplex, on which HTTP/2 runs. Back-pressure goes through in both
 * directions; ending or destroying either side ends the other. A record that is not authentic destroys it.
 */
export class NoiseStream extends Duplex {
  readonly #socket: Duplex;
  readonly #sealer: RecordSealer;
  readonly #opener: RecordOpener;

  constructor({ socket, sendKey, receiveKey, head }: NoiseStreamOptions) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#sealer = new RecordSealer(sendKey);
    this.#opener = new RecordOpener(receiveKey);
    socket.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    let ended = false;
    socket.on('end', () => {
      ended = true;
      this.push(null);
    });
    socket.on('error', (cause) => this.destroy(cause));
    // After a proper end, what was not read yet is still to be read.
    socket.on('close', () => {
      if (!ended) this.destroy();
    });
    if (head !== undefined && head.length > 0) this.#receive(head);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#socket.write(this.#sealer.seal(chunk), done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error | null) => void,
  ): void {
    // Small HTTP/2 frames that gathered share their records.
    const whole = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this.#socket.write(this.#sealer.seal(whole), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #receive(chunk: Uint8Array): void {
    const { plaintexts, failure } = this.#opener.push(chunk);
    let wanted = true;
    for (const plaintext of plaintexts) wanted = this.push(plaintext);
    if (failure !== undefined) this.destroy(new RecordError(failure));
    else if (!wanted) this.#socket.pause();
  }
}
