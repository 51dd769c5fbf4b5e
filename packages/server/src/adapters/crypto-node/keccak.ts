/**
 * Keccak-256 with the padding of the original submission (0x01), which Ethereum and dstack's key
 * signatures use. OpenSSL in Node offers only SHA3-256 (padding 0x06); the permutation is the same,
 * so the test checks this one against OpenSSL with the other padding. FIPS 202 sections 3 and 5.
 */
const rateBytes = 136;
const mask = 0xffff_ffff_ffff_ffffn;

export function keccak256(bytes: Uint8Array): Uint8Array {
  return sponge256(bytes, 0x01);
}

/** The 256-bit sponge with a chosen domain byte. Exported for the test against SHA3-256. */
export function sponge256(bytes: Uint8Array, domain: number): Uint8Array {
  const padded = new Uint8Array((Math.floor(bytes.length / rateBytes) + 1) * rateBytes);
  padded.set(bytes);
  padded[bytes.length] = domain;
  const last = padded.length - 1;
  padded[last] = (padded[last] ?? 0) | 0x80;
  const state: bigint[] = Array.from({ length: 25 }, () => 0n);
  const view = new DataView(padded.buffer);
  for (let block = 0; block < padded.length; block += rateBytes) {
    for (let lane = 0; lane < rateBytes / 8; lane += 1) {
      state[lane] = at(state, lane) ^ view.getBigUint64(block + 8 * lane, true);
    }
    permute(state);
  }
  const digest = new Uint8Array(32);
  const out = new DataView(digest.buffer);
  for (let lane = 0; lane < 4; lane += 1) out.setBigUint64(8 * lane, at(state, lane), true);
  return digest;
}

function at(lanes: readonly bigint[], index: number): bigint {
  return lanes[index] ?? 0n;
}

function rotate(lane: bigint, by: bigint): bigint {
  return by === 0n ? lane : ((lane << by) | (lane >> (64n - by))) & mask;
}

function permute(state: bigint[]): void {
  for (const constant of roundConstants) {
    theta(state);
    const moved = rhoPi(state);
    for (let y = 0; y < 25; y += 5) {
      for (let x = 0; x < 5; x += 1) {
        const next = at(moved, y + ((x + 1) % 5));
        state[y + x] = at(moved, y + x) ^ (~next & mask & at(moved, y + ((x + 2) % 5)));
      }
    }
    state[0] = at(state, 0) ^ constant;
  }
}

function theta(state: bigint[]): void {
  const parity = [0, 1, 2, 3, 4].map(
    (x) =>
      at(state, x) ^ at(state, x + 5) ^ at(state, x + 10) ^ at(state, x + 15) ^ at(state, x + 20),
  );
  for (let x = 0; x < 5; x += 1) {
    const change = at(parity, (x + 4) % 5) ^ rotate(at(parity, (x + 1) % 5), 1n);
    for (let y = 0; y < 25; y += 5) state[y + x] = at(state, y + x) ^ change;
  }
}

function rhoPi(state: readonly bigint[]): bigint[] {
  const moved: bigint[] = [...state];
  let x = 1;
  let y = 0;
  for (let step = 0; step < 24; step += 1) {
    const offset = BigInt((((step + 1) * (step + 2)) / 2) % 64);
    const [nextX, nextY] = [y, (2 * x + 3 * y) % 5];
    moved[5 * nextY + nextX] = rotate(at(state, 5 * y + x), offset);
    x = nextX;
    y = nextY;
  }
  return moved;
}

/** Round constants by the linear feedback shift register of FIPS 202 section 3.2.5. */
const roundConstants: readonly bigint[] = makeRoundConstants();

function makeRoundConstants(): bigint[] {
  const constants: bigint[] = [];
  let register = 1;
  for (let round = 0; round < 24; round += 1) {
    let constant = 0n;
    for (let j = 0; j <= 6; j += 1) {
      if ((register & 1) === 1) constant |= 1n << BigInt(2 ** j - 1);
      register <<= 1;
      if ((register & 0x100) !== 0) register ^= 0x171;
    }
    constants.push(constant);
  }
  return constants;
}
