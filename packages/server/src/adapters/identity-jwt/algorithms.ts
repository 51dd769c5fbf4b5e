import type { IssuerConfig } from '@postern/core/contract';

export type TokenAlgorithm = IssuerConfig['algorithms'][number];

/** What a public key must be for an algorithm (RFC 7518, 8037): the algorithm of a token never chooses the kind of key. */
interface KeyKind {
  readonly kty: string;
  readonly crv?: string;
}

const kinds: Readonly<Record<Exclude<TokenAlgorithm, 'HS256'>, KeyKind>> = Object.freeze({
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
});

/** The name by which the configuration knows an algorithm. `Ed25519` (RFC 9864) is what Postern means by EdDSA. */
export function configuredName(algorithm: string): string {
  return algorithm === 'Ed25519' ? 'EdDSA' : algorithm;
}

/** Whether a public key of this kind may verify this algorithm. Never true for a symmetric key. */
export function suits(algorithm: string, kty: unknown, crv: unknown): boolean {
  const name = configuredName(algorithm);
  if (!Object.hasOwn(kinds, name)) return false;
  // The line above is the check that the name is one of the table.
  const kind = kinds[name as keyof typeof kinds];
  return kind.kty === kty && (kind.crv === undefined || kind.crv === crv);
}
