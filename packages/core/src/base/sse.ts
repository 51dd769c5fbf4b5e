import { assert } from './assert.ts';
import { utf8 } from './bytes.ts';
import { err, ok } from './result.ts';
import type { Result } from './result.ts';

/**
 * Server-sent events (WHATWG HTML, section 9.2): an incremental reader over bytes and a writer. A frame is what
 * stands between two blank lines, comments included, so that the raw bytes of all frames are the stream itself.
 */
export interface SseFrame {
  /** The `event` field; undefined where the frame has none (a browser then says `message`). */
  readonly event: string | undefined;
  /** The `data` lines joined by line feeds; undefined where the frame has none (comments, lone fields). */
  readonly data: string | undefined;
  readonly id: string | undefined;
  readonly retryMs: number | undefined;
  /** The bytes as they came, with the blank line that ends the frame. A view of the input where it came whole. */
  readonly raw: Uint8Array;
}

/** The stream is not usable: one frame is larger than the limit. */
export interface SseProblem {
  readonly message: string;
}

/** Enough for a frame that carries a whole answer; an endless line must not fill the memory. */
export const sseFrameBytesMax: number = 16 * 1024 * 1024;

/** The specification decodes with replacement characters, and drops one byte order mark at the very start. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Reads a stream piece by piece, in any split. It holds the bytes of one unfinished frame at most. */
export class SseDecoder {
  readonly #frameBytesMax: number;
  /** Bytes of the unfinished frame from earlier pieces: the first `#pendingBytes` of a buffer that grows. */
  #pending: Uint8Array = new Uint8Array(0);
  #pendingBytes = 0;
  /** Is the line being read empty so far? A blank line ends the frame. */
  #isLineEmpty = true;
  /** The last piece ended in a carriage return that ended a line; a line feed now belongs to it. */
  #isAfterReturn = false;
  #isFirst = true;

  constructor(frameBytesMax: number = sseFrameBytesMax) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** The frames that these bytes complete. After a problem the decoder is of no more use. */
  push(bytes: Uint8Array): Result<readonly SseFrame[], SseProblem> {
    const frames: SseFrame[] = [];
    let start = 0;
    let at = 0;
    while (at < bytes.length) {
      const byte = bytes[at];
      at += 1;
      if (byte === lineFeed && this.#isAfterReturn) {
        this.#isAfterReturn = false;
        // The second half of a line end whose frame is finished already goes out with that frame's bytes, if it can.
        continue;
      }
      this.#isAfterReturn = byte === carriageReturn;
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#isLineEmpty = false;
        at = lineEnd(bytes, at);
        continue;
      }
      if (!this.#isLineEmpty) {
        this.#isLineEmpty = true;
        continue;
      }
      if (byte === carriageReturn && bytes[at] === lineFeed) {
        at += 1;
        this.#isAfterReturn = false;
      }
      const tooLarge = this.#refuseOver(at - start);
      if (tooLarge !== undefined) return tooLarge;
      frames.push(this.#frame(bytes.subarray(start, at)));
      start = at;
    }
    const tooLarge = this.#refuseOver(bytes.length - start);
    if (tooLarge !== undefined) return tooLarge;
    if (start < bytes.length) this.#keep(bytes.subarray(start));
    return ok(frames);
  }

  /** What came after the last blank line, read as a frame; the specification drops it, some servers rely on it. */
  rest(): SseFrame | undefined {
    return this.#pendingBytes === 0 ? undefined : this.#frame(new Uint8Array(0));
  }

  #refuseOver(more: number): Result<never, SseProblem> | undefined {
    if (this.#pendingBytes + more <= this.#frameBytesMax) return undefined;
    return err({ message: `An event of the stream is larger than ${this.#frameBytesMax} bytes.` });
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

  #frame(tail: Uint8Array): SseFrame {
    const raw = this.#pendingBytes === 0 ? tail : this.#joined(tail);
    const frame = frameOf(raw, this.#isFirst);
    this.#isFirst = false;
    return frame;
  }

  /** The unfinished frame and its last piece, in memory of its own: the frame outlives the buffer's next use. */
  #joined(tail: Uint8Array): Uint8Array {
    const whole = new Uint8Array(this.#pendingBytes + tail.length);
    whole.set(this.#pending.subarray(0, this.#pendingBytes));
    whole.set(tail, this.#pendingBytes);
    this.#pendingBytes = 0;
    return whole;
  }
}

/** The offset of the next line end at or after `from`, or the length. */
function lineEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== lineFeed && bytes[at] !== carriageReturn) at += 1;
  return at;
}

/** Reads the fields of one frame (WHATWG HTML 9.2.6). Unknown fields and comments are skipped. */
function frameOf(raw: Uint8Array, isFirst: boolean): SseFrame {
  let text = decoder.decode(raw);
  if (isFirst && text.startsWith('\uFEFF')) text = text.slice(1);
  let event: string | undefined;
  let data: string | undefined;
  let id: string | undefined;
  let retryMs: number | undefined;
  for (const line of linesOf(text)) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const from = line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
    const value = colon < 0 ? '' : line.slice(from);
    if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
    else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'retry' && /^[0-9]{1,15}$/.test(value)) retryMs = Number(value);
  }
  return { event, data, id, retryMs, raw };
}

function linesOf(text: string): readonly string[] {
  const lines = text.includes('\r') ? text.split(/\r\n|\r|\n/) : text.split('\n');
  return lines.filter((line) => line !== '');
}

export interface SseFields {
  readonly event?: string;
  /** May hold line breaks: each line becomes a `data:` line of its own. */
  readonly data?: string;
  readonly id?: string;
  readonly retryMs?: number;
}

/** The bytes of one frame. Event names and ids are the program's own, so a line break in one is a fault. */
export function encodeSse(fields: SseFields): Uint8Array {
  let text = '';
  if (fields.event !== undefined) text += `event: ${singleLine(fields.event)}\n`;
  if (fields.id !== undefined) text += `id: ${singleLine(fields.id)}\n`;
  if (fields.retryMs !== undefined) text += `retry: ${fields.retryMs}\n`;
  if (fields.data !== undefined) {
    if (!/[\r\n]/.test(fields.data)) text += `data: ${fields.data}\n`;
    else for (const line of fields.data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  }
  return utf8(`${text}\n`);
}

/** The bytes of a comment: what every client skips, which keeps an idle connection alive. */
export function encodeSseComment(text: string): Uint8Array {
  return utf8(`: ${singleLine(text)}\n\n`);
}

function singleLine(text: string): string {
  assert(!/[\r\n\0]/.test(text), 'a field of an event is one line');
  return text;
}
