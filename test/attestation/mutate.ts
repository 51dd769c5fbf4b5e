/** Seeded changes to byte strings: what hostile evidence looks like when it is nearly right. */

/** A small generator (mulberry32): the same seed gives the same campaign everywhere. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const interesting = [0, 1, 0x7f, 0x80, 0xff, 0x30, 0x04, 0xde, 0xdf, 0xbf, 0x9f, 0x5b];

/** One to four changes: bits, bytes, lengths, runs removed, repeated, moved or appended. */
export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let changed: Uint8Array = bytes.slice();
  const changes = 1 + Math.floor(random() * 4);
  for (let i = 0; i < changes; i += 1) changed = change(changed, random);
  return changed;
}

function change(bytes: Uint8Array, random: () => number): Uint8Array {
  const pick = (below: number): number => Math.floor(random() * below);
  const at = pick(bytes.length + 1);
  const length = pick(Math.min(64, bytes.length - at + 1));
  const run = bytes.subarray(at, at + length);
  switch (pick(7)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
      return bytes;
    case 1:
      bytes[at] = interesting[pick(interesting.length)] ?? 0;
      return bytes;
    case 2:
      bytes.fill(pick(256), at, at + length);
      return bytes;
    case 3:
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case 4:
      return joined(bytes.subarray(0, at), run, bytes.subarray(at));
    case 5:
      return bytes.slice(0, at);
    default:
      return joined(
        bytes,
        Uint8Array.from({ length: pick(16) }, () => pick(256)),
      );
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
