import type { HeaderLines } from './header-lines.ts';

/** Up to here copying a body behind its head, or a piece into its frame, is cheaper than a write of several pieces. */
export const oneWriteBytesMax = 16_384;

const [zero, carriageReturn, lineFeed] = [0x30, 0x0d, 0x0a];

/**
 * A head up to where the length of its body stands, the length, more lines of the head where there are any, the blank line and the
 * body, in one piece of memory.
 */
export function inOnePiece(head: Uint8Array, body: Uint8Array, more?: HeaderLines): Buffer {
  let digits = 1;
  for (let rest = body.length; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
  const headEnd = head.length + digits;
  const blankAt = headEnd + 2 + (more?.length ?? 0);
  const whole = Buffer.allocUnsafe(blankAt + 2 + body.length);
  whole.set(head);
  for (let at = headEnd - 1, rest = body.length; at >= head.length; at -= 1) {
    const next = Math.floor(rest / 10);
    whole[at] = zero + rest - 10 * next;
    rest = next;
  }
  whole[headEnd] = carriageReturn;
  whole[headEnd + 1] = lineFeed;
  more?.write(whole, headEnd + 2);
  whole[blankAt] = carriageReturn;
  whole[blankAt + 1] = lineFeed;
  whole.set(body, blankAt + 2);
  return whole;
}
