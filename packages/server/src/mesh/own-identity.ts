import type { Server as TlsServer } from 'node:tls';
import { assert, ok, type Result } from '@postern/core/base';
import type { IdentitySource, MeshCredential } from './ports.ts';

/** An hour, and what clocks may differ at both ends. */
export const ownLifetimeMsMax = 3_600_000;

export interface OwnIdentityOptions {
  readonly source: IdentitySource;
  readonly nowMs: () => number;
  /** Told of every renewal, and of every failure to renew (with the words of the source). */
  readonly onRenewed?: (credential: MeshCredential) => void;
  readonly onProblem?: (message: string) => void;
  /** How often it looks whether half of the life is over. */
  readonly lookMs?: number;
}

const lookMsDefault = 5_000;
const retryMsMin = 5_000;

/**
 * Our own certificate: new at half of its life, put into every listener at once, while connections under the old one go
 * on. A renewal that fails is tried again until the old one ends; afterwards there is none, and nobody is called.
 */
export class OwnIdentity {
  readonly #options: OwnIdentityOptions;
  readonly #servers = new Set<TlsServer>();
  readonly #ending = new AbortController();
  #credential: MeshCredential;
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;
  #nextTryMs = 0;
  #renewals = 0;
  #problem: string | undefined;

  private constructor(options: OwnIdentityOptions, first: MeshCredential) {
    this.#options = options;
    this.#credential = first;
    this.#timer = setInterval(() => this.#look(), options.lookMs ?? lookMsDefault).unref();
    // What comes while a renewal runs may be newer than what that one takes.
    const renewed = (): void => void this.renew().then(() => this.renew());
    options.source.follow?.(renewed, this.#ending.signal);
  }

  static async open(options: OwnIdentityOptions): Promise<Result<OwnIdentity, string>> {
    const first = await options.source.issue(new AbortController().signal);
    return first.ok ? ok(new OwnIdentity(options, first.value)) : first;
  }

  /** What to show to peers now; undefined once it has ended. */
  current(): MeshCredential | undefined {
    return this.#options.nowMs() < this.#credential.notAfterMs ? this.#credential : undefined;
  }

  get facts(): {
    readonly source: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    readonly renewals: number;
    readonly problem: string | undefined;
  } {
    const { notBeforeMs, notAfterMs } = this.#credential;
    const { name } = this.#options.source;
    return {
      source: name,
      notBeforeMs,
      notAfterMs,
      renewals: this.#renewals,
      problem: this.#problem,
    };
  }

  /** Keeps the certificate of a server current from now on. */
  follow(server: TlsServer): void {
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    this.#credential.serve(server);
  }

  /** Renews now, whatever the age. Concurrent calls share one renewal. */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#ending.abort();
  }

  #look(): void {
    const nowMs = this.#options.nowMs();
    if (this.#options.source.follow !== undefined) return;
    if (nowMs < renewAtMs(this.#credential) || nowMs < this.#nextTryMs) return;
    void this.renew();
  }

  async #renew(): Promise<void> {
    const { source, nowMs, onRenewed, onProblem } = this.#options;
    const issued = await source.issue(this.#ending.signal);
    if (this.#ending.signal.aborted) return;
    if (!issued.ok) {
      this.#problem = issued.error;
      this.#nextTryMs = nowMs() + retryMsMin;
      onProblem?.(issued.error);
      return;
    }
    assert(issued.value.notAfterMs > issued.value.notBeforeMs, 'a certificate lives');
    if (issued.value === this.#credential) return;
    this.#credential = issued.value;
    this.#problem = undefined;
    this.#renewals += 1;
    for (const server of this.#servers) issued.value.serve(server);
    onRenewed?.(issued.value);
  }
}

/** Half of the life that a certificate has for us: an hour at most, however long it says. */
export function renewAtMs({
  notBeforeMs,
  notAfterMs,
}: Pick<MeshCredential, 'notBeforeMs' | 'notAfterMs'>): number {
  return notBeforeMs + Math.min(notAfterMs - notBeforeMs, ownLifetimeMsMax) / 2;
}
