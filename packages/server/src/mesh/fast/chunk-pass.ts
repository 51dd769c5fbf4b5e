/** Where it stands in a chunked body (RFC 9112 section 7.1). */
type Phase = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

// Extensions mean nothing to anybody; only their shape is held, so that no other reader sees another size in them.
const sizeLine =
  /^([0-9A-Fa-f]{1,8})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?)*$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this expression is about
const trailerLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*$/;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/** Follows a chunked body that is passed on as it is, up to its trailers, which are read. */
export class ChunkPass {
  /** Names and values in turn. */
  readonly trailers: string[] = [];
  readonly #lineBytesMax: number;
  #phase: Phase = 'size';
  #left = 0;
  #line = '';
  #trailerBytes = 0;
  #raw = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  get isDone(): boolean {
    return this.#phase === 'done';
  }

  /** Up to where the bytes of the last walk go on as they are; what follows of them are trailers. */
  get rawEnd(): number {
    return this.#raw;
  }

  /** Returns where the body ended or the bytes did; -1 where it is no such body, and nothing of them may go on. */
  walk(bytes: Buffer, from: number): number {
    let at = from;
    this.#raw = from;
    while (at < bytes.length && this.#phase !== 'done') {
      if (this.#phase === 'data') {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#phase = 'data-end';
      } else {
        const wasRaw = this.#phase !== 'trailer';
        const next = this.#lineAt(bytes, at);
        if (next === -1) return -1;
        at = next;
        if (wasRaw) this.#raw = at;
        continue;
      }
      this.#raw = at;
    }
    return at;
  }

  /** Reads on to the end of the line; a line that goes on in the next piece is kept. */
  #lineAt(bytes: Buffer, from: number): number {
    const feed = bytes.indexOf(lineFeed, from);
    const end = feed === -1 ? bytes.length : feed;
    if (this.#line.length + end - from > this.#lineBytesMax) return -1;
    if (feed === -1) {
      this.#line += bytes.toString('latin1', from, end);
      return this.#phase === 'data-end' && this.#line !== '\r' ? -1 : end;
    }
    let line: string;
    if (this.#line === '' && feed > from && bytes[feed - 1] === carriageReturn) {
      line = bytes.toString('latin1', from, feed - 1);
    } else {
      const whole = this.#line + bytes.toString('latin1', from, feed);
      if (!whole.endsWith('\r')) return -1;
      line = whole.slice(0, -1);
      this.#line = '';
    }
    return this.#take(line) ? feed + 1 : -1;
  }

  #take(line: string): boolean {
    if (this.#phase === 'data-end') {
      this.#phase = 'size';
      return line === '';
    }
    if (this.#phase === 'trailer') {
      if (line === '') {
        this.#phase = 'done';
        return true;
      }
      this.#trailerBytes += line.length;
      const field = trailerLine.exec(line);
      if (field === null || this.#trailerBytes > this.#lineBytesMax) return false;
      this.trailers.push(field[1] ?? '', field[2] ?? '');
      return true;
    }
    const size = sizeLine.exec(line)?.[1];
    if (size === undefined) return false;
    this.#left = Number.parseInt(size, 16);
    this.#phase = this.#left === 0 ? 'trailer' : 'data';
    return true;
  }
}
