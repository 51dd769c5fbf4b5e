import type { AnswerContext } from '@postern/core/dialect';
import type { GatewayClock } from './ports.ts';
import type { Dispatched } from './stages.ts';

/** What a dialect knows of an answer that it writes or reads along; one that passes through needs none of it. */
export function answerContext(stage: Dispatched, clock: GatewayClock): AnswerContext {
  return {
    requestId: stage.request.id,
    nowMs: clock.nowMs(),
    receivedAtMs: stage.request.receivedAtMs,
    model: stage.permit.model,
    streamUsage: stage.conversation.streamUsage,
    legacyFunctions: stage.conversation.legacyFunctions ?? false,
    conversation: stage.conversation,
    clock: () => clock.nowMs(),
  };
}
