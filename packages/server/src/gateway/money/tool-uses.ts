import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { Conversation, ToolUse, Usage } from '@postern/core/dialect';
import type { ModelPrice, Rates } from '@postern/core/price';
import { withRates } from './billed-apart.ts';

/** Tools that a provider runs for an answer: searches, pictures, sandboxes for code. Each use is billed by itself. */

/** Searches to set aside for where a request does not bound them; models that search seldom do so more often. */
const searchesUsual = 10;
/** And where it allows any number. */
const usesMax = 100;

/** Uses that an answer may come to. */
export type UsesAhead = Readonly<Partial<Record<ToolUse, number>>>;

const noUses: UsesAhead = Object.freeze({});

export function usesAhead(conversation: Conversation, model: string): UsesAhead {
  const { tools, extensions } = conversation;
  let webSearches = searchesByItself(conversation, model) ? 1 : 0;
  let storageSearches = 0;
  let imageCalls = 0;
  let codeSessions = 0;
  for (const { foreign } of tools) {
    if (foreign === undefined) continue;
    const { type, max_uses: most } = foreign.value;
    const bound = boundOf(most ?? extensions.fields['max_tool_calls']);
    if (isSearchTool(type)) webSearches += bound ?? searchesUsual;
    else if (type === 'file_search') storageSearches += bound ?? searchesUsual;
    else if (type === 'image_generation') imageCalls += 1;
    else if (type === 'code_interpreter') codeSessions += sandboxesIn(foreign.value);
  }
  return webSearches + storageSearches + imageCalls + codeSessions === 0
    ? noUses
    : { webSearches, storageSearches, imageCalls, codeSessions };
}

function boundOf(said: JsonValue | undefined): number | undefined {
  return typeof said === 'number' && said >= 0 ? Math.min(Math.ceil(said), usesMax) : undefined;
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

/** What a larger sandbox costs, in smallest ones (2026). */
const sandboxes: Readonly<Record<string, number>> = { '1g': 1, '4g': 4, '16g': 16, '64g': 64 };

function sandboxesIn({ container }: JsonObject): number {
  const size = isJsonObject(container) ? container['memory_limit'] : undefined;
  return typeof size === 'string' && Object.hasOwn(sandboxes, size) ? (sandboxes[size] ?? 1) : 1;
}

/** What was used as it is billed: models of chat that search before each answer count nothing, and sandboxes have sizes. */
export function withOwnUses(usage: Usage, conversation: Conversation, model: string): Usage {
  const searched =
    usage.webSearches === undefined && searchesByItself(conversation, model)
      ? { ...usage, webSearches: 1 }
      : usage;
  const { codeSessions = 0 } = searched;
  if (codeSessions === 0) return searched;
  const sizes = conversation.tools.map(({ foreign }) =>
    foreign?.value['type'] === 'code_interpreter' ? sandboxesIn(foreign.value) : 1,
  );
  return { ...searched, codeSessions: codeSessions * Math.max(1, ...sizes) };
}

/** Ten dollars for a thousand: what everybody charges whose price is known. */
const searchRateUsual = 10_000_000_000_000;
/** What OpenAI charges for a thousand of its models that search by themselves (2026), and no list has. */
const searchRateOfSearchers = 25_000_000_000_000;
/** A quarter of a dollar for a picture, the largest of the finest that a tool paints; 3 cents for the smallest sandbox (OpenAI, 2026). */
const imageRate = 250_000_000_000_000;
const sessionRate = 30_000_000_000_000;

/** The same price, with one for uses of tools where nobody states it: they are never free. */
export function withToolRates(price: ModelPrice, model: string): ModelPrice {
  const webSearches = searchers.test(model) ? searchRateOfSearchers : searchRateUsual;
  const assumed: Required<Pick<Rates, ToolUse>> = {
    webSearches,
    storageSearches: searchRateUsual,
    imageCalls: imageRate,
    codeSessions: sessionRate,
  };
  return withRates(price, (rates): Rates => ({ ...assumed, ...rates }));
}
