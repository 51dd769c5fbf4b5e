import { crc32 as platformCrc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex, toHex, utf8 } from '../bytes.ts';
import {
  EventStreamDecoder,
  crc32,
  decodeEventMessage,
  encodeEventMessage,
  headersBytesMax,
  messageBytesMax,
} from './index.ts';
import type { EventStreamMessage, HeaderValue, MessageHeaders } from './index.ts';

const headers: MessageHeaders = new Map<string, HeaderValue>([
  [':message-type', { type: 'string', value: 'exception' }],
  ['t', { type: 'boolean', value: true }],
  ['f', { type: 'boolean', value: false }],
  ['b', { type: 'byte', value: -49 }],
  ['s', { type: 'short', value: -2 }],
  ['l', { type: 'long', value: -5_000_000_000n }],
  ['d', { type: 'timestamp', value: 8_675_309n }],
  ['y', { type: 'bytes', value: utf8('ab') }],
  ['u', { type: 'uuid', value: '01020304-0506-0708-090a-0b0c0d0e0f10' }],
]);

/** Bytes as another implementation of the format writes them. */
const literals: readonly (readonly [string, MessageHeaders, string])[] = [
  ['000000100000000005c248eb7d98c8ff', new Map(), ''],
  ['0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936', new Map(), "{'foo':'bar'}"],
  [
    '0000002d0000001041c424b80a6576656e742d74797065040000a00c7b27666f6f273a27626172277d36f480a0',
    new Map([['event-type', { type: 'integer', value: 40_972 }]]),
    "{'foo':'bar'}",
  ],
  [
    '0000006900000059e3b723050d3a6d6573736167652d74797065070009657863657074696f6e017400016601016202cf017303fffe016c05fffffffed5fa0e000164080000000000845fed017906000261620175090102030405060708090a0b0c0d0e0f1024fc14fd',
    headers,
    '',
  ],
];

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array(0);
}

function problemOf(bytes: Uint8Array): string {
  const decoded = decodeEventMessage(bytes);
  return decoded.ok ? 'read' : decoded.error.what;
}

/** A message with lengths and sums made right again, so that only what was changed is at fault. */
function sealed(
  head: Uint8Array,
  payload: Uint8Array,
  total?: number,
  declared?: number,
): Uint8Array {
  const length = 16 + head.length + payload.length;
  const message = concatBytes(new Uint8Array(12), head, payload, new Uint8Array(4));
  const view = new DataView(message.buffer);
  view.setUint32(0, total ?? length);
  view.setUint32(4, declared ?? head.length);
  view.setUint32(8, crc32(message.subarray(0, 8)));
  view.setUint32(length - 4, crc32(message.subarray(0, length - 4)));
  return message;
}

const nothing = new Uint8Array(0);
const bytes64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const anyHeader: fc.Arbitrary<HeaderValue> = fc.oneof(
  fc.boolean().map((value): HeaderValue => ({ type: 'boolean', value })),
  fc.integer({ min: -128, max: 127 }).map((value): HeaderValue => ({ type: 'byte', value })),
  fc.integer({ min: -32_768, max: 32_767 }).map((value): HeaderValue => ({ type: 'short', value })),
  fc.integer().map((value): HeaderValue => ({ type: 'integer', value })),
  bytes64.map((value): HeaderValue => ({ type: 'long', value })),
  bytes64.map((value): HeaderValue => ({ type: 'timestamp', value })),
  fc.uint8Array({ maxLength: 20 }).map((value): HeaderValue => ({ type: 'bytes', value })),
  fc.string({ unit: 'grapheme', maxLength: 9 }).map(
    (value): HeaderValue => ({
      type: 'string',
      value,
    }),
  ),
  fc.uuid().map((value): HeaderValue => ({ type: 'uuid', value })),
);
const anyMessage = fc
  .tuple(
    fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 9 }), anyHeader), { maxLength: 5 }),
    fc.uint8Array({ maxLength: 60 }),
  )
  .map(([pairs, payload]) => ({ headers: new Map(pairs), payload }));

