import type { Usage } from '@postern/core/dialect';
import { estimateInputTokens, withApart } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { HttpReply, HttpRequest } from '../http/index.ts';
import type { RequestTrace } from '../observe/trace/index.ts';
import type { Capture } from './capture.ts';
import { monotonicMs, sinceReceivedMs } from './elapsed.ts';
import { gatewayLimits } from './limits.ts';
import type { Purse } from './money/purse.ts';
import type { GatewayClock, Outcome, Recorder } from './ports.ts';
import { callerGoneStatus } from './rescue.ts';
import { targetName } from './target-name.ts';
import type { Admitted, Attempt, Decoded, Delivery } from './stages.ts';
import type { Relayed } from './relayed.ts';

/** What an answer has that no limit says anything about. */
export const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Gathers what one request came to, stage by stage, and hands it over exactly once, whatever way the request ends.
 */
export class Account {
  readonly #request: HttpRequest;
  readonly #reply: HttpReply;
  readonly #record: Recorder;
  readonly #clock: GatewayClock;
  #caller: Caller | undefined;
  #trace: RequestTrace | undefined;
  #decoded: Decoded | undefined;
  #admitted: Admitted | undefined;
  #attempt: Attempt | undefined;
  #tries = 0;
  #delivery: Delivery | undefined;
  #relayed: Relayed | undefined;
  #refusal: Refusal | undefined;
  #purse: Purse | undefined;
  #capture: Capture | undefined;
  #isSettled = false;
  readonly #begunMs: number;

  constructor(
    exchange: { readonly request: HttpRequest; readonly reply: HttpReply },
    options: { readonly record: Recorder; readonly clock: GatewayClock },
  ) {
    this.#request = exchange.request;
    this.#reply = exchange.reply;
    this.#record = options.record;
    this.#clock = options.clock;
    this.#begunMs = monotonicMs(options.clock);
  }

  identified(caller: Caller, trace?: RequestTrace): void {
    this.#caller = caller;
    this.#trace = trace;
  }

  decoded(stage: Decoded): void {
    this.#decoded = stage;
  }

  admitted(stage: Admitted): void {
    this.#admitted = stage;
  }

  /** The conversation is kept, as far as it goes. */
  capturing(capture: Capture | undefined): void {
    this.#capture = capture;
  }

  /** From here on money is set aside; it is settled with the request, however that ends. */
  paying(purse: Purse): void {
    this.#purse = purse;
  }

  attempted(attempt: Attempt | undefined, tries: number): void {
    this.#attempt = attempt;
    this.#tries = tries;
  }

