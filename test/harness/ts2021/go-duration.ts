const nanoseconds: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** A duration as Go prints it, in nanoseconds. */
export function parseGoDuration(text: string): bigint {
  let sum = 0n;
  for (const [, count = '', unit = ''] of text.matchAll(/(\d+)(ns|us|µs|ms|s|m|h)/g)) {
    sum += BigInt(count) * (nanoseconds[unit] ?? 0n);
  }
  return sum;
}
