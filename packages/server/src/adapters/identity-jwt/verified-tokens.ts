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
 * entries. The half that was used longest ago goes first. What may change about a token (time, keys, revocation) is
 * checked by whoever takes it out.
 */
export class VerifiedTokens {
  #lately = new Map<string, VerifiedToken>();
  /** Used before the oldest of those. Entries that were moved at each use would make the table anew all the time. */
  #before = new Map<string, VerifiedToken>();

  get(digest: string): VerifiedToken | undefined {
    const token = this.#lately.get(digest) ?? this.#before.get(digest);
    if (token !== undefined && !this.#lately.has(digest)) this.put(digest, token);
    return token;
  }

  has(digest: string): boolean {
    return this.#lately.has(digest) || this.#before.has(digest);
  }

  put(digest: string, token: VerifiedToken): void {
    this.#lately.set(digest, token);
    if (this.#lately.size < tokensMax / 2) return;
    this.#before = this.#lately;
    this.#lately = new Map();
  }

  drop(digest: string): void {
    this.#lately.delete(digest);
    this.#before.delete(digest);
  }
}