function split(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.slice(from, places[index]));
}

describe('messages', () => {
  test('the checksum is that of gzip, whole and in pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
        expect(crc32(first)).toBe(platformCrc32(first));
        expect(crc32(second, crc32(first))).toBe(platformCrc32(concatBytes(first, second)));
      }),
    );
    expect(crc32(utf8('123456789'))).toBe(0xcb_f4_39_26);
  });

  test.each(literals)('%s is read and written as others do', (hex, wanted, payload) => {
    const decoded = decodeEventMessage(bytesOf(hex));
    if (!decoded.ok) throw new Error(decoded.error.what);
    expect(decoded.value.headers).toEqual(wanted);
    expect(decoded.value.payload).toEqual(utf8(payload));
    expect(toHex(encodeEventMessage(wanted, utf8(payload)))).toBe(hex);
  });

  test('any message that is written reads back the same', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const raw = encodeEventMessage(message.headers, message.payload);
        expect(decodeEventMessage(raw)).toEqual({ ok: true, value: { ...message, raw } });
      }),
    );
  });

  test('every bit of a message that is flipped is found out', () => {
    for (const [hex] of literals) {
      const raw = bytesOf(hex);
      for (let bit = 0; bit < raw.length * 8; bit += 1) {
        const bad = raw.slice();
        bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(decodeEventMessage(bad).ok).toBe(false);
        const decoder = new EventStreamDecoder();
        expect(decoder.push(bad).messages).toEqual([]);
      }
    }
  });

  test('every byte that is missing or too many is found out', () => {
    for (const [hex] of literals) {
      const raw = bytesOf(hex);
      for (let length = 0; length < raw.length; length += 1) {
        expect(decodeEventMessage(raw.slice(0, length)).ok).toBe(false);
      }
      expect(problemOf(concatBytes(raw, Uint8Array.of(0)))).toContain('not as long as it says');
    }
  });

  test('what has right checksums and makes no sense is refused with the reason', () => {
    const name = (text: string) => concatBytes(Uint8Array.of(text.length), utf8(text));
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [sealed(Uint8Array.of(0, 0), nothing), 'a header has no name'],
      [sealed(concatBytes(name('a'), Uint8Array.of(10)), nothing), 'unknown type 10'],
      [
        sealed(concatBytes(name('a'), Uint8Array.of(0), name('a'), Uint8Array.of(1)), nothing),
        'twice',
      ],
      [sealed(Uint8Array.of(1, 0xff, 0), nothing), 'a header name is not UTF-8'],
      [sealed(Uint8Array.of(1, 97, 7, 0, 1, 0xff), nothing), 'a header is not UTF-8'],
      [sealed(Uint8Array.of(1, 97, 7, 0, 9, 1), nothing), 'wants 9 bytes, 1 are left'],
      [sealed(Uint8Array.of(1, 97, 6, 0xff, 0xff), nothing), 'a header value is too long'],
      [sealed(Uint8Array.of(1, 97, 4, 0), nothing), 'an integer wants 4 bytes'],
      [sealed(Uint8Array.of(200, 97), nothing), 'a header name wants 200 bytes'],
      [sealed(nothing, nothing, 16, 1), 'do not add up'],
      [sealed(nothing, nothing, 15), 'do not add up'],
      [sealed(nothing, nothing, 0), 'do not add up'],
      [sealed(nothing, nothing, messageBytesMax + 1), 'is larger than'],
      [sealed(nothing, nothing, messageBytesMax, headersBytesMax + 1), 'the headers are over'],
      [sealed(nothing, nothing, messageBytesMax, 0), 'a payload is larger than'],
    ];
    for (const [bytes, why] of cases) expect(problemOf(bytes)).toContain(why);
  });

  test('a header that does not fit the format is a fault of the program', () => {
    const write =
      (value: HeaderValue, name = 'x') =>
      () =>
        encodeEventMessage(new Map([[name, value]]), nothing);
    expect(write({ type: 'byte', value: 128 })).toThrow();
    expect(write({ type: 'short', value: 1.5 })).toThrow();
    expect(write({ type: 'long', value: 2n ** 63n })).toThrow();
    expect(write({ type: 'uuid', value: 'x' })).toThrow();
    expect(write({ type: 'string', value: 'x'.repeat(32_768) })).toThrow();
    expect(write({ type: 'boolean', value: true }, '')).toThrow();
    expect(write({ type: 'boolean', value: true }, 'x'.repeat(256))).toThrow();
  });
});

