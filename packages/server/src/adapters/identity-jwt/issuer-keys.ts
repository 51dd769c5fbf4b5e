import type { KeyObject } from 'node:crypto';
import { createHash, createSecretKey } from 'node:crypto';
import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { KeySet } from './key-set.ts';
import { readKeySet } from './key-set.ts';

/** Reads the published keys of an issuer: at most `keySetBytesMax`, within `loadMsMax`. Never throws. */
export type LoadKeySet = () => Promise<Result<Uint8Array, Refusal>>;

/** Time for one load, so that the requests that wait for it are not held long. */
export const loadMsMax = 5_000;

/** What a token says about its key. */
export interface KeyQuestion {
  readonly keyId: string | undefined;
  readonly algorithm: string;
  readonly issuedAtMs: number | undefined;
}

/** A key, and the version of the key material that it belongs to: another version verifies anew. */
export interface IssuerKey {
  readonly key: KeyObject;
  readonly version: string;
}

/** The key material of one issuer. */
export interface IssuerKeys {
  find(question: KeyQuestion): Promise<Result<IssuerKey, Refusal>>;
  /** The version in use now; undefined where none may be used. Starts a refresh when one is due. */
  version(): Promise<string | undefined>;
  /** How long ago published keys were read; undefined before the first time. Absent: nothing is published. */
  ageMs?(): number | undefined;
}

/** A set is read again after this long; a key that the issuer withdrew counts no longer than this and one load. */
const refreshMs = 300_000;
/** Between two loads, whatever the tokens say: unknown key ids must not become requests to the issuer. */
const loadEveryMs = 30_000;
/** How long the last good set counts while the issuer cannot be reached. Its tokens rarely live longer. */
const staleMsMax = 4 * 3_600_000;
/** How far the issuer's clock may be behind ours when its tokens are compared with the time of a load. */
const clockSkewMs = 60_000;

export interface KeySetOptions {
  readonly issuer: string;
  readonly load: LoadKeySet;
  /** Wall clock, epoch ms: compared with `iat`. */
  readonly nowMs: () => number;
  /** A clock that never goes back, ms: ages. */
  readonly monotonicMs: () => number;
}

interface Loaded {
  readonly set: KeySet;
  readonly atMs: number;
  /** Wall clock at the start of the load. */
  readonly wallMs: number;
}

/**
 * Published keys of an issuer. One load at a time and at least 30 s apart; requests that need the same load share it.
 * A key id that is not in the set is looked for once more when a load is allowed; when none is, a token that is newer
 * than the set (or undated) cannot be judged and is 503 with the time to wait; an older one is refused, since its key
 * would be there.
 */
export class PublishedKeys implements IssuerKeys {
  readonly #options: KeySetOptions;
  #loaded: Loaded | undefined;
  #attemptedAtMs = Number.NEGATIVE_INFINITY;
  #problem = 'not loaded yet';
  #loading: Promise<void> | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  version(): Promise<string | undefined> {
    return Promise.resolve(this.#current()?.set.digest);
  }

  ageMs(): number | undefined {
    return this.#loaded === undefined ? undefined : this.#ageMs(this.#loaded);
  }

  async find(question: KeyQuestion): Promise<Result<IssuerKey, Refusal>> {
    const askedAtMs = this.#options.monotonicMs();
    if (this.#current() === undefined) await this.#refreshIfDue();
    const before = this.#usable();
    if (before === undefined) return this.#unavailable();
    const first = this.#search(before, question);
    if (first !== undefined) return first;
    await this.#refreshIfDue();
    const after = this.#usable() ?? before;
    if (after === before) return this.#judgeUnknown(after, question, askedAtMs);
    return this.#search(after, question) ?? this.#judgeUnknown(after, question, askedAtMs);
  }

  #search(loaded: Loaded, question: KeyQuestion): Result<IssuerKey, Refusal> | undefined {
    const search = loaded.set.find(question.keyId, question.algorithm);
    if (search.kind === 'found') return ok({ key: search.key, version: loaded.set.digest });
    if (search.kind === 'unknown') return undefined;
    return refuse(
      'credential_invalid',
      search.kind === 'unfit'
        ? 'The token is not accepted. The key that it names is not for its algorithm.'
        : 'The token is not accepted. It does not say which of its issuer’s keys signed it (kid).',
    );
  }

