import { reading } from '../cursor/index.ts';
import type { Malformed } from '../cursor/index.ts';
import { err, ok } from '../result.ts';
import type { Result } from '../result.ts';
import { messageBytesMax, preludeBytes, readMessage, readPrelude } from './message.ts';
import type { EventStreamMessage, Prelude } from './message.ts';

/** Messages that were whole before a breach, and the breach: what arrived is not lost for what followed it. */
export interface DecodedMessages {
  readonly messages: readonly EventStreamMessage[];
  readonly problem: Malformed | undefined;
}

/** Reads a stream piece by piece, in any split. It holds the bytes of one unfinished message at most. */
export class EventStreamDecoder {
  readonly #messageBytesMax: number;
  /** Bytes of the unfinished message: the first `#pendingBytes` of a buffer that grows. */
  #pending: Uint8Array = new Uint8Array(0);
  #pendingBytes = 0;
  #prelude: Prelude | undefined;
  #problem: Malformed | undefined;

  constructor(bytesMax: number = messageBytesMax) {
    this.#messageBytesMax = bytesMax;
  }

  /** Does part of a message wait for its rest? A stream that ends so was cut. */
  get isInside(): boolean {
    return this.#pendingBytes > 0;
  }

  /** The messages that these bytes complete. After a problem it gives nothing but that problem. */
  push(bytes: Uint8Array): DecodedMessages {
    const messages: EventStreamMessage[] = [];
    let at = 0;
    while (this.#problem === undefined) {
      const taken = this.#take(bytes.subarray(at), messages);
      if (!taken.ok) this.#problem = taken.error;
      else if (taken.value === 0) break;
      else at += taken.value;
    }
    if (this.#problem === undefined && at < bytes.length) this.#keep(bytes.subarray(at));
    return { messages, problem: this.#problem };
  }

  /** How many bytes of the input went into one more message; 0 where it is not complete yet. */
  #take(bytes: Uint8Array, messages: EventStreamMessage[]): Result<number, Malformed> {
    const known = this.#pendingBytes + bytes.length;
    if (this.#prelude === undefined) {
      if (known < preludeBytes) return ok(0);
      const head = this.#front(bytes, preludeBytes);
      const prelude = reading(() => readPrelude(head, this.#messageBytesMax));
      if (!prelude.ok) return prelude;
      this.#prelude = prelude.value;
    }
    const prelude = this.#prelude;
    if (known < prelude.totalBytes) return ok(0);
    const taken = prelude.totalBytes - this.#pendingBytes;
    const raw = this.#front(bytes, prelude.totalBytes);
    const message = reading(() => readMessage(raw, prelude));
    if (!message.ok) return err(message.error);
    messages.push(message.value);
    this.#pendingBytes = 0;
    this.#prelude = undefined;
    return ok(taken);
  }

  /** The first `length` bytes of what is pending and the input; in memory of its own where it takes both. */
  #front(bytes: Uint8Array, length: number): Uint8Array {
    if (this.#pendingBytes === 0) return bytes.subarray(0, length);
    const front = new Uint8Array(length);
    const pending = Math.min(this.#pendingBytes, length);
    front.set(this.#pending.subarray(0, pending));
    front.set(bytes.subarray(0, length - pending), pending);
    return front;
  }

  /** Keeps a copy: the caller may reuse its buffer. Doubling keeps a drip of single bytes linear. */
  #keep(bytes: Uint8Array): void {
    const length = this.#pendingBytes + bytes.length;
    if (length > this.#pending.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#pending.length));
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(bytes, this.#pendingBytes);
    this.#pendingBytes = length;
  }
}
