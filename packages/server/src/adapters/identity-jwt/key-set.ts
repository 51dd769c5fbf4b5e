import { createHash, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { JsonLimits, JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, ok, parseJson } from '@postern/core/base';
import { configuredName, suits } from './algorithms.ts';

/** What one key set may weigh (a dozen keys with certificates stay under 30 KiB). */
export const keySetBytesMax = 65_536;
const keysMax = 64;
const keyIdCharsMax = 128;
/** RFC 7518 section 3.3. */
const rsaBitsMin = 2_048;
/** Verification with a longer modulus costs the gateway more than it proves. */
const rsaBitsMax = 8_192;

const keySetJsonLimits: JsonLimits = Object.freeze({
  bytesMax: keySetBytesMax,
  depthMax: 8,
  keysPerObjectMax: 64,
  valuesMax: 8_192,
  stringBytesMax: 16_384,
  numberCharsMax: 32,
  duplicateKeys: 'refuse',
});

interface PublicKey {
  readonly keyId: string | undefined;
  /** `alg` of the key, which then is its only one. */
  readonly algorithm: string | undefined;
  readonly kty: string;
  readonly crv: string | undefined;
  readonly key: KeyObject;
}

/**
 * What looking for a key gave. `unfit`: that key is not one for this algorithm. `ambiguous`: several would do, and the
 * token does not say which.
 */
export type KeySearch =
  | { readonly kind: 'found'; readonly key: KeyObject }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unfit' }
  | { readonly kind: 'ambiguous' };

/** The public keys of an issuer, found by id in a Map and by nothing else. */
export class KeySet {
  /** SHA-256 of the text that it was read from. */
  readonly digest: string;
  readonly #byId = new Map<string, PublicKey[]>();
  readonly #all: readonly PublicKey[];
  /** One key without an id (PEM): it answers for every key id. */
  readonly #isSingle: boolean;

  constructor(keys: readonly PublicKey[], digest: string, isSingle: boolean) {
    this.#all = keys;
    this.digest = digest;
    this.#isSingle = isSingle;
    for (const key of keys) {
      if (key.keyId === undefined) continue;
      const known = this.#byId.get(key.keyId);
      if (known === undefined) this.#byId.set(key.keyId, [key]);
      else known.push(key);
    }
  }

  get size(): number {
    return this.#all.length;
  }

  find(keyId: string | undefined, algorithm: string): KeySearch {
    const named = keyId === undefined || this.#isSingle ? this.#all : (this.#byId.get(keyId) ?? []);
    const fitting = named.filter(
      (key) =>
        suits(algorithm, key.kty, key.crv) &&
        (key.algorithm === undefined ||
          configuredName(key.algorithm) === configuredName(algorithm)),
    );
    const [first] = fitting;
    if (first === undefined) return { kind: named.length === 0 ? 'unknown' : 'unfit' };
    return fitting.length === 1 ? { kind: 'found', key: first.key } : { kind: 'ambiguous' };
  }
}

/**
 * Reads a JWK set (RFC 7517) or one PEM public key or certificate. Keys that are of no use here are left out:
 * symmetric and private ones, other uses than signing, curves and sizes that no accepted algorithm has. A set without
 * a usable key is a problem, told as a sentence: it is more likely an outage than a wish.
 */
export function readKeySet(bytes: Uint8Array): Result<KeySet, string> {
  if (bytes.length > keySetBytesMax) return err(`it is longer than ${keySetBytesMax} bytes`);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const text = Buffer.from(bytes).toString('latin1').trimStart();
  if (text.startsWith('-----BEGIN ')) return readPem(text, digest);
  const document = parseJson(bytes, keySetJsonLimits);
  if (!document.ok) return err(`it is not JSON: ${document.error.message}`);
  const value = document.value.value;
  const list = isJsonObject(value) ? value['keys'] : undefined;
  if (!Array.isArray(list)) return err('it is not a JWK set: "keys" is missing');
  if (list.length > keysMax) return err(`it has more than ${keysMax} keys`);
  const keys = list.flatMap((item: JsonValue) => readKey(item) ?? []);
  return keys.length === 0
    ? err('it has no public signature key')
    : ok(new KeySet(keys, digest, false));
}

function readPem(text: string, digest: string): Result<KeySet, string> {
  if (!/^-----BEGIN (?:PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----/.test(text))
    return err('it is PEM, but neither a public key nor a certificate');
  try {
    const key = createPublicKey(text);
    const { kty, crv } = key.export({ format: 'jwk' });
    if (typeof kty !== 'string' || !isStrongEnough(key)) return err('its key is too short');
    return ok(
      new KeySet([{ keyId: undefined, algorithm: undefined, kty, crv, key }], digest, true),
    );
  } catch {
    return err('its PEM cannot be read');
  }
}

/** One member of a set, or undefined where it is of no use here. */
function readKey(value: JsonValue): PublicKey | undefined {
  if (!isJsonObject(value)) return undefined;
  const { kty, crv, kid, alg, use, key_ops: operations } = value;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined;
  // A private key that somebody published is everybody's key.
  if (value['d'] !== undefined) return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return undefined;
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > keyIdCharsMax))
    return undefined;
  if (alg !== undefined && typeof alg !== 'string') return undefined;
  const key = importKey(value);
  if (key === undefined || !isStrongEnough(key)) return undefined;
  return { keyId: kid, algorithm: alg, kty, crv: typeof crv === 'string' ? crv : undefined, key };
}

function importKey(jwk: JsonObject): KeyObject | undefined {
  const { kty, crv, n, e, x, y } = jwk;
  try {
    // Only the public members go in; node checks their types and throws.
    const key = { kty, crv, n, e, x, y } as Record<string, string>;
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function isStrongEnough(key: KeyObject): boolean {
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return bits === undefined || (bits >= rsaBitsMin && bits <= rsaBitsMax);
}
