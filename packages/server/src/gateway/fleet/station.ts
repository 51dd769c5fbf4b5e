import type { Result } from '@postern/core/base';
import { assert, err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type {
  Breaker,
  BreakerOutcome,
  BreakerPass,
  RetryBudget,
  Ticket,
} from '@postern/core/routing';
import {
  askBreaker,
  closedBreaker,
  earnRetry,
  FairQueue,
  fullRetryBudget,
  reportToBreaker,
  spendRetry,
} from '@postern/core/routing';
import type { CallSignal } from '../../http/index.ts';
import type { Provider } from '../ports.ts';
import { answers, type StationContext } from './context.ts';
import type { TargetState } from './events.ts';
import { plainRules, type ProviderRules } from './rules.ts';
import { Wakefulness } from './wakefulness.ts';

/** Who wants to send what where. */
export interface Visit {
  readonly provider: Provider;
  readonly endpoint: string;
  readonly model: string;
  /** Whose turn it is when callers take turns. */
  readonly owner: string;
  readonly signal: CallSignal;
}

/** The right to send one request, until it is given back. Each is given back exactly once. */
export interface Passage {
  /** The upstream has begun a good answer. */
  answered(): void;
  leave(outcome: BreakerOutcome): void;
}

/** `busy` and `asleep` pass with time, and nothing failed. */
export type Entry =
  | { readonly kind: 'entered'; readonly passage: Passage }
  | { readonly kind: 'busy' | 'asleep' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

interface Waiter {
  /** The place is taken already when this is called. */
  readonly go: () => void;
  readonly evict: () => void;
}

/** Models of one place whose breakers are remembered; the oldest good one is forgotten beyond that. */
const breakersMax = 1_024;
const busyRetryAfterMs = 1_000;

/** One place where models run: how many requests are there, who waits, whether it is awake and well. */
export class Station {
  readonly #context: StationContext;
  readonly wakefulness: Wakefulness;
  readonly #breakers = new Map<string, Breaker>();
  readonly #queue: FairQueue<Waiter>;
  #rules: ProviderRules = plainRules;
  #retries: RetryBudget | undefined;
  #inFlight = 0;
  /** Requests that wait until it is awake. */
  #sleepless = 0;
  #isHealthy = true;
  #checks = { good: 0, bad: 0 };

  constructor(context: StationContext) {
    this.#context = context;
    this.wakefulness = new Wakefulness(context);
    this.#queue = new FairQueue(() => this.#rules.queue.length);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get queued(): number {
    return this.#queue.length + this.#sleepless;
  }

  get isIdle(): boolean {
    return this.#inFlight === 0 && this.queued === 0;
  }

  /** The rules of the configuration in force. Whoever waits goes when they leave more room. */
  rule(rules: ProviderRules): void {
    if (this.#rules === rules) return;
    this.#rules = rules;
    this.#next();
  }

  stateOf(model: string): TargetState {
    const nowMs = this.#context.clock.nowMs();
    const { state } = this.wakefulness;
    if (this.#rules.wake !== undefined && state !== 'ready')
      return state === 'loading' ? 'loading' : 'asleep';
    if (!this.#isHealthy) return 'unhealthy';
    const breaker = this.#breakers.get(model) ?? closedBreaker;
    if (this.#rules.breaker === undefined || breaker.kind === 'closed') return 'ready';
    return breaker.kind === 'open' && askBreaker(breaker, nowMs).pass === undefined
      ? 'open'
      : 'probation';
  }

  /** Breakers that are not simply closed. */
  troubled(): readonly { readonly model: string; readonly breaker: Breaker }[] {
    return [...this.#breakers]
      .filter(([, breaker]) => breaker.kind !== 'closed')
      .map(([model, breaker]) => ({ model, breaker }));
  }

  /** Enters where that is possible at once. What sleeps is woken, whoever answers in the end. */
  enter(visit: Visit): Entry {
    const refused = this.#refusalFor(visit.model);
    if (refused !== undefined) return { kind: 'refused', refusal: refused };
    const { wake, maxConcurrent } = this.#rules;
    if (wake !== undefined && this.wakefulness.state !== 'ready') {
      void this.wakefulness.rouse(visit.provider, visit.endpoint, wake);
      return { kind: 'asleep' };
    }
    const isFull = this.#inFlight >= (maxConcurrent ?? Number.POSITIVE_INFINITY);
    if (isFull || this.#queue.length > 0) return { kind: 'busy' };
    this.#inFlight += 1;
    return this.#pass(visit.model);
  }

  /** Waits until it is awake and until it is this caller's turn, each within its bound. */
  async enterInTurn(visit: Visit): Promise<Result<Passage, Refusal>> {
    const awake = await this.#awake(visit);
    if (!awake.ok) return awake;
    const at = this.enter(visit);
    if (at.kind === 'entered') return ok(at.passage);
    if (at.kind === 'refused') return err(at.refusal);
    // Fell asleep between two turns of the loop: the next request wakes it again.
    if (at.kind === 'asleep') return err(notAwake(this.#rules));
    const turn = await this.#turn(visit);
    if (!turn.ok) return turn;
    const passed = this.#pass(visit.model);
    if (passed.kind === 'entered') return ok(passed.passage);
    assert(passed.kind === 'refused', 'a turn is a place');
    return err(passed.refusal);
  }

  /** A first try earns a part of a retry. */
  earn(): void {
    const { retry } = this.#rules;
    this.#retries = earnRetry(retry, this.#retries ?? fullRetryBudget(retry));
  }

  /** May one request be repeated here now? */
  spend(): boolean {
    const after = spendRetry(this.#retries ?? fullRetryBudget(this.#rules.retry));
    if (after === undefined) {
      this.#context.counters.retriesDenied += 1;
      return false;
    }
    this.#retries = after;
    return true;
  }

  /** One health check, and what follows from it. */
  async check(provider: Provider, endpoint: string): Promise<void> {
    const { health, wake } = this.#rules;
    if (health === undefined || this.wakefulness.state === 'loading') return;
    const { closed, counters } = this.#context;
    const signal = AbortSignal.any([closed, AbortSignal.timeout(health.timeoutMs)]);
    const isGood = await answers(provider, endpoint, signal);
    if (closed.aborted) return;
    const { good, bad } = this.#checks;
    this.#checks = isGood ? { good: good + 1, bad: 0 } : { good: 0, bad: bad + 1 };
    if (!isGood) counters.checksFailed += 1;
    if (wake !== undefined) {
      if (isGood) this.wakefulness.rose();
      else if (this.#checks.bad >= health.unhealthyAfter) this.wakefulness.fell();
    } else if (this.#checks.bad >= health.unhealthyAfter) this.#judge(false);
    else if (this.#checks.good >= health.healthyAfter) this.#judge(true);
  }

  #judge(isHealthy: boolean): void {
    if (this.#isHealthy === isHealthy) return;
    this.#isHealthy = isHealthy;
    this.#context.tell({ kind: 'health', isHealthy });
  }

  #refusalFor(model: string): Refusal | undefined {
    const { health, breaker, wake } = this.#rules;
    if (health !== undefined && wake === undefined && !this.#isHealthy) {
      return refusal(
        'upstream_unavailable',
        'The model server does not pass its health checks; nothing is sent to it until it does.',
        { retryAfterMs: health.intervalMs, detail: { stage: 'health' } },
      );
    }
    if (breaker === undefined) return undefined;
    const asked = askBreaker(
      this.#breakers.get(model) ?? closedBreaker,
      this.#context.clock.nowMs(),
    );
    return asked.pass === undefined ? breakerOpen(asked.waitMs) : undefined;
  }

  /** The place is taken; a breaker that says no gives it back. */
  #pass(model: string): Entry {
    this.#context.counters.attempts += 1;
    if (this.#rules.breaker === undefined) return this.#entered(model, undefined);
    const asked = askBreaker(
      this.#breakers.get(model) ?? closedBreaker,
      this.#context.clock.nowMs(),
    );
    this.#become(model, asked.breaker);
    if (asked.pass !== undefined) return this.#entered(model, asked.pass);
    this.#context.counters.attempts -= 1;
    this.#free();
    return { kind: 'refused', refusal: breakerOpen(asked.waitMs) };
  }

  #entered(model: string, given: BreakerPass | undefined): Entry {
    let pass = given;
    let isHere = true;
    const report = (outcome: BreakerOutcome): void => {
      const { breaker: rules } = this.#rules;
      if (pass === undefined || rules === undefined) return;
      const nowMs = this.#context.clock.nowMs();
      const before = this.#breakers.get(model) ?? closedBreaker;
      this.#become(model, reportToBreaker(rules, before, { pass, outcome, nowMs }));
    };
    const passage: Passage = {
      answered: () => {
        if (pass?.isProbe !== true) return;
        // The others need not wait for the end of a long answer. Should it break, that is a new failure.
        report('good');
        pass = { epoch: this.#breakers.get(model)?.epoch ?? 0, isProbe: false };
      },
      leave: (outcome) => {
        if (!isHere) return;
        isHere = false;
        if (outcome === 'bad') this.#context.counters.failures += 1;
        report(outcome);
        this.#free();
      },
    };
    return { kind: 'entered', passage };
  }

  #become(model: string, breaker: Breaker): void {
    const before = this.#breakers.get(model) ?? closedBreaker;
    if (before === breaker) return;
    this.#breakers.delete(model);
    this.#breakers.set(model, breaker);
    if (this.#breakers.size > breakersMax) this.#forgetOne();
    if (before.kind === breaker.kind) return;
    if (breaker.kind === 'open') this.#context.counters.breakerOpened += 1;
    if (breaker.kind === 'closed') this.#context.counters.breakerClosed += 1;
    this.#context.tell({ kind: 'breaker', model, from: before.kind, to: breaker.kind });
  }

  #forgetOne(): void {
    const [oldest] = this.#breakers.keys();
    const good = [...this.#breakers].find(([, { kind }]) => kind === 'closed')?.[0];
    const one = good ?? oldest;
    if (one !== undefined) this.#breakers.delete(one);
  }

  async #awake(visit: Visit): Promise<Result<undefined, Refusal>> {
    const { wake } = this.#rules;
    if (wake === undefined || this.wakefulness.state === 'ready') return ok(undefined);
    if (this.#sleepless >= this.#rules.queue.length) {
      this.#context.counters.queueFull += 1;
      return err(tooMany());
    }
    this.#sleepless += 1;
    const gone = untilAborted(visit.signal);
    try {
      const rousing = this.wakefulness.rouse(visit.provider, visit.endpoint, wake);
      const isAwake = await Promise.race([rousing, gone.left]);
      if (isAwake === 'left') {
        this.#context.counters.queueLeft += 1;
        return callerLeft();
      }
      return isAwake ? ok(undefined) : err(notAwake(this.#rules));
    } finally {
      gone.release();
      this.#sleepless -= 1;
    }
  }

  /** Waits for a place. When it is given, it is taken already. */
  #turn(visit: Visit): Promise<Result<undefined, Refusal>> {
    const { clock, counters } = this.#context;
    const { promise, resolve } = Promise.withResolvers<Result<undefined, Refusal>>();
    const end = (outcome: Result<undefined, Refusal>): void => {
      timer.clear();
      visit.signal.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    const added = this.#queue.add(visit.owner, {
      go: () => end(ok(undefined)),
      evict: () => {
        counters.queueFull += 1;
        end(err(tooMany()));
      },
    });
    if (added.kind === 'full') {
      counters.queueFull += 1;
      return Promise.resolve(err(tooMany()));
    }
    counters.queued += 1;
    added.evicted?.item.evict();
    this.#depth();
    const drop = (ticket: Ticket<Waiter>): void => {
      this.#queue.remove(ticket);
      this.#depth();
    };
    const timer = clock.after(this.#rules.queue.waitMs, () => {
      drop(added.ticket);
      counters.queueLate += 1;
      end(err(tooLate()));
    });
    const onAbort = (): void => {
      drop(added.ticket);
      counters.queueLeft += 1;
      end(callerLeft());
    };
    visit.signal.addEventListener('abort', onAbort, { once: true });
    if (visit.signal.aborted) onAbort();
    return promise;
  }

  #free(): void {
    this.#inFlight -= 1;
    this.#next();
  }

  #next(): void {
    while (this.#inFlight < (this.#rules.maxConcurrent ?? Number.POSITIVE_INFINITY)) {
      const ticket = this.#queue.take();
      if (ticket === undefined) return;
      this.#inFlight += 1;
      this.#depth();
      ticket.item.go();
    }
  }

  #depth(): void {
    this.#context.tell({ kind: 'queue', depth: this.#queue.length });
  }
}

/** `release` takes the listener off: the signal may outlive the wait. */
function untilAborted(signal: CallSignal): {
  readonly left: Promise<'left'>;
  release(): void;
} {
  const { promise, resolve } = Promise.withResolvers<'left'>();
  const onAbort = (): void => resolve('left');
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return { left: promise, release: () => signal.removeEventListener('abort', onAbort) };
}

function breakerOpen(waitMs: number): Refusal {
  return refusal(
    'upstream_unavailable',
    'The model server failed too often; nothing is sent to it for a moment.',
    { retryAfterMs: waitMs, detail: { stage: 'breaker' } },
  );
}

function notAwake({ wake }: ProviderRules): Refusal {
  return refusal(
    'upstream_overloaded',
    'The machine behind this model was asleep and is not ready yet.',
    { retryAfterMs: wake?.pollMs ?? busyRetryAfterMs, detail: { stage: 'wake' } },
  );
}

function tooMany(): Refusal {
  return refusal('overloaded', 'The model is busy and too many wait for it already.', {
    retryAfterMs: busyRetryAfterMs,
    detail: { stage: 'queue' },
  });
}

function tooLate(): Refusal {
  return refusal('overloaded', 'The model is busy and had no place for this request in time.', {
    retryAfterMs: busyRetryAfterMs,
    detail: { stage: 'queue' },
  });
}

function callerLeft(): Result<never, Refusal> {
  return refuse('upstream_unavailable', 'The caller left while the request waited.', {
    detail: { stage: 'cancelled' },
  });
}
