import { type JwkSet, type JwsAlgorithm, jwsAlgorithms } from '@postern/core/attest/jwk';
import { err, fromBase64Url, ok, type Result, utf8Text } from '@postern/core/base';
import { compactVerify, importJWK } from 'jose';

export interface VerifiedJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Uint8Array;
}

export type JwsError =
  | 'too-large'
  | 'malformed'
  | 'critical-header'
  | 'algorithm'
  | 'unknown-key'
  | 'bad-signature';

/** Largest token in characters: attestation tokens with certificates inside take about 20 KiB. */
const tokenCharactersMax = 65_536;

/**
 * Verifies a JWS in compact form. The key set decides which key and which algorithm: the header's `alg`
 * must be one that the key named by `kid` is bound to; keys inside the header are never looked at.
 */
export async function verifyJws(
  token: string,
  set: JwkSet,
): Promise<Result<VerifiedJws, JwsError>> {
  const header = readHeader(token);
  if (!header.ok) return header;
  const { alg, kid } = header.value;
  const algorithm = jwsAlgorithms.find((name) => name === alg);
  if (algorithm === undefined) return err('algorithm');
  const fitting = set.keys.filter((key) => kid === undefined || key.kid === kid);
  const key = fitting.length === 1 ? fitting[0] : undefined;
  // Without a key id, a set of several keys would have to be tried one by one: an oracle for nobody's use.
  if (key === undefined) return err('unknown-key');
  if (!key.algorithms.includes(algorithm)) return err('algorithm');
  return verifyWith(token, key.jwk, algorithm);
}

async function verifyWith(
  token: string,
  jwk: Readonly<Record<string, string>>,
  algorithm: JwsAlgorithm,
): Promise<Result<VerifiedJws, JwsError>> {
  try {
    const key = await importJWK({ ...jwk, alg: algorithm }, algorithm);
    const verified = await compactVerify(token, key, { algorithms: [algorithm] });
    return ok({ header: verified.protectedHeader, payload: verified.payload });
  } catch {
    return err('bad-signature');
  }
}

/** The protected header of a token whose three parts are canonical base64url. */
function readHeader(token: string): Result<Readonly<Record<string, unknown>>, JwsError> {
  if (token.length > tokenCharactersMax) return err('too-large');
  const parts = token.split('.');
  const [head, body, signature] = parts.map(fromBase64Url);
  if (parts.length !== 3 || head === undefined || body === undefined) return err('malformed');
  if (signature === undefined || signature.length === 0) return err('malformed');
  const header = parseObject(utf8Text(head));
  if (header === undefined) return err('malformed');
  if (header['crit'] !== undefined || header['b64'] !== undefined) return err('critical-header');
  return ok(header);
}

function parseObject(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    // Checked on this line to be an object; its members are still unknown.
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
