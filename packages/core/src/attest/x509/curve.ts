/** The NIST prime curves, far enough to say whether a public key is a point of one. */

export type CurveName = 'P-256' | 'P-384' | 'P-521';

interface Curve {
  readonly name: CurveName;
  readonly coordinateBytes: number;
  readonly p: bigint;
  readonly b: bigint;
}

const p256: Curve = {
  name: 'P-256',
  coordinateBytes: 32,
  p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
};

const p384: Curve = {
  name: 'P-384',
  coordinateBytes: 48,
  p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
  b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
};

const p521: Curve = {
  name: 'P-521',
  coordinateBytes: 66,
  p: 2n ** 521n - 1n,
  b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
};

/** Curves by their named-curve object identifier (RFC 5480 2.1.1.1). */
const curves: Readonly<Record<string, Curve>> = {
  '1.2.840.10045.3.1.7': p256,
  '1.3.132.0.34': p384,
  '1.3.132.0.35': p521,
};

export function curveOf(oid: string): CurveName | undefined {
  return curves[oid]?.name;
}

function toNumber(bytes: Uint8Array): bigint {
  let hex = '0';
  for (const octet of bytes) hex += octet.toString(16).padStart(2, '0');
  return BigInt(`0x${hex}`);
}

/** Whether the octets are an uncompressed point on the curve: y² = x³ − 3x + b, coordinates below p. */
export function isCurvePoint(oid: string, point: Uint8Array): boolean {
  const curve = curves[oid];
  if (curve === undefined || point[0] !== 4) return false;
  if (point.length !== 1 + 2 * curve.coordinateBytes) return false;
  const x = toNumber(point.subarray(1, 1 + curve.coordinateBytes));
  const y = toNumber(point.subarray(1 + curve.coordinateBytes));
  if (x >= curve.p || y >= curve.p) return false;
  return (y * y - (x * x * x - 3n * x + curve.b)) % curve.p === 0n;
}
