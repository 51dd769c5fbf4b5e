import { segmentLimits } from './limits.ts';

/** Lines that wait for the disk, in pieces of memory that are used again. */
export class LineQueue {
  readonly #free: Buffer[] = [];
  #full: Buffer[] = [];
  #filling: Buffer | undefined;
  #used = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds `HASH BODY` and a line feed; both are copied. */
  push(hash: Uint8Array, body: Uint8Array): void {
    const length = 2 * hash.length + 2 + body.length;
    const target = this.#room(length);
    let at = this.#used;
    for (const byte of hash) {
      target[at] = hexDigits[byte >> 4] ?? 0;
      target[at + 1] = hexDigits[byte & 15] ?? 0;
      at += 2;
    }
    target[at] = 0x20;
    target.set(body, at + 1);
    target[at + 1 + body.length] = 0x0a;
    this.#used += length;
    this.#bytes += length;
  }

  /** Everything that waits; the queue is empty afterwards. */
  take(): readonly Buffer[] {
    const pieces = this.#full;
    if (this.#filling !== undefined && this.#used > 0) {
      pieces.push(this.#filling.subarray(0, this.#used));
    }
    this.#full = [];
    this.#filling = undefined;
    this.#used = 0;
    this.#bytes = 0;
    return pieces;
  }

  /** The pieces of a batch that is written, to be filled again. */
  giveBack(pieces: readonly Buffer[]): void {
    for (const { buffer, byteOffset } of pieces) {
      if (this.#free.length >= segmentLimits.chunksKept) return;
      if (buffer.byteLength - byteOffset !== segmentLimits.chunkBytes) continue;
      this.#free.push(Buffer.from(buffer, byteOffset, segmentLimits.chunkBytes));
    }
  }

  #room(length: number): Buffer {
    if (this.#filling !== undefined) {
      if (this.#used + length <= this.#filling.length) return this.#filling;
      this.#full.push(this.#filling.subarray(0, this.#used));
    }
    this.#filling = this.#free.pop() ?? Buffer.allocUnsafeSlow(segmentLimits.chunkBytes);
    this.#used = 0;
    return this.#filling;
  }
}

const hexDigits = Buffer.from('0123456789abcdef');
