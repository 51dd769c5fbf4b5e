import { refusal } from '../../errors/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { StopReason } from '../model.ts';
import { protocolRefusal } from '../upstream-error.ts';

/** A reason that nobody documents is a breach: to call it a normal end would make a broken answer look whole. */
export function decodeStop(reason: string): StopReason {
  switch (reason) {
    case 'end_turn':
      return 'end';
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'stop_sequence':
      return 'stop-sequence';
    case 'tool_use':
      return 'tool-calls';
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
      return raiseRefusal(
        protocolRefusal(`it ended its answer with ${JSON.stringify(reason.slice(0, 40))}`),
      );
  }
}

/** An answer that only paused is cut short as far as this format can say. */
export function encodeStop(stop: StopReason): string {
  switch (stop) {
    case 'end':
      return 'end_turn';
    case 'length':
    case 'pause':
      return 'max_tokens';
    case 'stop-sequence':
      return 'stop_sequence';
    case 'tool-calls':
      return 'tool_use';
    case 'content-filter':
    case 'refusal':
      return 'content_filtered';
  }
}
