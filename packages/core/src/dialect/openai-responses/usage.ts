import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import { isList } from '../fields.ts';
import type { Usage } from '../model.ts';
import { usageOfOpenAi } from '../usage.ts';

/** Usage of the Responses format: the classes of chat under other names, and the searches among the items of the output. */

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

/** What a whole `response` says it used. */
export function usageOfResponse(response: JsonObject): Usage | undefined {
  const usage = usageOfResponses(response['usage']);
  const { output } = response;
  if (usage === undefined || !isList(output)) return usage;
  const searches = new SearchCount();
  for (const item of output) searches.add(item);
  return searches.within(usage);
}

/** What the searches that are billed by themselves look like in an answer. */
export const searchMark = '_search_call"';

/** Searches that a provider ran, from the items that tell of them. */
export class SearchCount {
  #web = 0;
  #storage = 0;

  /** The type is asked for first, since nearly every item is a message. */
  add(item: JsonValue | undefined): void {
    if (!isJsonObject(item)) return;
    if (item['type'] === 'web_search_call') this.#web += isSearch(item['action']) ? 1 : 0;
    else if (item['type'] === 'file_search_call') this.#storage += 1;
  }

  /** The usage with them; where it has some already, the larger number. */
  within(usage: Usage): Usage {
    if (this.#web === 0 && this.#storage === 0) return usage;
    const web = Math.max(this.#web, usage.webSearches ?? 0);
    const storage = Math.max(this.#storage, usage.storageSearches ?? 0);
    return {
      ...usage,
      ...(web > 0 ? { webSearches: web } : {}),
      ...(storage > 0 ? { storageSearches: storage } : {}),
    };
  }
}

/** Pages that are opened and looked through are not billed; older servers do not say what was done. */
function isSearch(action: JsonValue | undefined): boolean {
  return !isJsonObject(action) || action['type'] === undefined || action['type'] === 'search';
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
