import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import { isList } from '../fields.ts';
import type { BilledApart, ToolUse, Usage } from '../model.ts';
import { toolUses } from '../model.ts';
import { atTierOf, tierOf, usageOfOpenAi, withApart } from '../usage.ts';

/** Usage of the Responses format: the classes of chat under other names, and the uses of tools among the items of the output. */

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
  const uses = new ApartCount();
  for (const item of output) uses.add(item);
  return uses.within(usage);
}

/** The items that tell of a tool that is billed by its uses. */
const toolOfItem: Readonly<Record<string, ToolUse>> = {
  web_search_call: 'webSearches',
  file_search_call: 'storageSearches',
  image_generation_call: 'imageCalls',
  code_interpreter_call: 'codeSessions',
};

/** What stands in every answer that has one of them. */
export const toolMarks: readonly string[] = [
  '_search_call"',
  '"image_generation_call"',
  '"code_interpreter_call"',
];

type Uses = Partial<Record<ToolUse, number>>;

/** Uses of tools that a provider ran, from the items that tell of them, and the tier of the answer. */
export class ApartCount {
  #tier: Usage['tier'];
  #done: Uses | undefined;
  /** Begun and not done: what they do is only said at their end. */
  #open: Uses | undefined;
  /** Code that runs in one sandbox is billed as one. */
  #containers: Set<JsonValue> | undefined;

  add(item: JsonValue | undefined): void {
    const tool = toolOf(item);
    if (tool === undefined || !isJsonObject(item) || !this.#isBilled(item, tool)) return;
    this.#done ??= {};
    this.#done[tool] = (this.#done[tool] ?? 0) + 1;
  }

  /** An event of a stream. */
  look(type: string, { item, response }: JsonObject): void {
    if (isJsonObject(response)) this.#tier ??= tierOf(response['service_tier']);
    if (type === 'response.output_item.done') {
      this.add(item);
      this.#opened(item, -1);
    } else if (type === 'response.output_item.added') this.#opened(item, 1);
  }

  /** The whole answer is here: what of it is still open was no item of it. */
  end(): void {
    this.#open = undefined;
  }

  /** Uses that are done and those that run. */
  soFar(): BilledApart | undefined {
    const uses = sumOf(this.#done, this.#open);
    return this.#tier === undefined ? uses : { ...uses, tier: this.#tier };
  }

  /** The usage with the uses that are done; where it has some already, the larger number. */
  within(usage: Usage): Usage {
    return this.#done === undefined ? usage : withApart(usage, this.#done);
  }

  #opened(item: JsonValue | undefined, change: 1 | -1): void {
    const tool = toolOf(item);
    if (tool === undefined) return;
    this.#open ??= {};
    this.#open[tool] = Math.max(0, (this.#open[tool] ?? 0) + change);
  }

  /** Pages that are opened and looked through are not billed; older servers do not say what was done. */
  #isBilled(item: JsonObject, tool: ToolUse): boolean {
    if (tool === 'webSearches') return isSearch(item['action']);
    if (tool !== 'codeSessions') return true;
    this.#containers ??= new Set();
    const before = this.#containers.size;
    this.#containers.add(item['container_id'] ?? null);
    return this.#containers.size > before;
  }
}

/** The type is asked for first, since nearly every item is a message. */
function toolOf(item: JsonValue | undefined): ToolUse | undefined {
  if (!isJsonObject(item)) return undefined;
  const { type } = item;
  return typeof type === 'string' && Object.hasOwn(toolOfItem, type) ? toolOfItem[type] : undefined;
}

function sumOf(one: Uses | undefined, other: Uses | undefined): BilledApart | undefined {
  if (one === undefined && other === undefined) return undefined;
  const sum: Uses = {};
  for (const tool of toolUses) {
    const uses = (one?.[tool] ?? 0) + (other?.[tool] ?? 0);
    if (uses > 0) sum[tool] = uses;
  }
  return Object.keys(sum).length === 0 ? undefined : sum;
}

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
