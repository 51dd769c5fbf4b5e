import { raiseRefusal } from '../attempt.ts';
import type { StopReason } from '../model.ts';
import { protocolRefusal } from '../upstream-error.ts';

/** What an answer holds that changes the meaning of its `finish_reason`. */
export interface Said {
  readonly hasToolCall: boolean;
  readonly hasRefusal: boolean;
}

/**
 * `finish_reason` → stop. A forced tool call ends with `stop` at OpenAI, and so does a refusal in words. Reasons that
 * nobody documents are a breach: to call them a normal end would make a broken answer look whole.
 */
export function decodeStop(reason: string, said: Said): StopReason {
  switch (reason) {
    case 'stop':
    case 'eos':
    case 'eos_token':
    case 'end_turn':
      return said.hasToolCall ? 'tool-calls' : said.hasRefusal ? 'refusal' : 'end';
    case 'tool_calls':
    case 'function_call':
      return 'tool-calls';
    case 'length':
    case 'max_tokens':
    case 'model_length':
      return 'length';
    case 'content_filter':
      return 'content-filter';
    default:
      return raiseRefusal(
        protocolRefusal(`it ended its answer with ${JSON.stringify(reason.slice(0, 40))}`),
      );
  }
}

/** Stop → `finish_reason`. An answer that only paused is cut short as far as this format can say. */
export function encodeStop(stop: StopReason, said: Said, isLegacy: boolean): string {
  switch (stop) {
    case 'end':
    case 'stop-sequence':
      return 'stop';
    case 'length':
    case 'pause':
      return 'length';
    case 'tool-calls':
      return isLegacy ? 'function_call' : 'tool_calls';
    case 'content-filter':
      return 'content_filter';
    case 'refusal':
      // Words of refusal speak for themselves; without them the filter is the nearest that the format has.
      return said.hasRefusal ? 'stop' : 'content_filter';
  }
}
