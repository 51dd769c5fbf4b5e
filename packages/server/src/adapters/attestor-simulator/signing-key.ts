import { createECDH, createHash, createHmac } from 'node:crypto';
import { concatBytes } from '@postern/core/base';
import { der } from '@postern/core/base/der';

/** A curve with the hash that vendors sign with on it. Orders: SEC 2 sections 2.4.2 and 2.5.1. */
interface Curve {
  readonly openssl: string;
  readonly oid: string;
  readonly hash: 'sha256' | 'sha384';
  readonly signatureOid: string;
  readonly scalarBytes: number;
  readonly order: bigint;
}

const curves = {
  'P-256': {
    openssl: 'prime256v1',
    oid: '1.2.840.10045.3.1.7',
    hash: 'sha256',
    signatureOid: '1.2.840.10045.4.3.2',
    scalarBytes: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    openssl: 'secp384r1',
    oid: '1.3.132.0.34',
    hash: 'sha384',
    signatureOid: '1.2.840.10045.4.3.3',
    scalarBytes: 48,
    order:
      0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
} as const satisfies Record<string, Curve>;
export type CurveName = keyof typeof curves;

/**
 * A test key that follows from a seed, and whose signatures follow from the message (RFC 6979): the same
 * seed gives the same certificates, byte for byte, in every process. It is not constant-time and not
 * secret; nothing but the simulator may use it.
 */
export class SigningKey {
  readonly curveName: CurveName;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** x then y. */
  readonly point: Uint8Array;
  readonly #curve: Curve;
  readonly #secret: bigint;

  constructor(seed: Uint8Array, label: string, curveName: CurveName = 'P-256') {
    const curve: Curve = curves[curveName];
    this.curveName = curveName;
    this.#curve = curve;
    const wide = createHmac('sha512', seed).update(label).digest();
    this.#secret = (toNumber(wide) % (curve.order - 1n)) + 1n;
    const encoded = multiplyBase(curve, this.#secret);
    this.point = encoded.subarray(1);
    this.spki = der.sequence(
      der.sequence(der.oid('1.2.840.10045.2.1'), der.oid(curve.oid)),
      der.bitString(encoded),
    );
  }

  /** The AlgorithmIdentifier of this key's signatures. */
  get algorithm(): Uint8Array {
    return der.sequence(der.oid(this.#curve.signatureOid));
  }

  /** r then s, each as wide as the curve. */
  signRaw(message: Uint8Array): Uint8Array {
    const { hash, order, scalarBytes } = this.#curve;
    const digest = createHash(hash).update(message).digest();
    for (const k of nonces(this.#curve, this.#secret, digest)) {
      const r = toNumber(multiplyBase(this.#curve, k).subarray(1, 1 + scalarBytes)) % order;
      const s = (invert(k, order) * (toNumber(digest) + r * this.#secret)) % order;
      if (r !== 0n && s !== 0n) {
        return concatBytes(toBytes(r, scalarBytes), toBytes(s, scalarBytes));
      }
    }
    throw new Error('no nonce is left');
  }

  /** ECDSA-Sig-Value in DER. */
  signDer(message: Uint8Array): Uint8Array {
    const raw = this.signRaw(message);
    const half = this.#curve.scalarBytes;
    return der.sequence(
      der.unsignedInteger(raw.subarray(0, half)),
      der.unsignedInteger(raw.subarray(half)),
    );
  }

  /** DER PrivateKeyInfo (PKCS #8). */
  pkcs8(): Uint8Array {
    const { oid, scalarBytes } = this.#curve;
    const inner = der.sequence(
      der.integer(1),
      der.octetString(toBytes(this.#secret, scalarBytes)),
      der.explicit(1, der.bitString(concatBytes(Uint8Array.of(4), this.point))),
    );
    return der.sequence(
      der.integer(0),
      der.sequence(der.oid('1.2.840.10045.2.1'), der.oid(oid)),
      der.octetString(inner),
    );
  }
}

/** The candidate nonces of RFC 6979 section 3.2, without end. */
function* nonces(curve: Curve, secret: bigint, digest: Uint8Array): Generator<bigint, never> {
  const { hash, order, scalarBytes } = curve;
  const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array =>
    new Uint8Array(
      createHmac(hash, key)
        .update(concatBytes(...parts))
        .digest(),
    );
  const input = concatBytes(
    toBytes(secret, scalarBytes),
    toBytes(toNumber(digest) % order, scalarBytes),
  );
  let v: Uint8Array = new Uint8Array(scalarBytes).fill(1);
  let k: Uint8Array = new Uint8Array(scalarBytes);
  for (const step of [0, 1]) {
    k = hmac(k, v, Uint8Array.of(step), input);
    v = hmac(k, v);
  }
  for (;;) {
    v = hmac(k, v);
    const candidate = toNumber(v);
    if (candidate > 0n && candidate < order) yield candidate;
    k = hmac(k, v, Uint8Array.of(0));
    v = hmac(k, v);
  }
}

/** The uncompressed point of a multiple of the base point: OpenSSL computes it as a public key. */
function multiplyBase({ openssl, scalarBytes }: Curve, scalar: bigint): Uint8Array {
  const ecdh = createECDH(openssl);
  ecdh.setPrivateKey(toBytes(scalar, scalarBytes));
  return new Uint8Array(ecdh.getPublicKey());
}

function invert(value: bigint, modulus: bigint): bigint {
  let [low, high] = [value % modulus, modulus];
  let [x, y] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high] = [high % low, low];
    [x, y] = [y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function toBytes(value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(width);
  for (let i = width - 1, rest = value; i >= 0; i -= 1, rest >>= 8n)
    bytes[i] = Number(rest & 0xffn);
  return bytes;
}
