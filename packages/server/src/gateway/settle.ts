import type { Usage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { HttpReply, HttpRequest } from '../http/index.ts';
import { gatewayLimits } from './limits.ts';
import type { GatewayClock, Outcome, Recorder } from './ports.ts';
import type { Admitted, Attempt, Decoded, Relayed } from './stages.ts';

/**
 * Gathers what one request came to, stage by stage, and hands it over exactly once, whatever way the request ends.
 */
export class Account {
  readonly #request: HttpRequest;
  readonly #reply: HttpReply;
  readonly #record: Recorder;
  readonly #clock: GatewayClock;
  #caller: Caller | undefined;
  #decoded: Decoded | undefined;
  #admitted: Admitted | undefined;
  #attempt: Attempt | undefined;
  #tries = 0;
  #relayed: Relayed | undefined;
  #refusal: Refusal | undefined;
  #isSettled = false;

  constructor(options: {
    request: HttpRequest;
    reply: HttpReply;
    record: Recorder;
    clock: GatewayClock;
  }) {
    this.#request = options.request;
    this.#reply = options.reply;
    this.#record = options.record;
    this.#clock = options.clock;
  }

  identified(caller: Caller): void {
    this.#caller = caller;
  }

  decoded(stage: Decoded): void {
    this.#decoded = stage;
  }

  admitted(stage: Admitted): void {
    this.#admitted = stage;
  }

  attempted(attempt: Attempt | undefined, tries: number): void {
    this.#attempt = attempt;
    this.#tries = tries;
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
    const usage = this.#usage();
    const attempt = this.#attempt;
    this.#record({
      request: this.#request,
      caller: this.#caller,
      dialect: this.#decoded?.dialect.name,
      asked: this.#decoded?.conversation.model,
      model: this.#admitted?.permit.model,
      target:
        attempt === undefined ? undefined : `${attempt.target.provider}/${attempt.target.model}`,
      decisionId: this.#admitted?.permit.decisionId,
      outcome: this.#outcome(),
      refusal: this.#relayed?.refusal ?? this.#refusal,
      attempts: this.#tries,
      usage: usage.value,
      estimated: usage.isEstimated,
      status: this.#reply.sent.status,
      bytes: this.#reply.sent.bytes,
      firstByteMs: this.#relayed?.firstByteMs,
      durationMs: this.#clock.nowMs() - this.#request.receivedAtMs,
    });
  }

  #outcome(): Outcome {
    if (this.#relayed !== undefined) return this.#relayed.outcome;
    if (this.#request.signal.aborted) return 'aborted';
    return this.#refusal === undefined ? 'complete' : 'refused';
  }

  /** What the upstream reported; where it did not and something was delivered, counted: never zero for delivered text. */
  #usage(): { readonly value: Usage | undefined; readonly isEstimated: boolean } {
    const relayed = this.#relayed;
    if (relayed === undefined) return { value: undefined, isEstimated: false };
    if (relayed.usage !== undefined && relayed.outcome === 'complete') {
      return { value: relayed.usage, isEstimated: false };
    }
    const output = Math.ceil(relayed.deliveredChars / gatewayLimits.charsPerToken);
    const input = Math.ceil(
      (this.#decoded?.document.text.length ?? 0) / gatewayLimits.charsPerToken,
    );
    const reported = relayed.usage;
    return {
      value: {
        input: reported?.input ?? input,
        cacheRead: reported?.cacheRead ?? 0,
        cacheWrite: reported?.cacheWrite ?? 0,
        cacheWriteHour: reported?.cacheWriteHour ?? 0,
        output: Math.max(reported?.output ?? 0, output),
        reasoning: reported?.reasoning ?? 0,
      },
      isEstimated: true,
    };
  }
}
