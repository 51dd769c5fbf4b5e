import { raiseRefusal } from './attempt.ts';
import type { StopReason } from './model.ts';
import { protocolRefusal } from './upstream-error.ts';

/** How answers end, in the words that Anthropic's format and Amazon's share. */

const meanings: Readonly<Record<string, StopReason>> = {
  end_turn: 'end',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  stop_sequence: 'stop-sequence',
  tool_use: 'tool-calls',
};

export const stopWords = {
  end: 'end_turn',
  length: 'max_tokens',
  'stop-sequence': 'stop_sequence',
  'tool-calls': 'tool_use',
} as const satisfies Partial<Record<StopReason, string>>;

/** A reason that nobody documents is a breach: to call it a normal end would make a broken answer look whole. */
export function sharedStop(reason: string): StopReason {
  const meaning = Object.hasOwn(meanings, reason) ? meanings[reason] : undefined;
  return (
    meaning ??
    raiseRefusal(protocolRefusal(`it ended its answer with ${JSON.stringify(reason.slice(0, 40))}`))
  );
}
