import type { HeaderLines } from './header-lines.ts';

/** Up to here copying a body behind its head, or a piece into its frame, is cheaper than a write of several pieces. */
export const oneWriteBytesMax = 16_384;

const [zero, carriageReturn, lineFeed] = [0x30, 0x0d, 0x0a];

/**
 * A head up to where the length of its body stands, the length, more lines of the head where there are any, the blank line and the
 * body, in one piece of memory.
 */
export function inOnePiece(head: Uint8Array, body: Uint8Array, more?: HeaderLines): Buffer {
  const headEnd = head.length + digitsOf(body.length);
  const blankAt = headEnd + 2 + (more?.length ?? 0);
  const whole = Buffer.allocUnsafe(blankAt + 2 + body.length);
  whole.set(head);
  writeDigits(whole, { from: head.length, end: headEnd }, body.length);
  whole[headEnd] = carriageReturn;
  whole[headEnd + 1] = lineFeed;
  more?.write(whole, headEnd + 2);
  whole[blankAt] = carriageReturn;
  whole[blankAt + 1] = lineFeed;
  whole.set(body, blankAt + 2);
  return whole;
}

/** Of a whole number that is not negative. */
export function digitsOf(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
  return digits;
}

/** Writes such a number into a place that has as much room as it has digits. */
export function writeDigits(
  target: Uint8Array,
  { from, end }: { readonly from: number; readonly end: number },
  value: number,
): void {
  for (let at = end - 1, rest = value; at >= from; at -= 1) {
    const next = Math.floor(rest / 10);
    target[at] = zero + rest - 10 * next;
    rest = next;
  }
}
