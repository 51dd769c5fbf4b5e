import { isJsonObject } from '@postern/core/base';
import type { Conversation, Usage } from '@postern/core/dialect';
import { toolUses } from '@postern/core/dialect';
import type { ModelPrice, RateClass, Rates } from '@postern/core/price';
import { rateClasses, rateMax } from '@postern/core/price';

/** What a provider bills beside plain text: further answers, haste, sound, pictures. A request says in advance that there may be some. */

/**
 * Answers that are written, each up to the cap: choices, those that only the best are chosen from, and all of that for each prompt
 * of several. Vectors are none: nobody bills them, and lists have no price for them.
 */
export function answersOf({ choices = 1, extensions: { dialect, fields } }: Conversation): number {
  if (dialect === 'openai-embeddings') return 0;
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

/** What a listed price is at a faster tier that was not asked for. Tools cost the same at all of them. */
export function fasterThan(price: ModelPrice): ModelPrice {
  return withRates(price, timesFaster);
}

const uses: readonly string[] = toolUses;

function isToolUse(name: RateClass): boolean {
  return uses.includes(name);
}

function timesFaster(rates: Rates): Rates {
  const faster: Partial<Record<RateClass, number>> = {};
  for (const name of rateClasses) {
    const rate = rates[name];
    const times = isToolUse(name) ? 1 : fasterTimes;
    if (rate !== undefined) faster[name] = Math.min(rate * times, rateMax);
  }
  return faster;
}

/** May there be anything in this request or its answer that has a price of its own here and is no text? */
export function mayHoldMedia({ rates }: ModelPrice, conversation: Conversation): boolean {
  // Such models paint what they like.
  if (rates.outputImage !== undefined || rates.outputVideo !== undefined) return true;
  if (rates.inputAudio === undefined && rates.outputAudio === undefined) return false;
  const { fields } = conversation.extensions;
  if ('audio' in fields || 'modalities' in fields) return true;
  return conversation.messages.some(({ content }) => content.some(({ kind }) => kind === 'audio'));
}

/**
 * Where pictures or film have a price of their own and nobody says how much of the output they are, all of it but the thinking
 * counts as that: an answer in pictures costs twelve times the same number of tokens in words.
 */
export function withPictures({ rates }: ModelPrice, usage: Usage): Usage {
  const [painted] = (['outputImage', 'outputVideo'] as const).filter(
    (each) => rates[each] !== undefined,
  );
  if (painted === undefined || usage.outputImage !== undefined) return usage;
  return { ...usage, [painted]: usage.output - usage.reasoning - (usage.outputAudio ?? 0) };
}

/** The same price with other rates, at each of its steps. */
export function withRates(
  { rates, steps }: ModelPrice,
  change: (rates: Rates) => Rates,
): ModelPrice {
  return {
    rates: change(rates),
    ...(steps === undefined
      ? {}
      : { steps: steps.map((step) => ({ ...step, rates: change(step.rates) })) }),
  };
}
