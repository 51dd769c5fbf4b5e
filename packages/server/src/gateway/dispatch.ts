import type { Result, Soon } from '@postern/core/base';
import { andThen, err, ok } from '@postern/core/base';
import type { Dialect } from '@postern/core/dialect';
import type { ErrorCode, Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import type { BreakerOutcome } from '@postern/core/routing';
import { judgeFailure, retryWaitMs } from '@postern/core/routing';
import type { HttpRequest, OutboundAnswer } from '../http/index.ts';
import type { AttemptWatcher } from './attempts.ts';
import { pause, type Passage, plainRules } from './fleet/index.ts';
import type { AttemptTerms } from './money/purse.ts';
import type { AttemptTrace } from '../observe/trace/index.ts';
import { monotonicMs } from './elapsed.ts';
import { noHeaders } from './settle.ts';
import type { Opening } from './opening.ts';
import type { GatewayClock, Provider } from './ports.ts';
import type { Attempt, Delivery, Dispatched, Routed } from './stages.ts';
import { readUpstreamError } from './upstream-error.ts';

export interface DispatchFailure {
  readonly refusal: Refusal;
  readonly tries: number;
  readonly attempt: Attempt | undefined;
}

/** Failures of one target that say nothing about the next one. */
const worthAnotherTarget: ReadonlySet<ErrorCode> = new Set([
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_error',
  'upstream_overloaded',
  'upstream_rate_limited',
  'upstream_credential',
  'egress_refused',
  'overloaded',
  'model_not_found',
]);

/** What servers say of a route that they, or the model behind it, do not have. */
const routeMissing: ReadonlySet<unknown> = new Set([404, 405, 501]);

/** What a dispatch works with beside its stage. */
export interface DispatchWay {
  readonly clock: GatewayClock;
  readonly opening: Opening;
  /** What the answer came to, for whoever watches the attempts. */
  readonly delivery: Delivery;
  readonly attempts?: AttemptWatcher | undefined;
}

/**
 * Sends the request to the attempts in order until one answers with success. Nothing of an answer was sent to the
 * caller yet, so any of them may still be the one. A refusal that is about the request itself ends it. Targets that
 * are busy or asleep are waited for only where none of the others answers, unless their rules say otherwise; the last
 * one that failed is asked again as far as its retry budget goes.
 */
export function dispatch(
  stage: Routed,
  way: DispatchWay,
): Soon<Result<Dispatched, DispatchFailure>> {
  const run = new Run(stage, way);
  const [first] = stage.attempts;
  const visited = first === undefined ? undefined : run.visit(first, false);
  return andThen(visited, (done) => (done === undefined ? others(run, stage) : ok(done)));
}

/** What follows where the first attempt did not answer with success. */
async function others(run: Run, stage: Routed): Promise<Result<Dispatched, DispatchFailure>> {
  for (const attempt of stage.attempts.slice(1)) {
    // oxlint-disable-next-line no-await-in-loop -- one attempt after the other is the point
    const done = await run.visit(attempt, false);
    if (done !== undefined) return ok(done);
  }
  for (let held = run.takeHeld(); held !== undefined; held = run.takeHeld()) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    const done = await run.visit(held, true);
    if (done !== undefined) return ok(done);
  }
  const done = await run.repeat();
  return done === undefined ? err(run.failure()) : ok(done);
}

/** Who is told when an attempt is over. */
interface Told {
  readonly over: () => void;
  readonly end: ReturnType<AttemptWatcher> | undefined;
  readonly trace: AttemptTrace | undefined;
}

interface Failed {
  readonly attempt: Attempt;
  readonly refusal: Refusal;
}

/** One request on its way from target to target. */
class Run {
  readonly #stage: Routed;
  readonly #way: DispatchWay;
  readonly #owner: string;
  #held: Attempt[] | undefined;
  /** Places that let nobody in: their other formats are not tried either. */
  #closed: Set<string> | undefined;
  /** Places that were asleep when their connection was tried: waited for once. */
  #roused: Set<string> | undefined;
  #tries = 0;
  #failed: Failed | undefined;
  #passedOver: Refusal | undefined;
  #unsayable: Refusal | undefined;

  constructor(stage: Routed, way: DispatchWay) {
    this.#stage = stage;
    this.#way = way;
    this.#owner = principalKey(stage.caller.subject);
  }

  takeHeld(): Attempt | undefined {
    return this.#held?.shift();
  }

