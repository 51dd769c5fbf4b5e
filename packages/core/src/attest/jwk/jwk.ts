import { concatBytes, err, fromBase64Url, ok, type Result } from '../../base/index.ts';
import { isCurvePoint } from '../x509/curve.ts';
import { weaknessOf } from '../x509/key.ts';
import { hasRocaFingerprint } from './roca.ts';

/** What token issuers in the field sign with. Everything else, `none` and HMAC first, is refused. */
export const jwsAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'ES256',
  'ES384',
  'EdDSA',
] as const;

export type JwsAlgorithm = (typeof jwsAlgorithms)[number];

/** A public key with only the members that make it up, and the algorithms that it verifies. */
export interface VerificationKey {
  readonly kid: string | undefined;
  readonly algorithms: readonly JwsAlgorithm[];
  readonly jwk: Readonly<Record<string, string>>;
}

export interface JwkSet {
  readonly keys: readonly VerificationKey[];
  /** Why keys of the set are not among `keys`, for the log. */
  readonly ignored: readonly string[];
}

export interface JwkSetError {
  readonly code: 'malformed' | 'too-many-keys' | 'secret-key' | 'duplicate-kid';
  readonly detail: string;
}

export const jwkLimits: { readonly keysMax: number; readonly memberCharactersMax: number } = {
  keysMax: 100,
  // An RSA modulus of 8,192 bits is 1,366 characters.
  memberCharactersMax: 2_048,
};

/** Members that only secret and private keys have (RFC 7518 6.2.2, 6.3.2, 6.4). */
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

type Members = Readonly<Record<string, unknown>>;

/** Reads a parsed JWK set. A single key without `keys` around it is no set. */
export function parseJwkSet(value: unknown): Result<JwkSet, JwkSetError> {
  const list = isObject(value) ? value['keys'] : undefined;
  if (!Array.isArray(list)) return err({ code: 'malformed', detail: 'no array of keys' });
  if (list.length > jwkLimits.keysMax) {
    return err({ code: 'too-many-keys', detail: `more than ${jwkLimits.keysMax}` });
  }
  const keys: VerificationKey[] = [];
  const ignored: string[] = [];
  const kids = new Set<string>();
  for (const member of list) {
    if (!isObject(member)) return err({ code: 'malformed', detail: 'a key is no object' });
    if (member['kty'] === 'oct' || secretMembers.some((name) => member[name] !== undefined)) {
      return err({ code: 'secret-key', detail: 'the set holds a secret or private key' });
    }
    const kid = member['kid'];
    if (typeof kid === 'string') {
      if (kids.has(kid)) return err({ code: 'duplicate-kid', detail: kid.slice(0, 100) });
      kids.add(kid);
    }
    const key = readKey(member);
    if (key.ok) keys.push(key.value);
    else ignored.push(key.error);
  }
  return ok({ keys, ignored });
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readKey(members: Members): Result<VerificationKey, string> {
  const { kid, use, alg } = members;
  if (kid !== undefined && typeof kid !== 'string') return err('kid is no string');
  if (use !== undefined && use !== 'sig') return err('not for signatures');
  const operations = members['key_ops'];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return err('not for verification');
  }
  const key = readMaterial(members);
  if (!key.ok) return key;
  const possible = key.value.algorithms;
  const algorithms = alg === undefined ? possible : possible.filter((name) => name === alg);
  if (algorithms.length === 0) return err('algorithm and key do not fit');
  return ok({ kid, algorithms, jwk: key.value.jwk });
}

type Material = Pick<VerificationKey, 'algorithms' | 'jwk'>;

function readMaterial(members: Members): Result<Material, string> {
  switch (members['kty']) {
    case 'RSA':
      return readRsa(members);
    case 'EC':
      return readEc(members);
    case 'OKP':
      return readOkp(members);
    default:
      return err('key type is not accepted');
  }
}

function octets(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string' || value.length > jwkLimits.memberCharactersMax) return undefined;
  return fromBase64Url(value);
}

function toNumber(bytes: Uint8Array): bigint {
  let hex = '0';
  for (const octet of bytes) hex += octet.toString(16).padStart(2, '0');
  return BigInt(`0x${hex}`);
}

function readRsa(members: Members): Result<Material, string> {
  const n = octets(members['n']);
  const e = octets(members['e']);
  if (n === undefined || e === undefined) return err('RSA numbers are missing');
  const modulus = toNumber(n);
  const exponent = toNumber(e);
  const modulusBits = modulus.toString(2).length;
  const weakness = weaknessOf({ kind: 'rsa', modulusBits, exponent });
  if (weakness !== undefined) return err(weakness);
  if (hasRocaFingerprint(modulus)) return err('RSA modulus made by the ROCA generator');
  return ok({
    algorithms: ['RS256', 'RS384', 'RS512', 'PS256'],
    jwk: { kty: 'RSA', n: String(members['n']), e: String(members['e']) },
  });
}

const curves: Readonly<Record<string, { oid: string; algorithm: JwsAlgorithm }>> = {
  'P-256': { oid: '1.2.840.10045.3.1.7', algorithm: 'ES256' },
  'P-384': { oid: '1.3.132.0.34', algorithm: 'ES384' },
};

function readEc(members: Members): Result<Material, string> {
  const crv = String(members['crv']);
  const curve = Object.hasOwn(curves, crv) ? curves[crv] : undefined;
  if (curve === undefined) return err('curve is not accepted');
  const x = octets(members['x']);
  const y = octets(members['y']);
  if (x === undefined || y === undefined || x.length !== y.length) {
    return err('coordinates are missing');
  }
  if (!isCurvePoint(curve.oid, concatBytes(Uint8Array.of(4), x, y))) {
    return err('not a point of the curve');
  }
  return ok({
    algorithms: [curve.algorithm],
    jwk: { kty: 'EC', crv, x: String(members['x']), y: String(members['y']) },
  });
}

function readOkp(members: Members): Result<Material, string> {
  const x = octets(members['x']);
  if (members['crv'] !== 'Ed25519' || x?.length !== 32) return err('not an Ed25519 key');
  return ok({
    algorithms: ['EdDSA'],
    jwk: { kty: 'OKP', crv: 'Ed25519', x: String(members['x']) },
  });
}