describe('streams', () => {
  test('any split gives the same messages, and their bytes are the stream', () => {
    fc.assert(
      fc.property(
        fc.array(anyMessage, { maxLength: 5 }),
        fc.array(fc.nat(1000), { maxLength: 12 }),
        (wanted, cuts) => {
          const raws = wanted.map((each) => encodeEventMessage(each.headers, each.payload));
          const decoder = new EventStreamDecoder();
          const got: EventStreamMessage[] = [];
          for (const piece of split(concatBytes(...raws), cuts)) {
            const { messages, problem } = decoder.push(piece);
            expect(problem).toBe(undefined);
            got.push(...messages);
            // The caller may use its buffer again; what was given has to be read before that.
            for (const message of messages) message.raw.slice();
          }
          expect(decoder.isInside).toBe(false);
          expect(got).toEqual(wanted.map((each, index) => ({ ...each, raw: raws[index] })));
        },
      ),
    );
  });

  test('a stream of single bytes is read in linear time', () => {
    const raw = encodeEventMessage(headers, new Uint8Array(60_000));
    const decoder = new EventStreamDecoder();
    let count = 0;
    const start = performance.now();
    for (let at = 0; at < raw.length; at += 1) {
      count += decoder.push(raw.subarray(at, at + 1)).messages.length;
      if (decoder.isInside !== at < raw.length - 1) expect(at).toBe('inside');
    }
    expect(count).toBe(1);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('messages before a breach are given, nothing after it is, and the breach stays', () => {
    const raw = encodeEventMessage(headers, utf8('x'));
    const bad = raw.slice();
    bad[40] = (bad[40] ?? 0) ^ 1;
    const decoder = new EventStreamDecoder();
    const first = decoder.push(concatBytes(raw, bad, raw));
    expect(first.messages.length).toBe(1);
    expect(first.problem?.what).toBe('the checksum of a message does not match');
    expect(decoder.push(raw)).toEqual({ messages: [], problem: first.problem });
  });

  test('a length is refused by its twelve bytes, before anything is kept for it', () => {
    const decoder = new EventStreamDecoder(1000);
    const long = encodeEventMessage(new Map(), new Uint8Array(2000));
    expect(decoder.push(long.subarray(0, 11)).problem).toBe(undefined);
    expect(decoder.push(long.subarray(11, 12)).problem?.what).toContain('larger than 1000 bytes');
    const text = new EventStreamDecoder();
    expect(text.push(utf8('data: {"a":1}\n\n')).problem?.what).toContain('checksum of the lengths');
  });

  test('any bytes are messages or a problem, never a throw', () => {
    fc.assert(
      fc.property(
        anyMessage,
        fc.array(fc.nat(255), { maxLength: 40 }),
        fc.nat(),
        (one, noise, at) => {
          const raw = encodeEventMessage(one.headers, one.payload);
          const head = raw.slice(12, 12 + new DataView(raw.buffer).getUint32(4));
          head.set(
            noise.slice(0, head.length),
            at % (head.length + 1 - Math.min(noise.length, head.length)),
          );
          const decoder = new EventStreamDecoder();
          const { messages, problem } = decoder.push(
            concatBytes(sealed(head, one.payload), Uint8Array.from(noise)),
          );
          expect(messages.length).toBeLessThanOrEqual(1);
          if (messages.length === 0) expect(problem?.what).toBeTypeOf('string');
        },
      ),
    );
  });
});
