/** Packets that wait for one slow reader, bounded in number and bytes: the oldest go first, fresh ones matter more. */
export class PacketQueue {
  readonly #packetsMax: number;
  readonly #bytesMax: number;
  readonly #packets: (readonly Uint8Array[])[] = [];
  #bytes = 0;

  constructor(options: { readonly packetsMax: number; readonly bytesMax: number }) {
    this.#packetsMax = options.packetsMax;
    this.#bytesMax = options.bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get packets(): number {
    return this.#packets.length;
  }

  /** Takes a frame in pieces; returns how many older ones were dropped for it. */
  put(frame: readonly Uint8Array[]): number {
    this.#packets.push(frame);
    this.#bytes += lengthOf(frame);
    let dropped = 0;
    while (this.#packets.length > this.#packetsMax || this.#bytes > this.#bytesMax) {
      this.take();
      dropped += 1;
    }
    return dropped;
  }

  take(): readonly Uint8Array[] | undefined {
    const frame = this.#packets.shift();
    if (frame !== undefined) this.#bytes -= lengthOf(frame);
    return frame;
  }

  clear(): number {
    const dropped = this.#packets.length;
    this.#packets.length = 0;
    this.#bytes = 0;
    return dropped;
  }
}

function lengthOf(frame: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of frame) length += part.length;
  return length;
}
