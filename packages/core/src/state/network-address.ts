import {
  addrFromBytes,
  addrBytes,
  type Addr,
  formatAddr,
  inChromeOsRange,
  isV4,
  parsePrefix,
  prefixContains,
  type Prefix,
} from '@postern/core/base/netip';

/** How many taken addresses are passed over before a pool counts as full. */
const triesMax = 65_536;

/**
 * The next free address of a pool, beginning where the node's own number points: nodes keep their address for ever
 * and a new one seldom gets that of one that is gone. Undefined where the pool is full or is no prefix.
 */
export function freeAddress(
  pool: string,
  number: number,
  isTaken: (address: string) => boolean,
): string | undefined {
  const parsed = parsePrefix(pool);
  if (!parsed.ok) return undefined;
  const { addr, bits } = parsed.value;
  const width = isV4(addr) ? 32 : 128;
  const size = 1n << BigInt(width - bits);
  const base = valueOf(addr) & ~(size - 1n);
  const tries = size < BigInt(triesMax) ? Number(size) : triesMax;
  for (let i = 0; i < tries; i += 1) {
    const offset = BigInt(number + i) % size;
    const candidate = addrOf(base + offset, width);
    if (candidate === undefined || isReserved(candidate, offset, size)) continue;
    const text = formatAddr(candidate);
    if (!isTaken(text)) return text;
  }
  return undefined;
}

/** Network and broadcast addresses, and what clients use themselves: DNS at .100.100 and the ChromeOS range. */
function isReserved(addr: Addr, offset: bigint, size: bigint): boolean {
  if (offset === 0n) return true;
  if (!isV4(addr)) return offset === 0x53n;
  return (size > 2n && offset === size - 1n) || inServiceRange(addr) || inChromeOsRange(addr);
}

function inServiceRange(addr: Addr): boolean {
  const parsed = parsePrefix('100.100.0.0/16');
  if (!parsed.ok) return false;
  const service: Prefix = parsed.value;
  const [, , third] = addrBytes(addr);
  // Both 100.100.0.0/24 and 100.100.100.0/24 are the client's own.
  return prefixContains(service, addr) && (third === 0 || third === 100);
}

function valueOf(addr: Addr): bigint {
  return addrBytes(addr).reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function addrOf(value: bigint, width: number): Addr | undefined {
  const bytes = new Uint8Array(width / 8);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i -= 1) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return addrFromBytes(bytes);
}
