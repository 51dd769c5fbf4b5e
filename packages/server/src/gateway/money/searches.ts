import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { Conversation, Usage } from '@postern/core/dialect';
import type { ModelPrice, Rates } from '@postern/core/price';
import { withRates } from './billed-apart.ts';

/** Searches that a provider runs for an answer, each billed by itself. */

/** Searches to set aside for where a request does not bound them; models that search seldom do so more often. */
const searchesUsual = 10;
/** And where it allows any number. */
const searchesMax = 100;

/** Searches in the web that an answer may run. */
export function searchesOf(conversation: Conversation, model: string): number {
  const { tools, extensions } = conversation;
  let searches = searchesByItself(conversation, model) ? 1 : 0;
  for (const { foreign } of tools) {
    if (foreign === undefined || !isSearchTool(foreign.value['type'])) continue;
    const bound = foreign.value['max_uses'] ?? extensions.fields['max_tool_calls'];
    const isBound = typeof bound === 'number' && bound >= 0;
    searches += isBound ? Math.min(Math.ceil(bound), searchesMax) : searchesUsual;
  }
  return searches;
}

/** `web_search`, `web_search_preview`, `web_search_20250305`, `openrouter:web_search`, … */
function isSearchTool(type: JsonValue | undefined): boolean {
  return typeof type === 'string' && /^(?:[a-z]+:)?web_search/.test(type);
}

/** OpenAI's models of chat that search, and Perplexity's. */
const searchers = /search-(?:preview|api)|(?:^|[/.-])sonar/i;

/** Is there a search before the answer, whatever the model thinks of it? */
function searchesByItself({ extensions: { fields } }: Conversation, model: string): boolean {
  return (
    searchers.test(model) ||
    isJsonObject(fields['web_search_options']) ||
    asList(fields['plugins']).some((each) => isJsonObject(each) && isSearchPlugin(each))
  );
}

/** OpenRouter's. */
function isSearchPlugin({ id, enabled }: JsonObject): boolean {
  return id === 'web' && enabled !== false;
}

function asList(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** Models of chat that search before each answer count nothing: an answer is one search. */
export function withOwnSearch(usage: Usage, conversation: Conversation, model: string): Usage {
  return usage.webSearches === undefined && searchesByItself(conversation, model)
    ? { ...usage, webSearches: 1 }
    : usage;
}

/** Ten dollars for a thousand: what everybody charges whose price is known. */
const searchRateUsual = 10_000_000_000_000;
/** What OpenAI charges for a thousand of its models that search by themselves (2026), and no list has. */
const searchRateOfSearchers = 25_000_000_000_000;

/** The same price, with one for searches where nobody states it: they are never free. */
export function withSearchRates(price: ModelPrice, model: string): ModelPrice {
  const web = searchers.test(model) ? searchRateOfSearchers : searchRateUsual;
  return withRates(
    price,
    (rates): Rates => ({ webSearches: web, storageSearches: searchRateUsual, ...rates }),
  );
}