  /** Tries one target; undefined where it did not answer with success. */
  visit(attempt: Attempt, mayWait: boolean): Soon<Dispatched | undefined> {
    const failed = this.#failed;
    if (this.#isGone || (failed !== undefined && !mayFollow(failed, attempt))) return undefined;
    if (this.#closed?.has(placeOf(attempt)) === true) return undefined;
    const body = encodeBody(this.#stage, attempt);
    if (!body.ok) {
      // What this format cannot say, the next target's format may.
      this.#unsayable ??= body.error;
      return undefined;
    }
    return andThen(this.#enter(attempt, mayWait), (passage) => {
      if (passage === undefined) return undefined;
      const { fleet } = this.#stage.view;
      fleet.station(attempt.provider, attempt.endpoint).earn();
      if (failed !== undefined && !isSamePlace(failed.attempt, attempt))
        fleet.note('fallback', attempt.provider, attempt.target.model);
      return this.#send(attempt, passage, body.value);
    });
  }

  /** Asks the target that failed last again, after a wait that is never long. */
  async repeat(): Promise<Dispatched | undefined> {
    const { view, request } = this.#stage;
    const { clock } = this.#way;
    for (let index = 0; this.#failed !== undefined && !this.#isGone; index += 1) {
      const { attempt, refusal: why } = this.#failed;
      const station = view.fleet.station(attempt.provider, attempt.endpoint);
      const waitMs = retryWaitMs(why, index, view.fleet.random());
      const isAllowed =
        index < (attempt.provider.rules ?? plainRules).retry.times &&
        judgeFailure(why).ask === 'again' &&
        waitMs !== undefined &&
        station.spend();
      const body = isAllowed ? encodeBody(this.#stage, attempt) : undefined;
      if (body?.ok !== true) return undefined;
      // oxlint-disable-next-line no-await-in-loop -- a wait is the point
      if (!(await this.#waiting(pause(clock, waitMs ?? 0, request.signal)))) return undefined;
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      const passage = await this.#enter(attempt, true);
      if (passage === undefined) return undefined;
      view.fleet.note('retry', attempt.provider, attempt.target.model);
      // oxlint-disable-next-line no-await-in-loop -- as above
      const done = await this.#send(attempt, passage, body.value);
      if (done !== undefined) return done;
    }
    return undefined;
  }

  failure(): DispatchFailure {
    return {
      refusal:
        this.#failed?.refusal ??
        this.#passedOver ??
        this.#unsayable ??
        refusal('upstream_unavailable', 'The request ended before any model was asked.'),
      tries: this.#tries,
      attempt: this.#failed?.attempt,
    };
  }

  get #isGone(): boolean {
    return this.#stage.request.signal.aborted;
  }

  /** At once where there is room, which is what nearly every request finds. */
  #enter(attempt: Attempt, mayWait: boolean): Soon<Passage | undefined> {
    const { provider, endpoint, target } = attempt;
    const station = this.#stage.view.fleet.station(provider, endpoint);
    const visit = {
      provider,
      endpoint,
      model: target.model,
      owner: this.#owner,
      signal: this.#stage.request.signal,
    };
    const entry = station.enter(visit);
    if (entry.kind === 'entered') return entry.passage;
    if (entry.kind === 'refused') return this.#passOver(attempt, entry.refusal);
    if (!mayWait && !insists(provider, entry.kind)) {
      (this.#held ??= []).push(attempt);
      return undefined;
    }
    return this.#waiting(station.enterInTurn(visit)).then((turn) =>
      turn.ok ? turn.value : this.#passOver(attempt, turn.error),
    );
  }

  /** Heartbeats go out meanwhile, and the time is nobody's but the queue's. */
  async #waiting<T>(wait: Promise<T>): Promise<T> {
    const { opening, clock, delivery } = this.#way;
    const begunMs = monotonicMs(clock);
    try {
      return await opening.during(wait);
    } finally {
      delivery.waitedMs += monotonicMs(clock) - begunMs;
    }
  }

  #passOver(attempt: Attempt, why: Refusal): undefined {
    this.#passedOver ??= why;
    (this.#closed ??= new Set()).add(placeOf(attempt));
  }

  #send(attempt: Attempt, passage: Passage, whole: string): Soon<Dispatched | undefined> {
    if (this.#stage.purse === undefined) return this.#sendPaid(attempt, passage, whole);
    return andThen(this.#pay(attempt, passage, whole), (body) =>
      body === undefined ? undefined : this.#sendPaid(attempt, passage, body),
    );
  }

  #sendPaid(attempt: Attempt, passage: Passage, body: string): Soon<Dispatched | undefined> {
    this.#tries += 1;
    const end = this.#way.attempts?.(this.#stage, attempt, this.#tries);
    const { clock, delivery } = this.#way;
    const trace = traceOf(this.#stage, attempt, this.#tries);
    const sentMs = monotonicMs(clock);
    const over = (): void => {
      delivery.upstreamMs += monotonicMs(clock) - sentMs;
    };
    const told: Told = { over, end, trace };
    const faulted = (fault: unknown): never => {
      // A defect that throws must not keep the place for ever.
      passage.leave('unknown');
      over();
      end?.({ outcome: 'failed', refusal: undefined, usage: undefined, chars: 0 });
      trace?.end({ outcome: 'failed', error: 'internal', usage: undefined });
      throw fault;
    };
    const failed = (why: Refusal): undefined =>
      this.#unanswered(attempt, passage, { refusal: why, told });
    const answered = (sent: Result<OutboundAnswer, Refusal>): Soon<Dispatched | undefined> => {
      if (!sent.ok) return failed(sent.error);
      if (isSuccess(sent.value))
        return this.#answered(attempt, passage, { answer: sent.value, told });
      const why = readUpstreamError(attempt.dialect, sent.value, clock.nowMs());
      return why.then(failed, faulted);
    };
    let sent: Soon<Result<OutboundAnswer, Refusal>>;
    try {
      sent = send(this.#stage, attempt, body, trace);
    } catch (fault) {
      return faulted(fault);
    }
    return sent instanceof Promise ? sent.then(answered, faulted) : answered(sent);
  }

  #answered(
    attempt: Attempt,
    passage: Passage,
    { answer, told }: { readonly answer: OutboundAnswer; readonly told: Told },
  ): Dispatched {
    passage.answered();
    const stage = this.#stage;
    return {
      request: stage.request,
      reply: stage.reply,
      view: stage.view,
      caller: stage.caller,
      trace: stage.trace,
      dialect: stage.dialect,
      text: stage.text,
      conversation: stage.conversation,
      glanced: stage.glanced,
      permit: stage.permit,
      targets: stage.targets,
      purse: stage.purse,
      attempts: stage.attempts,
      attempt,
      answer,
      tries: this.#tries,
      opening: this.#way.opening,
      leave: this.#leaver(passage, told),
    };
  }

  #unanswered(
    attempt: Attempt,
    passage: Passage,
    { refusal: why, told }: { readonly refusal: Refusal; readonly told: Told },
  ): undefined {
    told.over();
    const outcome = this.#isGone ? 'aborted' : 'failed';
    this.#stage.purse?.lapse(wasAnswered(why) ? 'refused' : 'unknown');
    told.end?.({ outcome, refusal: why, usage: undefined, chars: 0 });
    told.trace?.end({ outcome, error: why.code, usage: undefined });
    if (this.#fellAsleep(attempt, why)) passage.leave('unknown');
    else {
      passage.leave(this.#isGone ? 'unknown' : outcomeOf(why));
      this.#failed = { attempt, refusal: why };
    }
  }

  /** Nothing is sent that is not paid for. Gives the body to send: a balance may allow less than the permit. */
  #pay(attempt: Attempt, passage: Passage, body: string): Soon<string | undefined> {
    const { purse, permit, conversation } = this.#stage;
    if (purse === undefined) return body;
    let paid: Soon<Result<AttemptTerms, Refusal>>;
    try {
      paid = purse.begin(attempt.target, attempt.dialect === this.#stage.dialect);
    } catch (fault) {
      passage.leave('unknown');
      throw fault;
    }
    // A cap of the caller's own is in the body already, and stays.
    const isCapped = conversation.maxOutputTokens !== undefined;
    const begun = (result: Result<AttemptTerms, Refusal>): string | undefined => {
      if (result.ok && (isCapped || result.value.maxOutputTokens >= permit.maxOutputTokens))
        return body;
      const less = result.ok
        ? encodeBody(this.#stage, attempt, result.value.maxOutputTokens)
        : err(result.error);
      if (less.ok) return less.value;
      purse.lapse('refused');
      passage.leave('unknown');
      this.#failed = { attempt, refusal: less.error };
      return undefined;
    };
    if (!(paid instanceof Promise)) return begun(paid);
    const inTime = (result: Result<AttemptTerms, Refusal>): string | undefined => {
      if (!this.#isGone) return begun(result);
      // Nobody was asked yet, and nobody needs to be any more.
      purse.lapse('refused');
      passage.leave('unknown');
      return undefined;
    };
    return paid.then(inTime, (fault: unknown): never => {
      passage.leave('unknown');
      throw fault;
    });
  }

  /** A machine that can be woken and does not take a connection is asleep, which is no failure. */
  #fellAsleep(attempt: Attempt, { code, detail }: Refusal): boolean {
    const { provider, endpoint } = attempt;
    const isUnreached = code === 'upstream_unavailable' && detail?.['stage'] === 'connect';
    const place = placeOf(attempt);
    if (provider.rules?.wake === undefined || !isUnreached) return false;
    if (this.#roused?.has(place) === true) return false;
    (this.#roused ??= new Set()).add(place);
    this.#stage.view.fleet.station(provider, endpoint).wakefulness.fell();
    (this.#held ??= []).push(attempt);
    return true;
  }

  #leaver(passage: Passage, { over, end, trace }: Told): Dispatched['leave'] {
    const { delivery } = this.#way;
    let hasLeft = false;
    return (ended) => {
      if (hasLeft) return;
      hasLeft = true;
      over();
      const why = ended?.ok === true ? ended.value.refusal : ended?.error;
      const isAborted = this.#isGone || (ended?.ok === true && ended.value.outcome === 'aborted');
      const isComplete = ended?.ok === true && ended.value.outcome === 'complete';
      const outcome = isComplete ? 'complete' : isAborted ? 'aborted' : 'failed';
      end?.({ outcome, refusal: why, usage: delivery.usage, chars: delivery.chars });
      trace?.end({ outcome, error: why?.code, usage: delivery.usage });
      if (isComplete) passage.leave('good');
      else passage.leave(isAborted || why === undefined ? 'unknown' : outcomeOf(why));
    };
  }
}

function traceOf(
  { trace }: Routed,
  { target: { provider, model }, dialect }: Attempt,
  number: number,
): AttemptTrace | undefined {
  return trace?.attempt({ provider, model, dialect: dialect.name, number });
}

/** An upstream that answered with an error, or was never reached, charges nothing; of one that went silent nobody knows. */
function wasAnswered({ code, detail }: Refusal): boolean {
  return (
    detail?.['upstreamStatus'] !== undefined ||
    detail?.['stage'] === 'connect' ||
    code === 'egress_refused' ||
    code === 'upstream_credential'
  );
}

/** What a failure tells the breaker. A refusal with a status of the upstream shows that somebody is there. */
function outcomeOf(why: Refusal): BreakerOutcome {
  if (judgeFailure(why).isFault) return 'bad';
  return why.detail?.['upstreamStatus'] === undefined ? 'unknown' : 'good';
}

/** Does this provider want to be waited for although another could answer? */
function insists({ rules }: Provider, kind: 'busy' | 'asleep'): boolean {
  const way = kind === 'busy' ? rules?.queue.whileBusy : rules?.wake?.whileAsleep;
  return way === 'wait';
}

function isSamePlace(a: Attempt, b: Attempt): boolean {
  return a.target === b.target && a.endpoint === b.endpoint;
}

function placeOf({ target, endpoint }: Attempt): string {
  return JSON.stringify([target.provider, target.model, endpoint]);
}

/** A target is tried in another format only where the server says that the model does not speak this one. */
function mayFollow(failed: Failed, next: Attempt): boolean {
  const { code, detail } = failed.refusal;
  if (!isSamePlace(failed.attempt, next)) return worthAnotherTarget.has(code);
  if (failed.attempt.dialect === next.dialect) return false;
  return code === 'upstream_rejected' || routeMissing.has(detail?.['upstreamStatus']);
}

function encodeBody(
  stage: Routed,
  attempt: Attempt,
  cap: number = stage.permit.maxOutputTokens,
): Result<string, Refusal> {
  const { conversation } = stage;
  const model = attempt.target.model;
  const maxOutputTokens = conversation.maxOutputTokens === undefined ? cap : undefined;
  if (attempt.dialect === stage.dialect) {
    const patch = { model, maxOutputTokens };
    const patched = stage.glanced?.request.patch(patch);
    return patched === undefined ? attempt.dialect.patchRequest(stage.text, patch) : ok(patched);
  }
  const encoded = attempt.dialect.encodeRequest(conversation, { model, maxOutputTokens });
  return encoded.ok ? ok(JSON.stringify(encoded.value)) : encoded;
}

function send(
  stage: Routed,
  { dialect, provider, target, endpoint }: Attempt,
  body: string,
  trace: AttemptTrace | undefined,
): Soon<Result<OutboundAnswer, Refusal>> {
  const headers =
    dialect === stage.dialect
      ? formatHeadersOf(dialect, stage.request)
      : (dialect.encodeHeaders?.(stage.conversation) ?? noHeaders);
  return provider.call({
    dialect,
    path: dialect.upstreamPath(target.model, stage.conversation.stream),
    body,
    bytes: stage.glanced !== undefined && body === stage.text ? stage.glanced.bytes : undefined,
    headers: trace === undefined ? headers : { ...headers, ...trace.headers },
    signal: stage.request.signal,
    endpoint,
  });
}

function isSuccess({ status }: OutboundAnswer): boolean {
  return status >= 200 && status < 300;
}

/** Only what the format itself defines, and only to a provider of that format. Nothing else a caller sends goes on. */
export function formatHeadersOf(
  dialect: Dialect,
  request: HttpRequest,
): Readonly<Record<string, string>> {
  let headers: Record<string, string> | undefined;
  for (const name of dialect.requestHeaders ?? []) {
    const value = request.headers.get(name);
    if (value !== undefined) (headers ??= {})[name] = value;
  }
  return headers ?? noHeaders;
}
