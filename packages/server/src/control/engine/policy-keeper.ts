import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { currentPolicy } from '@postern/core/state';
import type { Control } from '../control.ts';
import type { TrialClock } from '../policy/index.ts';
import type { EnginePolicy, NetworkEngine } from './ports.ts';

/** How the engine's policy stands to the one in force here. */
export type EngineSync =
  /** Nothing was applied here yet, so that the engine's own counts on the network. */
  | { readonly state: 'none' }
  | { readonly state: 'same'; readonly etag: string }
  /** Ours is not there yet; it is tried again. */
  | { readonly state: 'behind'; readonly problem: string }
  /** Somebody else wrote it: nothing is overwritten. `etag` names what stands there. */
  | { readonly state: 'changed'; readonly problem: string; readonly etag: string }
  | { readonly state: 'unknown'; readonly problem: string };

export interface PolicyKeeperOptions {
  readonly engine: NetworkEngine;
  readonly control: Control;
  readonly clock: TrialClock;
  /** Etag of the last policy that we wrote there, kept over restarts. */
  readonly remembered: {
    read(): Promise<string | undefined>;
    write(etag: string): Promise<void>;
  };
  /** Told when the standing changes for the worse. */
  readonly onAlarm: (problem: string) => void;
}

/** How often somebody else's change is looked for. */
const lookMs = 30_000;
/** How soon after a first failure; each further one doubles it. */
const againMs = 2_000;
const untouched = 'ts-default';

/**
 * Keeps the engine's policy at the one in force here: what is applied, confirmed or rolled back here is written there
 * with `If-Match` of what we wrote last. What somebody else wrote is never overwritten without being named; it raises
 * an alarm instead.
 */
export class PolicyKeeper {
  readonly #options: PolicyKeeperOptions;
  readonly #ending = new AbortController();
  #sync: EngineSync = { state: 'none' };
  #own: string | undefined;
  #isRemembered = false;
  #timer: { clear(): void } | undefined;
  #working: Promise<EngineSync> | undefined;
  #isStale = false;
  #failures = 0;

  constructor(options: PolicyKeeperOptions) {
    this.#options = options;
  }

  /** Follows the policy in force until it is closed. */
  begin(): void {
    let known: string | undefined;
    this.#options.control.subscribe(({ policy }) => {
      const digest = currentPolicy(policy)?.digest;
      if (digest === known) return;
      known = digest;
      void this.push();
    }, this.#ending.signal);
    void this.push();
  }

  close(): void {
    this.#ending.abort();
    this.#timer?.clear();
  }

  sync(): EngineSync {
    return this.#sync;
  }

  /** Why somebody has to look. */
  alarm(): string | undefined {
    const { state } = this.#sync;
    return state === 'changed' || state === 'behind' ? this.#sync.problem : undefined;
  }

  /**
   * Whether a text may come into force: the engine takes it, and stands where we left it. `over` names what somebody
   * else wrote there and what may go.
   */
  async admits(text: string, over: string | undefined): Promise<Result<void, Refusal>> {
    const { engine } = this.#options;
    const read = await engine.getPolicy();
    if (!read.ok) return read;
    if (over !== undefined && over === read.value.etag) await this.#remember(over);
    if (!(await this.#isOurs(read.value))) {
      return refuse('conflict', this.#changedSentence(read.value.etag), { param: 'engine_etag' });
    }
    const problems = await engine.checkPolicy(text);
    if (!problems.ok) return problems;
    const [first, ...more] = problems.value;
    if (first === undefined) return ok(undefined);
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`;
    return refuse('invalid_request', `${this.#name} refuses this policy: ${first}${rest}`, {
      param: 'text',
    });
  }

  /** Writes what is in force, where that is not there; one at a time, and once more for what came meanwhile. */
  push(): Promise<EngineSync> {
    this.#isStale = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  async #work(): Promise<EngineSync> {
    while (this.#isStale && !this.#ending.signal.aborted) {
      this.#isStale = false;
      this.#tell(await this.#reconcile());
    }
    this.#timer?.clear();
    const { state } = this.#sync;
    const failed = state === 'behind' || state === 'unknown';
    const waitMs = failed ? Math.min(againMs * 2 ** this.#failures, lookMs) : lookMs;
    this.#failures = failed ? this.#failures + 1 : 0;
    if (!this.#ending.signal.aborted) {
      this.#timer = this.#options.clock.after(waitMs, () => void this.push());
    }
    return this.#sync;
  }

  async #reconcile(): Promise<EngineSync> {
    const { engine, control } = this.#options;
    const wanted = currentPolicy(control.snapshot().policy);
    if (wanted === undefined) return { state: 'none' };
    const read = await engine.getPolicy();
    if (!read.ok) return { state: 'unknown', problem: read.error.message };
    const { text, etag } = read.value;
    if (sameText(text, wanted.text)) {
      await this.#remember(etag);
      return { state: 'same', etag };
    }
    if (!(await this.#isOurs(read.value))) {
      // One that nobody has touched yet cannot always be told by its etag; only writing tells.
      const first = this.#own === undefined && engine.capabilities.has('policy-etag');
      const set = first ? await engine.setPolicy(wanted.text, untouched) : undefined;
      if (set?.ok === true) return this.#written(set.value);
      return { state: 'changed', problem: this.#changedSentence(etag), etag };
    }
    const set = await engine.setPolicy(wanted.text, etag);
    if (set.ok) return this.#written(set.value);
    const problem = `The policy in force here is not at ${this.#name} yet: ${set.error.message}`;
    return { state: 'behind', problem };
  }

  async #written({ etag }: EnginePolicy): Promise<EngineSync> {
    await this.#remember(etag);
    return { state: 'same', etag };
  }

  get #name(): string {
    const { kind, url } = this.#options.engine;
    return kind === 'tailscale' ? 'Tailscale' : `Headscale at ${url}`;
  }

  /** What we wrote, what was in force here before, or what nobody has written. */
  async #isOurs({ text, etag }: EnginePolicy): Promise<boolean> {
    await this.#recall();
    if (etag === this.#own || etag === untouched || text.trim() === '') return true;
    const { versions } = this.#options.control.snapshot().policy;
    return versions.some((version) => sameText(version.text, text));
  }

  #changedSentence(etag: string): string {
    return `The policy at ${this.#name} is not one that Postern wrote: somebody else changed it there. See it with \`postern network policy\`, take over what you want of it, then: postern policy apply --over ${etag}`;
  }

  async #recall(): Promise<void> {
    if (this.#isRemembered) return;
    this.#own = await this.#options.remembered.read();
    this.#isRemembered = true;
  }

  async #remember(etag: string): Promise<void> {
    await this.#recall();
    if (this.#own === etag) return;
    this.#own = etag;
    await this.#options.remembered.write(etag);
  }

  #tell(next: EngineSync): void {
    const before = this.#sync;
    this.#sync = next;
    if (!('problem' in next)) return;
    if ('problem' in before && before.problem === next.problem) return;
    this.#options.onAlarm(next.problem);
  }
}

/** Engines may add or drop the line end after the last line. */
function sameText(a: string, b: string): boolean {
  return a.trimEnd() === b.trimEnd();
}
