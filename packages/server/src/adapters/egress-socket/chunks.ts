/** Where the walker stands in a chunked body (RFC 9112 section 7.1). */
type Phase = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

// Extensions mean nothing to anybody; only their shape is held, so that no other reader sees another size in them.
const sizeLine =
  /^([0-9A-Fa-f]{1,8})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?)*$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this expression is about
const trailerLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*$/;
const sizeDigitsMax = 8;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/** Finds the data in a chunked body, piece by piece, in any split. Nothing is copied but unfinished lines. */
export class ChunkWalker {
  readonly #lineBytesMax: number;
  #phase: Phase = 'size';
  #left = 0;
  #line = '';
  #trailerBytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  get isDone(): boolean {
    return this.#phase === 'done';
  }

  /** Gives each run of data to `take`. Returns where the body ended or the bytes did; -1 where it is no such body. */
  walk(bytes: Buffer, from: number, take: (data: Buffer) => void): number {
    let at = from;
    while (at < bytes.length && this.#phase !== 'done') {
      if (this.#phase === 'data') {
        const end = Math.min(bytes.length, at + this.#left);
        take(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#phase = 'data-end';
      } else {
        const plain = this.#plainAt(bytes, at);
        const next = plain === -1 ? this.#lineAt(bytes, at) : plain;
        if (next === -1) return -1;
        at = next;
      }
    }
    return at;
  }

  /** The data where these bytes are one whole chunk and nothing else, as one event mostly comes; undefined elsewhere. */
  only(bytes: Buffer, from: number): Buffer | undefined {
    if (this.#phase !== 'size') return undefined;
    const start = this.#plainAt(bytes, from);
    if (start === -1) return undefined;
    const end = start + this.#left;
    this.#phase = 'size';
    const isOnly =
      end + 2 === bytes.length && bytes[end] === carriageReturn && bytes[end + 1] === lineFeed;
    return isOnly ? bytes.subarray(start, end) : undefined;
  }

  /** Past a size without extensions, or the end of data, that is here as a whole; -1 where it is for `#lineAt`. */
  #plainAt(bytes: Buffer, from: number): number {
    if (this.#line !== '') return -1;
    let at = from;
    if (this.#phase === 'size') {
      let size = 0;
      for (; at - from <= sizeDigitsMax; at += 1) {
        const digit = hexDigit(bytes[at] ?? 0);
        if (digit === -1) break;
        size = size * 16 + digit;
      }
      const digits = at - from;
      if (digits === 0 || digits > sizeDigitsMax || size === 0) return -1;
      if (bytes[at] !== carriageReturn || bytes[at + 1] !== lineFeed) return -1;
      this.#left = size;
      this.#phase = 'data';
      return at + 2;
    }
    if (this.#phase !== 'data-end') return -1;
    if (bytes[at] !== carriageReturn || bytes[at + 1] !== lineFeed) return -1;
    this.#phase = 'size';
    return at + 2;
  }

  /** Reads on to the end of the line; a line that goes on in the next piece is kept. */
  #lineAt(bytes: Buffer, from: number): number {
    const feed = bytes.indexOf(lineFeed, from);
    const end = feed === -1 ? bytes.length : feed;
    if (this.#line.length + end - from > this.#lineBytesMax) return -1;
    if (feed === -1) {
      this.#line += bytes.toString('latin1', from, end);
      return this.#line.length > 0 && this.#phase === 'data-end' && this.#line !== '\r' ? -1 : end;
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
      this.#trailerBytes += line.length;
      if (line === '') this.#phase = 'done';
      else if (!trailerLine.test(line) || this.#trailerBytes > this.#lineBytesMax) return false;
      return true;
    }
    const size = sizeLine.exec(line)?.[1];
    if (size === undefined) return false;
    this.#left = Number.parseInt(size, 16);
    this.#phase = this.#left === 0 ? 'trailer' : 'data';
    return true;
  }
}

/** -1 where it is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  return byte >= 0x41 && byte <= 0x46 ? byte - 0x37 : -1;
}
