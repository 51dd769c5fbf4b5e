import type { TokenSignature } from '@postern/core/attest';
import type { JwkSet } from '@postern/core/attest/jwk';
import { verifyJws } from './jws.ts';

/** A platform with 64 GPUs has 65 tokens; more would be work for nothing. */
const tokensMax = 128;

/**
 * Checks compact tokens against an issuer's keys and gives what core's token verifiers ask for. Core is
 * synchronous and jose is not, so the check comes first and its outcome is passed in.
 */
export async function checkTokens(
  tokens: readonly string[],
  keys: JwkSet,
): Promise<TokenSignature> {
  const signed = new Set<string>();
  for (const token of tokens.slice(0, tokensMax)) {
    const verified = await verifyJws(token, keys);
    if (verified.ok) signed.add(token);
  }
  return (token) => signed.has(token);
}
