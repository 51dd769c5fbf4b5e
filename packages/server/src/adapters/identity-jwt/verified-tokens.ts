import type { TokenClaims } from '@postern/core/identity';

/** A token whose signature and claims were found good. */
export interface VerifiedToken {
  readonly claims: TokenClaims;
  /** Version of the key material that verified it. */
  readonly keyVersion: string;
}

/** Tokens remembered at once; at about 2 KiB each this is 20 MiB at most. */
const tokensMax = 10_000;

/**
 * Verified tokens by SHA-256 of the whole token text: two tokens that share their header, claims or any prefix are two
 * entries. The one that was used longest ago goes first. What may change about a token (time, keys, revocation) is
 * checked by whoever takes it out.
 */
export class VerifiedTokens {
  readonly #tokens = new Map<string, VerifiedToken>();

  get(digest: string): VerifiedToken | undefined {
    const token = this.#tokens.get(digest);
    if (token === undefined) return undefined;
    this.#tokens.delete(digest);
    this.#tokens.set(digest, token);
    return token;
  }

  has(digest: string): boolean {
    return this.#tokens.has(digest);
  }

  put(digest: string, token: VerifiedToken): void {
    this.#tokens.set(digest, token);
    if (this.#tokens.size <= tokensMax) return;
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      return;
    }
  }

  drop(digest: string): void {
    this.#tokens.delete(digest);
  }

  get size(): number {
    return this.#tokens.size;
  }
}
