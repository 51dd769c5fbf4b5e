import { refusal } from '../../errors/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { StopReason } from '../model.ts';
import { sharedStop, stopWords } from '../stop-words.ts';

export function decodeStop(reason: string): StopReason {
  switch (reason) {
    case 'content_filtered':
    case 'guardrail_intervened':
      return 'content-filter';
    case 'malformed_model_output':
    case 'malformed_tool_use':
      return raiseRefusal(
        refusal('upstream_error', 'The model wrote something that its server could not read.', {
          detail: { stopReason: reason },
        }),
      );
    default:
      return sharedStop(reason);
  }
}

/** An answer that only paused is cut short as far as this format can say. */
export function encodeStop(stop: StopReason): string {
  switch (stop) {
    case 'pause':
      return stopWords.length;
    case 'content-filter':
    case 'refusal':
      return 'content_filtered';
    case 'end':
    case 'length':
    case 'stop-sequence':
    case 'tool-calls':
      return stopWords[stop];
  }
}
