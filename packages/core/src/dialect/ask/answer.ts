import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields, defined } from '../fields.ts';
import type { Completion, StopReason, Usage } from '../model.ts';
import { saidText } from '../openai-completions/answer.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { raiseIfError } from '../upstream-error.ts';
import { usageForOpenAi, usageOfOpenAi } from '../usage.ts';

/** Answers of `/ask`: `{"model", "latency_ms", "answer", "usage", "request_id"}`. */

/** What a stream's last frame says, and a whole answer beside its text. */
export interface AskFacts {
  readonly model: string;
  readonly latencyMs: number;
  readonly usage: Usage | undefined;
  readonly stop: StopReason;
}

/** The members of an answer. `stop` is there only where the answer did not end by itself. */
export function encodeFacts(
  facts: AskFacts,
  answer: string | undefined,
  requestId: string,
): JsonObject {
  const isWhole = facts.stop === 'end' || facts.stop === 'stop-sequence';
  return defined({
    model: facts.model,
    latency_ms: facts.latencyMs,
    answer,
    usage: facts.usage === undefined ? null : usageForOpenAi(facts.usage),
    request_id: requestId,
    stop: isWhole ? undefined : facts.stop,
  });
}

export function latencyOf(context: AnswerContext): number {
  const nowMs = context.clock?.() ?? context.nowMs;
  return Math.max(0, Math.round(nowMs - context.receivedAtMs));
}

export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const facts = {
    model: completion.model === '' ? context.model : completion.model,
    latencyMs: latencyOf(context),
    usage: completion.usage,
    stop: completion.stop,
  };
  return encodeFacts(facts, saidText(completion.content), context.requestId);
}

export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const text = answer.text('answer');
    const usage = usageOfOpenAi(answer.raw('usage'));
    return {
      id: answer.optionalText('request_id') ?? '',
      model: answer.optionalText('model') ?? '',
      content: text === '' ? [] : [{ kind: 'text' as const, text }],
      stop: decodeStop(answer),
      ...(usage === undefined ? {} : { usage }),
    };
  });
}

const stops: ReadonlySet<string> = new Set<StopReason>([
  'end',
  'length',
  'stop-sequence',
  'tool-calls',
  'content-filter',
  'refusal',
  'pause',
]);

export function decodeStop(answer: Fields): StopReason {
  const stop = answer.optionalText('stop') ?? 'end';
  // The set holds every reason and nothing else.
  return stops.has(stop) ? (stop as StopReason) : answer.wrong('stop', 'a reason to stop');
}
