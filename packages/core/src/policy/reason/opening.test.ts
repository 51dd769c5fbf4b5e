import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  admitsPacket,
  formatOpening,
  isClosed,
  type Opening,
  openingKey,
  openingOf,
  samplePacket,
  subtractOpening,
  unionOpenings,
} from './opening.ts';

const ports = fc
  .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 4 }))
  .map(([First, length]) => ({ First, Last: First + length }));
const whole = { First: 0, Last: 65_535 };
const opening: fc.Arbitrary<Opening> = fc
  .array(
    fc.record({
      protocol: fc.constantFrom(undefined, 6, 17, 132, 1, 47),
      ports: fc.oneof(fc.array(ports, { maxLength: 3 }), fc.constant([whole])),
    }),
    { maxLength: 3 },
  )
  .map((list) => unionOpenings(list.map(openingOf)));

const packets = [6, 17, 132, 47, 2].flatMap((protocol) =>
  Array.from({ length: 20 }, (_, port) => [protocol, port] as const),
);

describe('openings', () => {
  test('add up and subtract packet by packet', () => {
    fc.assert(
      fc.property(opening, opening, (a, b) => {
        const [both, rest] = [unionOpenings([a, b]), subtractOpening(a, b)];
        for (const [protocol, port] of packets) {
          const [inA, inB] = [admitsPacket(a, protocol, port), admitsPacket(b, protocol, port)];
          expect(admitsPacket(both, protocol, port)).toBe(inA || inB);
          expect(admitsPacket(rest, protocol, port)).toBe(inA && !inB);
        }
        expect(isClosed(subtractOpening(a, both))).toBe(true);
      }),
    );
  });

  test('have equal keys exactly when neither has more than the other', () => {
    fc.assert(
      fc.property(opening, opening, (a, b) => {
        const isSame = isClosed(subtractOpening(a, b)) && isClosed(subtractOpening(b, a));
        expect(openingKey(a) === openingKey(b)).toBe(isSame);
      }),
    );
  });

  test('have a sample that they let in, unless they are closed', () => {
    fc.assert(
      fc.property(opening, fc.boolean(), (a, isV4) => {
        const packet = samplePacket(a, isV4);
        expect(packet === undefined).toBe(isClosed(a));
        if (packet !== undefined) {
          expect(admitsPacket(a, packet.protocol, packet.port)).toBe(true);
        }
      }),
    );
  });

  test('are written as rules write them', () => {
    const of = (protocol: number | undefined, ...list: [number, number][]): Opening =>
      openingOf({ protocol, ports: list.map(([First, Last]) => ({ First, Last })) });
    expect(formatOpening(of(undefined, [0, 65_535]))).toBe('*');
    expect(formatOpening(of(undefined, [80, 80], [443, 443]))).toBe('80,443');
    expect(formatOpening(of(6, [1000, 2000]))).toBe('tcp:1000-2000');
    expect(formatOpening(unionOpenings([of(6, [22, 22]), of(17, [53, 53])]))).toBe('tcp:22 udp:53');
    expect(formatOpening(of(1, [0, 65_535]))).toBe('icmp:*');
    expect(formatOpening(of(47, [0, 65_535]))).toBe('gre:*');
    expect(formatOpening(of(6))).toBe('nothing');
  });

  test('of a single port still let pings in, as stock clients do', () => {
    expect(admitsPacket(openingOf({ protocol: 6, ports: [{ First: 22, Last: 22 }] }), 1, 0)).toBe(
      true,
    );
  });
});