  #judgeUnknown(loaded: Loaded, question: KeyQuestion, askedAtMs: number): Result<never, Refusal> {
    const isOlderThanToken =
      question.issuedAtMs === undefined || question.issuedAtMs + clockSkewMs > loaded.wallMs;
    if (loaded.atMs < askedAtMs && isOlderThanToken) return this.#unavailable();
    return refuse(
      'credential_invalid',
      'The token is signed with a key that its issuer does not publish. Get a new token.',
    );
  }

  #unavailable(): Result<never, Refusal> {
    const waitMs = this.#attemptedAtMs + loadEveryMs - this.#options.monotonicMs();
    return err(
      refusal(
        'state_unavailable',
        'The keys of the token’s issuer cannot be read now, so the token cannot be judged. Try again.',
        {
          retryAfterMs: Math.max(1_000, Math.min(loadEveryMs, waitMs)),
          detail: { issuer: this.#options.issuer, cause: this.#problem },
        },
      ),
    );
  }

  /** What may be used; a load starts beside it when it is old enough. */
  #current(): Loaded | undefined {
    const loaded = this.#usable();
    if (loaded !== undefined && this.#ageMs(loaded) >= refreshMs) void this.#refreshIfDue();
    return loaded;
  }

  #usable(): Loaded | undefined {
    const loaded = this.#loaded;
    return loaded !== undefined && this.#ageMs(loaded) <= staleMsMax ? loaded : undefined;
  }

  #ageMs(loaded: Loaded): number {
    return this.#options.monotonicMs() - loaded.atMs;
  }

  /** Joins the load in flight, or starts one where the last is long enough ago. Never rejects. */
  #refreshIfDue(): Promise<void> {
    if (this.#loading !== undefined) return this.#loading;
    const atMs = this.#options.monotonicMs();
    if (atMs - this.#attemptedAtMs < loadEveryMs) return Promise.resolve();
    this.#attemptedAtMs = atMs;
    this.#loading = this.#load(atMs).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(atMs: number): Promise<void> {
    const wallMs = this.#options.nowMs();
    const bytes = await this.#options.load();
    const set = bytes.ok ? readKeySet(bytes.value) : err(bytes.error.message);
    if (set.ok) {
      this.#loaded = { set: set.value, atMs, wallMs };
      this.#problem = 'the key is not in the set, which was read a moment ago';
    } else this.#problem = set.error;
  }
}

/** RFC 7518 section 3.2: as long as the hash. */
const secretBytesMin = 32;

/** Gives the secret as it stands now. */
export type ReadSecret = () => Promise<Result<Secret, Refusal>>;

/** The shared secret of an HS256 issuer, read at each use so that a rotation counts at once. */
export class SharedSecret implements IssuerKeys {
  readonly #issuer: string;
  readonly #read: ReadSecret;
  #known: IssuerKey | undefined;

  constructor(issuer: string, read: ReadSecret) {
    this.#issuer = issuer;
    this.#read = read;
  }

  async version(): Promise<string | undefined> {
    const current = await this.#current();
    return current.ok ? current.value.version : undefined;
  }

  async find(question: KeyQuestion): Promise<Result<IssuerKey, Refusal>> {
    if (question.algorithm !== 'HS256')
      return refuse(
        'credential_invalid',
        'The token is not accepted. It is not signed with HS256.',
      );
    const current = await this.#current();
    if (current.ok) return current;
    return refuse(
      'state_unavailable',
      'The gateway cannot read the secret of the token’s issuer now. Try again.',
      { retryAfterMs: 5_000, detail: { issuer: this.#issuer, cause: current.error } },
    );
  }

  async #current(): Promise<Result<IssuerKey, string>> {
    const secret = await this.#read();
    if (!secret.ok) return err(secret.error.message);
    const bytes = Buffer.from(secret.value.reveal(), 'utf8');
    if (bytes.length < secretBytesMin)
      return err(`the secret is shorter than ${secretBytesMin} bytes`);
    const version = createHash('sha256').update(bytes).digest('hex');
    if (this.#known?.version !== version) this.#known = { key: createSecretKey(bytes), version };
    return ok(this.#known);
  }
}
