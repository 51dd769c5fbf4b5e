import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { Usage } from '../model.ts';
import { usageOfOpenAi } from '../usage.ts';

/** Usage of the Responses format: the classes of chat under other names. */

export function usageOfResponses(value: JsonValue | undefined): Usage | undefined {
  if (!isJsonObject(value)) return undefined;
  return usageOfOpenAi({
    prompt_tokens: value['input_tokens'] ?? null,
    prompt_tokens_details: value['input_tokens_details'] ?? null,
    completion_tokens: value['output_tokens'] ?? null,
    completion_tokens_details: value['output_tokens_details'] ?? null,
    total_tokens: value['total_tokens'] ?? null,
  });
}

export function usageForResponses(usage: Usage): JsonObject {
  const input = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite,
    },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: input + usage.output,
  };
}
