import { writePem } from '@postern/core/base/der';
import { err, fromBase64, type Result, Secret } from '@postern/core/base';
import type { IdentitySource, MeshCredential } from '../../../mesh/index.ts';
import { createCredential } from '../credential.ts';
import { readX509Response, type X509Svid, type X509Update } from './response.ts';
import { openX509Stream } from './workload-api.ts';

export interface SpiffeSourceOptions {
  /** As `workloadApiAddress` gives it. */
  readonly address: string;
  /** Which of several identities; undefined: the first. */
  readonly id: string | undefined;
  readonly nowMs: () => number;
  readonly onProblem: (message: string) => void;
  /** How long `issue` waits for the first message. */
  readonly firstMs?: number;
  readonly retryMsMin?: number;
}

const firstMsDefault = 10_000;
const retryMsMinDefault = 1_000;
const retryMsMax = 30_000;

/**
 * Identity and trust by a SPIFFE Workload API: one stream, whose every message replaces what was before. While the agent is
 * away, the last message counts until its certificate ends.
 */
export function createSpiffeSource(options: SpiffeSourceOptions): IdentitySource {
  const stream = new SpiffeStream(options);
  return {
    name: `SPIFFE Workload API ${options.address}`,
    issue: (signal) => stream.credential(signal),
    bundles: () => stream.bundles,
    follow: (changed, signal) => stream.follow(changed, signal),
  };
}

class SpiffeStream {
  readonly #options: SpiffeSourceOptions;
  readonly #waiting = new Set<() => void>();
  readonly #ending = new AbortController();
  #changed: () => void = () => undefined;
  #credential: MeshCredential | undefined;
  #problem = 'no message has come';
  #waitMs: number;
  #isOpen = false;
  bundles: X509Update['bundles'] = new Map();

  constructor(options: SpiffeSourceOptions) {
    this.#options = options;
    this.#waitMs = options.retryMsMin ?? retryMsMinDefault;
  }

  async credential(signal: AbortSignal): Promise<Result<MeshCredential, string>> {
    this.#open();
    if (this.#credential === undefined) await this.#first(signal);
    const now = this.#credential;
    if (now === undefined) {
      this.#ending.abort();
      return err(`${this.#options.address}: ${this.#problem}`);
    }
    return { ok: true, value: now };
  }

  follow(changed: () => void, signal: AbortSignal): void {
    this.#changed = changed;
    signal.addEventListener('abort', () => this.#ending.abort(), { once: true });
  }

  #first(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, this.#options.firstMs ?? firstMsDefault);
      signal.addEventListener('abort', end, { once: true });
      this.#waiting.add(end);
    });
  }

  #open(): void {
    if (this.#isOpen || this.#ending.signal.aborted) return;
    this.#isOpen = true;
    openX509Stream(this.#options.address, {
      onMessage: (bytes) => this.#take(bytes),
      onEnd: (why) => this.#again(why),
      signal: this.#ending.signal,
    }).catch((fault: unknown) => this.#again(fault instanceof Error ? fault.message : 'failed'));
  }

  #take(bytes: Uint8Array): void {
    const update = readX509Response(bytes);
    const svid = update.ok ? this.#chosen(update.value.svids) : update;
    const made = svid.ok ? credentialOf(svid.value) : svid;
    if (!update.ok || !made.ok) {
      this.#complain(made.ok ? 'malformed' : made.error);
      return;
    }
    this.#waitMs = this.#options.retryMsMin ?? retryMsMinDefault;
    this.#credential = made.value;
    this.bundles = update.value.bundles;
    for (const end of this.#waiting) end();
    this.#changed();
  }

  #chosen(svids: readonly X509Svid[]): Result<X509Svid, string> {
    const { id } = this.#options;
    const found = id === undefined ? svids[0] : svids.find(({ spiffeId }) => spiffeId === id);
    return found === undefined
      ? err(`the agent has no identity ${id ?? ''} for us`)
      : { ok: true, value: found };
  }

  #again(why: string): void {
    this.#isOpen = false;
    if (this.#ending.signal.aborted) return;
    this.#complain(why);
    setTimeout(() => this.#open(), this.#waitMs).unref();
    this.#waitMs = Math.min(2 * this.#waitMs, retryMsMax);
  }

  #complain(why: string): void {
    if (why === this.#problem) return;
    this.#problem = why;
    this.#options.onProblem(`${this.#options.address}: ${why}`);
  }
}

function credentialOf({ chain, key, spiffeId }: X509Svid): Result<MeshCredential, string> {
  const bytes = fromBase64(key.reveal()) ?? new Uint8Array();
  const pem = new Secret(writePem({ label: 'PRIVATE KEY', bytes }));
  const certificates = chain.map((each) => writePem({ label: 'CERTIFICATE', bytes: each }));
  const made = createCredential(pem, certificates.join(''));
  return made.ok ? made : err(`${spiffeId}: ${made.error}`);
}
