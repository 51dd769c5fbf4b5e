import { concatBytes, err, ok, type Result } from '@postern/core/base';

/** Frames of DERP version 2: one byte of type, four of length (big-endian), the payload. Source: tailscale derp/derp.go. */

export const frameType = {
  serverKey: 0x01,
  clientInfo: 0x02,
  serverInfo: 0x03,
  sendPacket: 0x04,
  recvPacket: 0x05,
  keepAlive: 0x06,
  notePreferred: 0x07,
  peerGone: 0x08,
  peerPresent: 0x09,
  forwardPacket: 0x0a,
  watchConns: 0x10,
  closePeer: 0x11,
  ping: 0x12,
  pong: 0x13,
  health: 0x14,
  restarting: 0x15,
} as const;

/** Why a peer cannot be reached, in a PeerGone frame. */
export const peerGoneReason = { disconnected: 0x00, notHere: 0x01 } as const;
export type PeerGoneReason = (typeof peerGoneReason)[keyof typeof peerGoneReason];

export const protocolVersion = 2;
/** "DERP" and a key, in UTF-8: how a server's first frame begins. */
export const magic: Uint8Array = Uint8Array.of(0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91);
export const keyBytes = 32;
export const frameHeaderBytes = 5;

export interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
}

export function formatFrameHeader(type: number, length: number): Uint8Array {
  const header = new Uint8Array(frameHeaderBytes);
  header[0] = type;
  new DataView(header.buffer).setUint32(1, length);
  return header;
}

export function parseFrameHeader(
  bytes: Uint8Array,
): { readonly type: number; readonly length: number } | undefined {
  if (bytes.length < frameHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, frameHeaderBytes);
  return { type: view.getUint8(0), length: view.getUint32(1) };
}

export function formatFrame(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  return concatBytes(formatFrameHeader(type, length), ...parts);
}

/** What one side takes of a type of frame: its payload whole up to so many bytes, or nothing at all. */
export type FrameBytesMax = (type: number) => number | 'skip';

export type FrameProblem = { readonly type: number; readonly length: number };

/**
 * Cuts a byte stream into frames. A declared length allocates nothing: bytes are kept as they arrive, at most the
 * limit of the frame's type, and a frame that is to be skipped is dropped while it arrives.
 */
export class FrameReader {
  readonly #bytesMax: FrameBytesMax;
  #parts: Uint8Array[] = [];
  #buffered = 0;
  #skip = 0;

  constructor(bytesMax: FrameBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held back until their frame is complete. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  push(chunk: Uint8Array): void {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    if (skipped === chunk.length) return;
    // A plain view: `slice` of a Buffer would share its memory with whoever keeps the piece.
    const { buffer, byteOffset, length } = chunk;
    this.#parts.push(new Uint8Array(buffer, byteOffset + skipped, length - skipped));
    this.#buffered += chunk.length - skipped;
  }

  /** The next complete frame, `undefined` where more bytes are needed, or the header that is over its limit. */
  next(): Result<Frame | undefined, FrameProblem> {
    for (;;) {
      if (this.#buffered < frameHeaderBytes) return ok(undefined);
      const head = parseFrameHeader(this.#front(frameHeaderBytes));
      if (head === undefined) return ok(undefined);
      const max = this.#bytesMax(head.type);
      if (max === 'skip') {
        this.#drop(head.length);
        continue;
      }
      if (head.length > max) return err(head);
      const whole = frameHeaderBytes + head.length;
      if (this.#buffered < whole) return ok(undefined);
      const payload = this.#front(whole).subarray(frameHeaderBytes, whole);
      this.#take(whole);
      return ok({ type: head.type, payload });
    }
  }

  /** Everything that was pushed and not yet taken: for handing a stream over to another reader. */
  rest(): Uint8Array {
    const rest = concatBytes(...this.#parts);
    this.#parts = [];
    this.#buffered = 0;
    return rest;
  }

  /** The first buffered bytes, at least so many, as one piece. */
  #front(bytes: number): Uint8Array {
    const first = this.#parts[0];
    if (first !== undefined && first.length >= bytes) return first;
    const whole = concatBytes(...this.#parts);
    this.#parts = [whole];
    return whole;
  }

  #take(bytes: number): void {
    const first = this.#parts[0];
    if (first === undefined) return;
    this.#buffered -= bytes;
    if (first.length === bytes) this.#parts.shift();
    else this.#parts[0] = first.subarray(bytes);
  }

  #drop(payloadBytes: number): void {
    this.#take(frameHeaderBytes);
    const now = Math.min(payloadBytes, this.#buffered);
    if (now > 0) {
      this.#front(now);
      this.#take(now);
    }
    this.#skip = payloadBytes - now;
  }
}
