import { concatBytes, fromHex, toHex } from '@postern/core/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatFrame,
  formatFrameHeader,
  type Frame,
  FrameReader,
  parseFrameHeader,
} from './frame.ts';

const frameBytesMax = 1_000;
/** Frame types up to 0x7f are taken, the others are read past. */
const bytesMax = (type: number): number | 'skip' => (type < 0x80 ? frameBytesMax : 'skip');

const frame = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  payload: fc.uint8Array({ maxLength: frameBytesMax }),
});

function pieces(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const at = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length];
  at.sort((a, b) => a - b);
  return at.slice(1).map((end, i) => bytes.slice(at[i], end));
}

/** Every frame up to the first that is refused. */
function readAll(reader: FrameReader): readonly Frame[] {
  const frames: Frame[] = [];
  for (;;) {
    const next = reader.next();
    if (!next.ok || next.value === undefined) return frames;
    frames.push(next.value);
  }
}

test.each([
  [4, 1024, '0400000400'],
  [6, 0, '0600000000'],
  [5, 0xffff_ffff, '05ffffffff'],
])('the header of type %i and length %i is %s', (type, length, hex) => {
  expect(toHex(formatFrameHeader(type, length))).toBe(hex);
  expect(parseFrameHeader(fromHex(hex) ?? new Uint8Array())).toEqual({ type, length });
});

test('frames come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (sent, cuts) => {
        const reader = new FrameReader(bytesMax);
        const stream = concatBytes(...sent.map(({ type, payload }) => formatFrame(type, payload)));
        const read: Frame[] = [];
        for (const piece of pieces(stream, cuts)) {
          reader.push(piece);
          read.push(...readAll(reader));
        }
        expect(read).toEqual(sent.filter(({ type }) => type < 0x80));
        expect(reader.bufferedBytes).toBe(0);
      },
    ),
  );
});

test('no bytes make a reader throw or hold more than one frame and the last piece', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (parts) => {
      const reader = new FrameReader(bytesMax);
      for (const part of parts) {
        reader.push(part);
        for (;;) {
          const next = reader.next();
          if (!next.ok) return;
          if (next.value === undefined) break;
        }
        expect(reader.bufferedBytes).toBeLessThan(frameBytesMax + 5 + 300);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a declared length allocates nothing', () => {
  const refusing = new FrameReader(() => frameBytesMax);
  refusing.push(formatFrameHeader(1, 0xffff_ffff));
  expect(refusing.next()).toEqual({ ok: false, error: { type: 1, length: 0xffff_ffff } });
  const skipping = new FrameReader(() => 'skip');
  skipping.push(formatFrameHeader(0x99, 0xffff_ffff));
  for (let i = 0; i < 100; i += 1) {
    skipping.push(new Uint8Array(65_536));
    expect(skipping.next()).toEqual({ ok: true, value: undefined });
    expect(skipping.bufferedBytes).toBe(0);
  }
});

test('what was not read can be handed to another reader', () => {
  const reader = new FrameReader(() => frameBytesMax);
  reader.push(concatBytes(formatFrame(2, Uint8Array.of(1)), Uint8Array.of(9, 9)));
  reader.next();
  reader.push(Uint8Array.of(8));
  expect(reader.rest()).toEqual(Uint8Array.of(9, 9, 8));
  expect(reader.bufferedBytes).toBe(0);
});
