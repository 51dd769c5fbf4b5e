import type { JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { Conversation, Usage } from '@postern/core/dialect';
import type { ModelPrice, RateClass, Rates } from '@postern/core/price';
import { rateClasses, rateMax } from '@postern/core/price';

/** What a provider bills beside text: searches that it runs, sound, haste. A request says in advance that there may be some. */

/** Searches to set aside for where a request does not bound them; models that search seldom do so more often. */
const searchesUsual = 10;
/** And where it allows any number. */
const searchesMax = 100;

/** Searches in the web that an answer may run. */
export function searchesOf({ tools, extensions }: Conversation): number {
  const { fields } = extensions;
  if (isJsonObject(fields['web_search_options'])) return 1;
  let searches = 0;
  for (const { foreign } of tools) {
    if (foreign === undefined || !isSearchTool(foreign.value['type'])) continue;
    const bound = foreign.value['max_uses'] ?? fields['max_tool_calls'];
    const isBound = typeof bound === 'number' && bound >= 0;
    searches += isBound ? Math.min(Math.ceil(bound), searchesMax) : searchesUsual;
  }
  return searches;
}

/** `web_search`, `web_search_preview`, `web_search_20250305`, … */
function isSearchTool(type: JsonValue | undefined): boolean {
  return typeof type === 'string' && type.startsWith('web_search');
}

/**
 * Answers that are written, each up to the cap: choices, those that only the best are chosen from, and all of that for each prompt
 * of several.
 */
export function answersOf({ choices = 1, extensions: { dialect, fields } }: Conversation): number {
  if (dialect !== 'openai-completions') return choices;
  const { best_of: candidates, prompt } = fields;
  const each = typeof candidates === 'number' ? Math.max(choices, candidates) : choices;
  // A list of numbers is one prompt, as tokens.
  const isSeveral = Array.isArray(prompt) && typeof prompt[0] !== 'number';
  return isSeveral ? each * prompt.length : each;
}

/** What costs more than the lists say: a faster tier in OpenAI's, Anthropic's, Amazon's words; Anthropic's in one country. */
export function asksFaster({ isHasty, extensions: { fields } }: Conversation): boolean {
  if (isHasty === true) return true;
  if (fields['service_tier'] === 'priority' || fields['speed'] === 'fast') return true;
  // 1.1 times the list (2026), where it is not the default, `global`.
  const place = fields['inference_geo'];
  if (typeof place === 'string' && place !== 'global') return true;
  const { serviceTier: tier, performanceConfig: performance } = fields;
  if (isJsonObject(performance) && performance['latency'] === 'optimized') return true;
  return isJsonObject(tier) && tier['type'] === 'priority';
}

/** Is the tier the caller's own word? Else it is the provider's to choose, by how its project is set up. */
export function namesTier({ extensions: { fields } }: Conversation): boolean {
  const tier = fields['service_tier'];
  return typeof tier === 'string' && tier !== 'auto';
}

/** OpenAI's priority costs from 1.7 to 2.5 times its lists (2026), and no list has what: nobody is charged too little. */
const fasterTimes = 3;

/** What a listed price is at a faster tier that was not asked for. Searches cost the same at all of them. */
export function fasterThan(price: ModelPrice): ModelPrice {
  return withRates(price, timesFaster);
}

function timesFaster(rates: Rates): Rates {
  const faster: Partial<Record<RateClass, number>> = {};
  for (const name of rateClasses) {
    const rate = rates[name];
    const times = name === 'webSearches' || name === 'storageSearches' ? 1 : fasterTimes;
    if (rate !== undefined) faster[name] = Math.min(rate * times, rateMax);
  }
  return faster;
}

/** Does sound have a price of its own here, and does the request hold or ask for any? */
export function hasAudio({ rates }: ModelPrice, conversation: Conversation): boolean {
  if (rates.inputAudio === undefined && rates.outputAudio === undefined) return false;
  const { fields } = conversation.extensions;
  if ('audio' in fields || 'modalities' in fields) return true;
  return conversation.messages.some(({ content }) => content.some(({ kind }) => kind === 'audio'));
}

/**
 * Models of chat that search before each answer count nothing: where the request asks for it, an answer is one search.
 */
export function withOwnSearch(usage: Usage, { extensions }: Conversation): Usage {
  return usage.webSearches === undefined && isJsonObject(extensions.fields['web_search_options'])
    ? { ...usage, webSearches: 1 }
    : usage;
}

/** Ten dollars for a thousand: what everybody charges whose price is known. */
const searchRateUsual = 10_000_000_000_000;

/** The same price, with one for searches where nobody states it: they are never free. */
export function withSearchRates(price: ModelPrice): ModelPrice {
  return withRates(price, searchable);
}

function searchable(rates: Rates): Rates {
  return { webSearches: searchRateUsual, storageSearches: searchRateUsual, ...rates };
}

/** The same price with other rates, at each of its steps. */
function withRates({ rates, steps }: ModelPrice, change: (rates: Rates) => Rates): ModelPrice {
  return {
    rates: change(rates),
    ...(steps === undefined
      ? {}
      : { steps: steps.map((step) => ({ ...step, rates: change(step.rates) })) }),
  };
}
