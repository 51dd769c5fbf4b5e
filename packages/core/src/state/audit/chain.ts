import { assert, fromHex, toHex, utf8Text } from '@postern/core/base';
import { auditLimits } from './limits.ts';
import type { Sha256 } from './tree.ts';
import { hashBytes } from './tree.ts';

/** A place in a log: how many records there are, and the hash of the last. */
export interface ChainHead {
  readonly size: number;
  readonly hash: Uint8Array;
}

/** Before the first record. */
export const emptyHead: ChainHead = Object.freeze({ size: 0, hash: new Uint8Array(hashBytes) });

const encoder = new TextEncoder();

/**
 * The chain of a writer. The hash of a record is SHA-256(0x00 ‖ hash of the record before it ‖ body), so that it binds
 * everything before it and is at the same time the record's leaf hash in an RFC 6962 tree.
 */
export class Chain {
  readonly #sha256: Sha256;
  /** 0x00, the hash before, the body: what is hashed, without allocating it anew for each record. */
  readonly #input = new Uint8Array(1 + hashBytes + auditLimits.bodyBytesMax);
  /** Where the body goes in it. */
  readonly #room = this.#input.subarray(1 + hashBytes);
  /** The newest hash, written over by the next. */
  readonly #hash = new Uint8Array(hashBytes);
  #size: number;
  #bodyBytes = 0;

  constructor(sha256: Sha256, head: ChainHead = emptyHead) {
    assert(head.hash.length === hashBytes, 'a chain continues from a hash');
    this.#sha256 = sha256;
    this.#size = head.size;
    this.#input.set(head.hash, 1);
  }

  get size(): number {
    return this.#size;
  }

  get head(): ChainHead {
    return { size: this.#size, hash: this.#input.slice(1, 1 + hashBytes) };
  }

  /** Takes a body in; its hash, valid until the next one, or undefined where it is too long and nothing changed. */
  seal(body: string): Uint8Array | undefined {
    const { read, written } = encoder.encodeInto(body, this.#room);
    if (read !== body.length) return undefined;
    return this.#take(written);
  }

  /** The same for a body that is there as bytes. */
  sealBytes(body: Uint8Array): Uint8Array | undefined {
    if (body.length > auditLimits.bodyBytesMax) return undefined;
    this.#room.set(body);
    return this.#take(body.length);
  }

  /** Goes back to a head that it had: for a body that turned out not to be what it should. */
  rewind(head: ChainHead): void {
    this.#size = head.size;
    this.#input.set(head.hash, 1);
  }

  /** The bytes of the body that was sealed last; valid until the next one. */
  get body(): Uint8Array {
    return this.#room.subarray(0, this.#bodyBytes);
  }

  #take(bytes: number): Uint8Array {
    const hash = this.#sha256(this.#input.subarray(0, 1 + hashBytes + bytes), this.#hash);
    this.#bodyBytes = bytes;
    this.#input.set(hash, 1);
    this.#size += 1;
    return hash;
  }
}

/** The leaf data of a record, as inclusion proofs need it: the hash before it, then its body. */
export function leafData(before: Uint8Array, body: Uint8Array): Uint8Array {
  const data = new Uint8Array(before.length + body.length);
  data.set(before);
  data.set(body, before.length);
  return data;
}

/** `HASH BODY`, without the line feed. */
export interface RecordLine {
  readonly hash: Uint8Array;
  readonly body: Uint8Array;
}

/** Splits a line of a segment; undefined where it is none. Hex is lower case: a log has one text. */
export function readLine(line: Uint8Array): RecordLine | undefined {
  if (line.length < 2 * hashBytes + 2 || line.length >= auditLimits.lineBytesMax) return undefined;
  if (line[2 * hashBytes] !== 0x20) return undefined;
  const hash = new Uint8Array(hashBytes);
  for (let i = 0; i < hashBytes; i += 1) {
    const high = hexDigit(line[2 * i]);
    const low = hexDigit(line[2 * i + 1]);
    if (high < 0 || low < 0) return undefined;
    hash[i] = high * 16 + low;
  }
  return { hash, body: line.subarray(2 * hashBytes + 1) };
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

/** The first line of a segment: which log it belongs to, and where in it the segment begins. */
export interface SegmentHeader {
  readonly origin: string;
  /** Index of the first record in it. */
  readonly first: number;
  /** Hash of the record before. */
  readonly before: Uint8Array;
}

/** An origin is also a key name of a signed note: no white space, no plus sign. */
export const originForm: RegExp = /^[a-z0-9][a-z0-9./-]{0,126}[a-z0-9]$/;

export function segmentHeaderLine({ origin, first, before }: SegmentHeader): string {
  assert(originForm.test(origin), 'an origin has the form of one');
  return `postern-audit/1 ${origin} ${first} ${toHex(before)}\n`;
}

/** Longest header line: a reader looks no further for its end. */
export const segmentHeaderBytesMax = 256;

export function readSegmentHeader(line: Uint8Array): SegmentHeader | undefined {
  const text = utf8Text(line);
  const match =
    text === undefined
      ? null
      : /^postern-audit\/1 (\S+) ([1-9][0-9]{0,15}) ([0-9a-f]{64})$/.exec(text);
  const [, origin = '', first = '', hash = ''] = match ?? [];
  const before = fromHex(hash);
  if (match === null || before === undefined || !originForm.test(origin)) return undefined;
  const index = Number(first);
  return Number.isSafeInteger(index) ? { origin, first: index, before } : undefined;
}

/** Twenty digits, so that names sort as their records do. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, '0')}.log`;
}

export const segmentNameForm: RegExp = /^[0-9]{20}\.log$/;
