/**
 * Primes for which the powers of 65537 are a small part of the residues, so that a modulus of the faulty
 * generator (CVE-2017-15361: primes of the form k·M + 65537^a mod M) stands out modulo all of them.
 */
const primes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
  103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

function powersOf65537(prime: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power);
  return powers;
}

const residues: ReadonlyMap<bigint, ReadonlySet<number>> = new Map(
  primes.map((prime) => [BigInt(prime), powersOf65537(prime)]),
);

/** Whether an RSA modulus has the ROCA fingerprint; a sound one has it once in more than 2^27 keys. */
export function hasRocaFingerprint(modulus: bigint): boolean {
  for (const [prime, powers] of residues) {
    if (!powers.has(Number(modulus % prime))) return false;
  }
  return true;
}
