import type { Instance } from '@postern/core/registry';

/** What is known about an instance beside that it is there: nothing, that it answers, or that it does not. */
export type HealthState = 'unknown' | 'passing' | 'failing';

export interface Health {
  readonly state: HealthState;
  /** For people: what is wrong. */
  readonly why?: string;
}

/** Whose word counts: the machine's own, with its heartbeats, and what a check of ours found. */
export type HealthSource = 'node' | 'check';

const unknown: Health = Object.freeze({ state: 'unknown' });
const whyCharsMax = 200;

/**
 * How instances are, by id. In memory alone: after a restart nobody is known to fail, and traffic finds out. One bad
 * word is enough to be failing; both must be gone to be well again.
 */
export class HealthBook {
  readonly #byId = new Map<string, Partial<Record<HealthSource, Health>>>();

  of(uuid: string): Health {
    const said = this.#byId.get(uuid);
    if (said === undefined) return unknown;
    const { check, node } = said;
    if (check?.state === 'failing') return check;
    return node?.state === 'failing' ? node : (check ?? node ?? unknown);
  }

  isFailing(uuid: string): boolean {
    return this.of(uuid).state === 'failing';
  }

  /** Says what is different now: nothing, no more than a reason, or the state. */
  take(uuid: string, source: HealthSource, health: Health): 'same' | 'reason' | 'state' {
    const why = health.why?.slice(0, whyCharsMax);
    const said = this.#byId.get(uuid);
    const last = said?.[source];
    // What most heartbeats say: nothing new, and nothing to keep.
    if (last !== undefined && last.state === health.state && last.why === why) return 'same';
    const before = this.of(uuid);
    this.#byId.set(uuid, {
      ...said,
      [source]: why === undefined ? { state: health.state } : { state: health.state, why },
    });
    return this.of(uuid).state === before.state ? 'reason' : 'state';
  }

  forget(uuid: string): void {
    this.#byId.delete(uuid);
  }
}

/** How instances of a type are looked at. */
export interface HealthRule {
  readonly kind: 'tcp' | 'http';
  /** Of an http check. */
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** After as many bad answers in a row an instance is failing; one good answer mends it. */
  readonly failuresMax: number;
}

/** Looks at one instance; undefined: it is well, else what is wrong. */
export type Probe = (
  instance: Instance,
  rule: HealthRule,
  signal: AbortSignal,
) => Promise<string | undefined>;

export interface HealthChecksOptions {
  /** The live instances that a rule names. */
  readonly due: () => Iterable<{ readonly instance: Instance; readonly rule: HealthRule }>;
  readonly probe: Probe;
  readonly nowMs: () => number;
  readonly after: (ms: number, run: () => void) => { clear(): void };
  readonly found: (instance: Instance, health: Health) => void;
  readonly onFault: (fault: unknown) => void;
}

/** How often it is looked for checks that are due. */
const tickMs = 500;
/** Checks at once: a network that swallows packets must not hold thousands of sockets. */
const probesMax = 64;

/** Looks at instances, each at its own pace. What was never looked at is looked at first. */
export class HealthChecks {
  readonly #options: HealthChecksOptions;
  readonly #closed = new AbortController();
  readonly #next = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  #open = 0;
  #timer: { clear(): void } | undefined;

  constructor(options: HealthChecksOptions) {
    this.#options = options;
    this.#later();
  }

  forget(uuid: string): void {
    this.#next.delete(uuid);
    this.#failures.delete(uuid);
  }

  close(): void {
    this.#closed.abort();
    this.#timer?.clear();
  }

  #later(): void {
    if (this.#closed.signal.aborted) return;
    this.#timer = this.#options.after(tickMs, () => {
      this.#look();
      this.#later();
    });
  }

  #look(): void {
    const nowMs = this.#options.nowMs();
    for (const { instance, rule } of this.#options.due()) {
      if (this.#open >= probesMax) return;
      if ((this.#next.get(instance.uuid) ?? 0) > nowMs) continue;
      this.#next.set(instance.uuid, nowMs + rule.everyMs);
      this.#open += 1;
      void this.#check(instance, rule)
        .catch((fault: unknown) => this.#options.onFault(fault))
        .finally(() => {
          this.#open -= 1;
        });
    }
  }

  async #check(instance: Instance, rule: HealthRule): Promise<void> {
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(rule.timeoutMs)]);
    const problem = await this.#options.probe(instance, rule, signal);
    if (this.#closed.signal.aborted || !this.#next.has(instance.uuid)) return;
    if (problem === undefined) {
      this.#failures.delete(instance.uuid);
      return this.#options.found(instance, { state: 'passing' });
    }
    const failures = (this.#failures.get(instance.uuid) ?? 0) + 1;
    this.#failures.set(instance.uuid, failures);
    if (failures >= rule.failuresMax) {
      this.#options.found(instance, { state: 'failing', why: problem });
    }
  }
}
