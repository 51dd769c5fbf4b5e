import { err, ok } from '../result.ts';
import type { Result } from '../result.ts';

/** Why a reader stopped: a sentence for people, and the offset in bytes from the reader's start. */
export interface Malformed {
  readonly what: string;
  readonly offset: number;
}

/**
 * How readers unwind inside one `reading` call. It never crosses a module's surface: `reading` turns it
 * into a value, so that callers meet malformed input as a `Result`.
 */
class ReadFailure extends Error {
  readonly offset: number;

  constructor(what: string, offset: number) {
    super(what);
    this.offset = offset;
  }
}

/** Runs a reader and gives its value, or where and why it stopped. Faults pass through. */
export function reading<T>(read: () => T): Result<T, Malformed> {
  try {
    return ok(read());
  } catch (error) {
    if (error instanceof ReadFailure) return err({ what: error.message, offset: error.offset });
    throw error;
  }
}

/** Ends the surrounding `reading`. For checks that are not about a cursor of their own. */
export function malformed(what: string, offset = 0): never {
  throw new ReadFailure(what, offset);
}

/** Reads forward through bytes that it never copies. Every read outside them ends the `reading`. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** A view of the next bytes, not a copy: a declared length costs nothing until it is known to fit. */
  take(length: number, what: string): Uint8Array {
    const start = this.#advance(length, what);
    return this.#bytes.subarray(start, start + length);
  }

  /** Steps over one byte if it is this one, and says whether it did. */
  skip(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  rest(): Uint8Array {
    return this.take(this.remaining, 'rest');
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#advance(1, what));
  }

  u16le(what: string): number {
    return this.#view.getUint16(this.#advance(2, what), true);
  }

  u32le(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), true);
  }

  u64le(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what), true);
  }

  u16be(what: string): number {
    return this.#view.getUint16(this.#advance(2, what));
  }

  u32be(what: string): number {
    return this.#view.getUint32(this.#advance(4, what));
  }

  u64be(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what));
  }

  /** Refuses what follows the last field: trailing bytes are where two readers begin to disagree. */
  end(what: string): void {
    if (this.remaining !== 0) this.fail(`${this.remaining} bytes follow ${what}`);
  }

  fail(what: string): never {
    return malformed(what, this.#at);
  }

  #advance(length: number, what: string): number {
    if (length > this.remaining) {
      this.fail(`${what} wants ${length} bytes, ${this.remaining} are left`);
    }
    const start = this.#at;
    this.#at += length;
    return start;
  }
}
