import { zstdDecompressSync } from 'node:zlib';

const headerBytes = 4;

/** Cuts a map stream into responses: `u32le length | zstd(JSON)`. Copies each byte once, however small the pieces. */
export class MapFrames {
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted = headerBytes;

  /** The JSON of each response that is complete now. */
  push(piece: Buffer): readonly Buffer[] {
    let chunk = piece;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const responses: Buffer[] = [];
    while (this.#buffered >= this.#wanted) {
      const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
      const whole = headerBytes + bytes.readUInt32LE(0);
      this.#chunks = [bytes];
      if (bytes.length < whole) {
        this.#wanted = whole;
        break;
      }
      responses.push(zstdDecompressSync(bytes.subarray(headerBytes, whole)));
      const rest = bytes.subarray(whole);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#buffered = rest.length;
      this.#wanted = headerBytes;
      chunk = rest;
    }
    return responses;
  }
}
