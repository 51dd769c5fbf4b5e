import type { JsonObject, JsonValue } from '../base/index.ts';
import { isJsonObject } from '../base/index.ts';
import { isList } from './fields.ts';
import type { BilledApart, ToolUse, Usage } from './model.ts';
import { toolUses } from './model.ts';

/** Token counts of providers: read leniently (a missing class is 0), never trusted to be sane. */

export const noUsage: Usage = Object.freeze({
  input: 0,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWriteHour: 0,
  output: 0,
  reasoning: 0,
});

/** A thousand times the largest context window: a server that says more has miscounted, and nobody pays for that. */
export const tokenCountMax = 1_000_000_000;

/** A count of tokens, or undefined where the value is none that can be believed. */
export function tokenCount(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    value >= 0 &&
    value <= tokenCountMax
    ? value
    : undefined;
}

/** Beyond belief: a usage that stands on such a count says nothing, which is not the same as none. */
export function isBeyond(count: JsonValue | undefined): boolean {
  return typeof count === 'number' && count > tokenCountMax;
}

/** OpenAI's usage: `prompt_tokens` holds the cached ones too, so they are taken out of it. */
export function usageOfOpenAi(value: JsonValue | undefined): Usage | undefined {
  if (!isJsonObject(value)) return undefined;
  const { prompt_tokens: promptSaid, completion_tokens: completionSaid } = value;
  const prompt = tokenCount(promptSaid);
  const completion = tokenCount(completionSaid);
  if (prompt === undefined && completion === undefined) return undefined;
  if (isBeyond(promptSaid) || isBeyond(completionSaid)) return undefined;
  const promptDetails = objectOr(value['prompt_tokens_details']);
  const completionDetails = objectOr(value['completion_tokens_details']);
  const cacheRead = Math.min(tokenCount(promptDetails['cached_tokens']) ?? 0, prompt ?? 0);
  const cacheWrite = Math.min(
    tokenCount(promptDetails['cache_write_tokens']) ?? 0,
    (prompt ?? 0) - cacheRead,
  );
  const reasoning = tokenCount(completionDetails['reasoning_tokens']) ?? 0;
  const total = tokenCount(value['total_tokens']);
  const output = outputOf(prompt ?? total ?? 0, completion ?? 0, { reasoning, total });
  const usage: Usage = {
    input: (prompt ?? 0) - cacheRead - cacheWrite,
    cacheRead,
    cacheWrite,
    cacheWriteHour: 0,
    output,
    reasoning: Math.min(reasoning, output),
  };
  const heard = tokenCount(promptDetails['audio_tokens']) ?? 0;
  const spoken = tokenCount(completionDetails['audio_tokens']) ?? 0;
  const painted = tokenCount(completionDetails['image_tokens']);
  const searches = searchesSaid(value);
  if (heard + spoken + searches === 0 && painted === undefined) return usage;
  const cached = objectOr(promptDetails['cached_tokens_details']);
  const heardOf =
    heard + spoken === 0
      ? usage
      : withAudio(usage, { heard, cached: tokenCount(cached['audio_tokens']) ?? 0, spoken });
  const left = output - heardOf.reasoning - (heardOf.outputAudio ?? 0);
  return {
    ...heardOf,
    ...(painted === undefined ? {} : { outputImage: Math.min(painted, left) }),
    ...(searches === 0 ? {} : { webSearches: searches }),
  };
}

/** OpenRouter's and Perplexity's count. */
function searchesSaid(usage: JsonObject): number {
  const { server_tool_use: tools, num_search_queries: queries } = usage;
  return tokenCount(objectOr(tools)['web_search_requests']) ?? tokenCount(queries) ?? 0;
}

/** What was heard is of the prompt as a whole: what does not fit into one of its parts was of the other. */
function withAudio(
  usage: Usage,
  { heard, cached, spoken }: Readonly<Record<'heard' | 'cached' | 'spoken', number>>,
): Usage {
  const inputAudio = Math.min(heard - Math.min(cached, usage.cacheRead, heard), usage.input);
  return {
    ...usage,
    inputAudio,
    cacheReadAudio: Math.min(heard - inputAudio, usage.cacheRead),
    outputAudio: Math.min(spoken, usage.output - usage.reasoning),
  };
}

/**
 * All tokens of the output. xAI and Gemini leave the reasoning out of `completion_tokens`: the total has it, or it shows by being
 * more than what it would be a part of. A total below its own parts says nothing.
 */
function outputOf(
  prompt: number,
  completion: number,
  { reasoning, total }: { readonly reasoning: number; readonly total: number | undefined },
): number {
  if (total !== undefined && total >= prompt + completion) return total - prompt;
  return reasoning > completion ? completion + reasoning : completion;
}

