/** Messages of D-Bus (the specification's chapters 4 and 5), as far as one asks the service manager: texts out, one value back. */

export interface BusCall {
  readonly serial: number;
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** All arguments are texts. */
  readonly args: readonly string[];
}

export type BusValue = string | bigint | boolean | undefined;

export interface BusReply {
  readonly replySerial: number;
  /** Name of the error, where it is one. */
  readonly error: string | undefined;
  /** The first value of the body: of a method's answer, or the words of an error. */
  readonly value: BusValue;
}

const kinds = { call: 1, reply: 2, error: 3 } as const;
const fields = {
  path: 1,
  interface: 2,
  member: 3,
  error: 4,
  replySerial: 5,
  destination: 6,
  signature: 8,
} as const;
const fixedBytes = 16;
/** A message of a bus is at most 128 MiB; nothing that is asked here comes near a hundredth of that. */
const messageBytesMax = 1_048_576;

class Writer {
  readonly #bytes: number[] = [];

  align(to: number): void {
    while (this.#bytes.length % to !== 0) this.#bytes.push(0);
  }

  byte(value: number): void {
    this.#bytes.push(value & 0xff);
  }

  uint32(value: number): void {
    this.align(4);
    for (let shift = 0; shift < 32; shift += 8) this.#bytes.push((value >>> shift) & 0xff);
  }

  text(value: string): void {
    const bytes = Buffer.from(value, 'utf8');
    this.uint32(bytes.length);
    this.#bytes.push(...bytes, 0);
  }

  signature(value: string): void {
    this.byte(value.length);
    this.#bytes.push(...Buffer.from(value, 'latin1'), 0);
  }

  field(code: number, type: 's' | 'o' | 'g' | 'u', value: string | number): void {
    this.align(8);
    this.byte(code);
    this.signature(type);
    if (typeof value === 'number') this.uint32(value);
    else if (type === 'g') this.signature(value);
    else this.text(value);
  }

  get length(): number {
    return this.#bytes.length;
  }

  take(): Buffer {
    return Buffer.from(this.#bytes);
  }
}

export function encodeCall(call: BusCall): Buffer {
  const body = new Writer();
  for (const arg of call.args) body.text(arg);
  const list = new Writer();
  list.field(fields.path, 'o', call.path);
  list.field(fields.interface, 's', call.interface);
  list.field(fields.member, 's', call.member);
  list.field(fields.destination, 's', call.destination);
  if (call.args.length > 0) list.field(fields.signature, 'g', 's'.repeat(call.args.length));
  return framed(kinds.call, call.serial, list, body.take());
}

/** What a peer answers; tests of the manager's client speak for it. */
export function encodeReply(reply: {
  readonly serial: number;
  readonly replySerial: number;
  readonly error?: string;
  readonly signature: string;
  readonly body: Buffer;
}): Buffer {
  const list = new Writer();
  list.field(fields.replySerial, 'u', reply.replySerial);
  if (reply.error !== undefined) list.field(fields.error, 's', reply.error);
  list.field(fields.signature, 'g', reply.signature);
  const kind = reply.error === undefined ? kinds.reply : kinds.error;
  return framed(kind, reply.serial, list, reply.body);
}

function framed(kind: number, serial: number, list: Writer, body: Buffer): Buffer {
  const head = new Writer();
  head.byte(0x6c);
  head.byte(kind);
  head.byte(0);
  head.byte(1);
  head.uint32(body.length);
  head.uint32(serial);
  head.uint32(list.length);
  const whole = Buffer.concat([head.take(), list.take()]);
  const padding = Buffer.alloc((8 - (whole.length % 8)) % 8);
  return Buffer.concat([whole, padding, body]);
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  align(to: number): void {
    this.at += (to - (this.at % to)) % to;
  }

  byte(): number {
    const value = this.#bytes.readUInt8(this.at);
    this.at += 1;
    return value;
  }

  uint32(): number {
    this.align(4);
    const value = this.#bytes.readUInt32LE(this.at);
    this.at += 4;
    return value;
  }

  uint64(): bigint {
    this.align(8);
    const value = this.#bytes.readBigUInt64LE(this.at);
    this.at += 8;
    return value;
  }

  text(): string {
    const length = this.uint32();
    if (length > this.#bytes.length - this.at) throw new RangeError('a text beyond its message');
    const value = this.#bytes.toString('utf8', this.at, this.at + length);
    this.at += length + 1;
    return value;
  }

  signature(): string {
    const length = this.byte();
    const value = this.#bytes.toString('latin1', this.at, this.at + length);
    this.at += length + 1;
    return value;
  }

  /** Undefined for a type that nothing here asks for. */
  value(type: string): BusValue {
    if (type === 's' || type === 'o') return this.text();
    if (type === 'g') return this.signature();
    if (type === 'u' || type === 'i') return BigInt(this.uint32());
    if (type === 't' || type === 'x') return this.uint64();
    if (type === 'b') return this.uint32() !== 0;
    return type === 'v' ? this.value(this.signature()) : undefined;
  }
}

/** Length of the first message; undefined while too little of it is there. Throws `RangeError` on what is none. */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < fixedBytes) return undefined;
  if (bytes[0] !== 0x6c) throw new RangeError('the peer speaks another byte order');
  const body = bytes.readUInt32LE(4);
  const list = bytes.readUInt32LE(12);
  const length = fixedBytes + list + ((8 - (list % 8)) % 8) + body;
  if (length > messageBytesMax) throw new RangeError('a message that is too long');
  return length;
}

/** A whole message, where it answers a call; undefined for signals and the like. */
export function decodeReply(message: Buffer): BusReply | undefined {
  const kind = message[1];
  if (kind !== kinds.reply && kind !== kinds.error) return undefined;
  const reader = new Reader(message, 12);
  const end = fixedBytes + reader.uint32();
  let replySerial = 0;
  let error: string | undefined;
  let signature = '';
  while (reader.at < end) {
    reader.align(8);
    if (reader.at >= end) break;
    const code = reader.byte();
    const value = reader.value('v');
    if (code === fields.replySerial && typeof value === 'bigint') replySerial = Number(value);
    if (code === fields.error && typeof value === 'string') error = value;
    if (code === fields.signature && typeof value === 'string') signature = value;
  }
  reader.align(8);
  const first = signature.slice(0, 1);
  return { replySerial, error, value: first === '' ? undefined : reader.value(first) };
}
