import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import { isList } from '../fields.ts';
import type { BilledApart, Usage } from '../model.ts';
import { atTierOf, tierOf, usageOfOpenAi, withApart } from '../usage.ts';

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
  const usage = atTierOf(response, usageOfResponses(response['usage']));
  const { output } = response;
  if (usage === undefined || !isList(output)) return usage;
  const searches = new ApartCount();
  for (const item of output) searches.add(item);
  return searches.within(usage);
}

/** What the searches that are billed by themselves look like in an answer. */
export const searchMark = '_search_call"';

/** Searches that a provider ran, from the items that tell of them, and the tier of the answer. */
export class ApartCount {
  #tier: Usage['tier'];
  #web = 0;
  #storage = 0;
  /** Begun and not done: what they do is only said at their end. */
  #openWeb = 0;
  #openStorage = 0;

  /** The type is asked for first, since nearly every item is a message. */
  add(item: JsonValue | undefined): void {
    if (!isJsonObject(item)) return;
    if (item['type'] === 'web_search_call') this.#web += isSearch(item['action']) ? 1 : 0;
    else if (item['type'] === 'file_search_call') this.#storage += 1;
  }

  /** An event of a stream. */
  look(type: string, { item, response }: JsonObject): void {
    if (isJsonObject(response)) this.#tier ??= tierOf(response['service_tier']);
    if (type === 'response.output_item.done') {
      this.add(item);
      this.#open(item, -1);
    } else if (type === 'response.output_item.added') this.#open(item, 1);
  }

  /** The whole answer is here: what of it is still open was no item of it. */
  end(): void {
    this.#openWeb = 0;
    this.#openStorage = 0;
  }

  /** Searches that are done and those that run. */
  soFar(): BilledApart | undefined {
    const searches = searchesOf(this.#web + this.#openWeb, this.#storage + this.#openStorage);
    return this.#tier === undefined ? searches : { ...searches, tier: this.#tier };
  }

  /** The usage with the searches that are done; where it has some already, the larger number. */
  within(usage: Usage): Usage {
    const searches = searchesOf(this.#web, this.#storage);
    return searches === undefined ? usage : withApart(usage, searches);
  }

  #open(item: JsonValue | undefined, change: 1 | -1): void {
    if (!isJsonObject(item)) return;
    if (item['type'] === 'web_search_call') this.#openWeb = Math.max(0, this.#openWeb + change);
    else if (item['type'] === 'file_search_call')
      this.#openStorage = Math.max(0, this.#openStorage + change);
  }
}

function searchesOf(web: number, storage: number): BilledApart | undefined {
  if (web === 0 && storage === 0) return undefined;
  return {
    ...(web > 0 ? { webSearches: web } : {}),
    ...(storage > 0 ? { storageSearches: storage } : {}),
  };
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