  /** A model is about to be asked to write: what comes of it is noted in the value given. */
  delivery(): Delivery {
    this.#delivery = {
      usage: undefined,
      chars: 0,
      apart: undefined,
      firstByteMs: undefined,
      waitedMs: 0,
      upstreamMs: 0,
    };
    return this.#delivery;
  }

  relayed(relayed: Relayed): void {
    this.#relayed = relayed;
  }

  refused(refusal: Refusal): void {
    this.#refusal = refusal;
  }

  settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const outcome = this.#outcome();
    const usage = this.#usage(outcome);
    try {
      if (usage.value !== undefined) this.#purse?.settle(usage.value, usage.isEstimated);
    } finally {
      // Whatever goes wrong with its money, a request gives back its limits and is on the record.
      this.#purse?.close();
      this.#report(outcome, usage);
    }
  }

  #report(outcome: Outcome, usage: Counted): void {
    const attempt = this.#attempt;
    this.#record({
      request: this.#request,
      caller: this.#caller,
      dialect: this.#decoded?.dialect.name,
      asked: this.#decoded?.conversation.model,
      model: this.#admitted?.permit.model,
      target: attempt === undefined ? undefined : targetName(attempt.target),
      decisionId: this.#admitted?.permit.decisionId ?? decisionOf(this.#refusal),
      rule: this.#admitted?.permit.rule,
      outcome,
      // Whatever broke because the caller left is no failure of anybody.
      refusal: outcome === 'aborted' ? undefined : (this.#relayed?.refusal ?? this.#refusal),
      attempts: this.#tries,
      usage: usage.value,
      estimated: usage.isEstimated || this.#purse?.hasEstimates === true,
      // Every settlement has every member, so that all of them have one shape.
      cost: this.#purse?.cost,
      accounts: this.#purse?.accounts,
      content:
        this.#capture === undefined
          ? undefined
          : { request: this.#capture.request, answer: this.#capture.answer() },
      status: this.#status(outcome),
      bytes: this.#reply.sent.bytes,
      firstByteMs: this.#delivery?.firstByteMs,
      durationMs: sinceReceivedMs(this.#request, this.#clock.nowMs()),
      waitedMs: this.#delivery?.waitedMs,
      ownMs: this.#ownMs(),
      trace: this.#trace,
    });
  }

  #ownMs(): number | undefined {
    const delivery = this.#delivery;
    if (delivery === undefined || this.#tries === 0) return undefined;
    const { waitedMs, upstreamMs } = delivery;
    return Math.max(0, monotonicMs(this.#clock) - this.#begunMs - waitedMs - upstreamMs);
  }

  #outcome(): Outcome {
    if (this.#relayed !== undefined) return this.#relayed.outcome;
    if (this.#request.signal.aborted) return 'aborted';
    if (this.#refusal === undefined) return 'complete';
    return this.#delivery?.firstByteMs === undefined ? 'refused' : 'failed';
  }

  /** The listener answers by itself where the connection broke inside the request; that is no answer of ours. */
  #status(outcome: Outcome): number {
    const { status } = this.#reply.sent;
    return status === 0 && outcome === 'aborted' ? callerGoneStatus : status;
  }

  /**
   * What the upstream reported of a complete answer. Of any other, the larger of its report and our own count, which
   * is never zero for what a model read or wrote. A refused request without a report and without a word costs nothing here.
   */
  #usage(outcome: Outcome): Counted {
    const delivery = this.#delivery;
    const said = delivery?.usage;
    // No prompt is empty: a report of none, in numbers that nobody can read maybe, says nothing about it.
    const isPromptSaid = said === undefined || said.input + said.cacheRead + said.cacheWrite > 0;
    const reported = isPromptSaid ? said : { ...said, input: this.#promptTokens() };
    const counted = Math.ceil((delivery?.chars ?? 0) / gatewayLimits.charsPerToken);
    // A report of no output, of an answer that has some, is none.
    const isWhole = outcome === 'complete' && (counted === 0 || (reported?.output ?? 0) > 0);
    if (isWhole && reported !== undefined)
      return { value: withSeen(reported, delivery), isEstimated: !isPromptSaid };
    const isUnasked = delivery === undefined || this.#tries === 0;
    // Thinking that the caller's format has no words for was written all the same.
    const isEmpty = reported === undefined && counted === 0;
    if (isUnasked || (outcome === 'refused' && isEmpty)) {
      return { value: undefined, isEstimated: false };
    }
    return {
      value: withSeen(
        {
          ...(reported ?? this.#unreported()),
          output: Math.max(reported?.output ?? 0, counted),
        },
        delivery,
      ),
      isEstimated: true,
    };
  }

  #promptTokens(): number {
    const conversation = this.#decoded?.conversation;
    return conversation === undefined ? 0 : estimateInputTokens(conversation);
  }

  #unreported(): Usage {
    return {
      input: this.#promptTokens(),
      cacheRead: 0,
      cacheWrite: 0,
      cacheWriteHour: 0,
      output: 0,
      reasoning: 0,
    };
  }
}

function withSeen(usage: Usage, delivery: Delivery | undefined): Usage {
  const apart = delivery?.apart;
  return apart === undefined ? usage : withApart(usage, apart);
}

/** What a request used, and whether we counted it ourselves. */
interface Counted {
  readonly value: Usage | undefined;
  readonly isEstimated: boolean;
}

/** A request that the policy refused has the decision in what the log is told. */
function decisionOf(refusal: Refusal | undefined): string | undefined {
  const decision = refusal?.detail?.['decision'];
  return typeof decision === 'string' ? decision : undefined;
}