/** The usage with what was seen beside it; of uses of a tool the larger number, since both tell of the same ones. */
export function withApart(usage: Usage, seen: BilledApart): Usage {
  const uses: Partial<Record<ToolUse, number>> = {};
  for (const tool of toolUses) {
    const most = Math.max(seen[tool] ?? 0, usage[tool] ?? 0);
    if (most > 0) uses[tool] = most;
  }
  const tier = seen.tier ?? usage.tier;
  return { ...usage, ...uses, ...(tier === undefined ? {} : { tier }) };
}

/** What stands in every answer of a tier that costs more. */
export const tierMark = '"priority"';

/** What the `service_tier` of an answer of OpenAI's means: `auto` and none at all leave it to the provider. */
export function tierOf(said: JsonValue | undefined): Usage['tier'] {
  return said === 'priority' ? 'priority' : undefined;
}

/** The usage of a whole answer that has a tier. */
export function atTierOf(answer: JsonObject, usage: Usage | undefined): Usage | undefined {
  const tier = tierOf(answer['service_tier']);
  return tier === undefined || usage === undefined ? usage : { ...usage, tier };
}

/** OpenAI's usage object: every class that was input counts as prompt. */
export function usageForOpenAi(usage: Usage): JsonObject {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: {
      cached_tokens: usage.cacheRead,
      ...(usage.cacheWrite > 0 ? { cache_write_tokens: usage.cacheWrite } : {}),
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}

/** What of an Anthropic usage object is known; its stream sends it in two parts, the second one partial. */
export function usageOfAnthropic(
  value: JsonValue | undefined,
  before: Usage | undefined,
): Usage | undefined {
  if (!isJsonObject(value)) return before;
  const details = objectOr(value['output_tokens_details']);
  const input = countOf(value, 'input_tokens');
  const output = countOf(value, 'output_tokens');
  if (before === undefined && input === undefined && output === undefined) return undefined;
  if (anthropicClasses.some((each) => isBeyond(value[each]))) return undefined;
  const old = before ?? noUsage;
  const hourSaid = hourWritesOf(value);
  const shortSaid = tokenCount(objectOr(value['cache_creation'])['ephemeral_5m_input_tokens']) ?? 0;
  const hour = hourSaid ?? old.cacheWriteHour;
  // A whole is no less than its parts.
  const cacheWrite = Math.max(
    countOf(value, 'cache_creation_input_tokens') ?? old.cacheWrite,
    (hourSaid ?? 0) + shortSaid,
  );
  const outputNow = output ?? old.output;
  const searches =
    tokenCount(objectOr(value['server_tool_use'])['web_search_requests']) ?? old.webSearches;
  const usage: Usage = {
    input: input ?? old.input,
    cacheRead: countOf(value, 'cache_read_input_tokens') ?? old.cacheRead,
    cacheWrite,
    cacheWriteHour: Math.min(hour, cacheWrite),
    output: outputNow,
    reasoning: Math.min(tokenCount(details['thinking_tokens']) ?? old.reasoning, outputNow),
  };
  return searches === undefined || searches === 0 ? usage : { ...usage, webSearches: searches };
}

/** What was sampled beside the answer: no part of the counts at the top, and billed all the same. */
const besideTypes: ReadonlySet<unknown> = new Set(['compaction', 'advisor_message']);

/** A count at the top, where it is said, with what was sampled beside it. */
function countOf(value: JsonObject, name: (typeof anthropicClasses)[number]): number | undefined {
  const said = tokenCount(value[name]);
  const { iterations } = value;
  if (said === undefined || !isList(iterations)) return said;
  return said + sumBeside(iterations, (each) => each[name]);
}

function hourWritesOf(value: JsonObject): number | undefined {
  const hour = (each: JsonObject): JsonValue | undefined =>
    objectOr(each['cache_creation'])['ephemeral_1h_input_tokens'];
  const said = tokenCount(hour(value));
  const { iterations } = value;
  return said === undefined || !isList(iterations) ? said : said + sumBeside(iterations, hour);
}

function sumBeside(
  iterations: readonly JsonValue[],
  count: (iteration: JsonObject) => JsonValue | undefined,
): number {
  let sum = 0;
  for (const each of iterations) {
    if (isJsonObject(each) && besideTypes.has(each['type'])) sum += tokenCount(count(each)) ?? 0;
  }
  return sum;
}

const anthropicClasses = [
  'input_tokens',
  'output_tokens',
  'cache_read_input_tokens',
  'cache_creation_input_tokens',
] as const;

export function usageForAnthropic(usage: Usage): JsonObject {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWrite - usage.cacheWriteHour,
      ephemeral_1h_input_tokens: usage.cacheWriteHour,
    },
    output_tokens: usage.output,
    ...(usage.reasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}),
    ...(usage.webSearches === undefined
      ? {}
      : { server_tool_use: { web_search_requests: usage.webSearches } }),
  };
}

function objectOr(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
