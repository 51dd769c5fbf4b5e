import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { AnswerContext } from '../dialect.ts';
import type { Conversation, StopReason, Usage } from '../model.ts';
import { encodeToolChoice, formatOf } from './request-encode.ts';
import { usageForResponses } from './usage.ts';

/** The response object, which whole answers are and which streams hold at their start and end. */

export type ResponseStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed';

export interface ResponseState {
  readonly id: string;
  readonly model: string;
  readonly createdAt: number;
  readonly status: ResponseStatus;
  readonly completedAt?: number;
  readonly incompleteReason?: string;
  readonly error?: JsonObject;
  readonly output: readonly JsonObject[];
  readonly usage?: Usage | undefined;
}

/** Every member of the format's schema; what was asked for is echoed, what was not has the format's default. */
export function responseObject(state: ResponseState, context: AnswerContext): JsonObject {
  return {
    id: state.id,
    object: 'response',
    created_at: state.createdAt,
    completed_at: state.completedAt ?? null,
    status: state.status,
    background: false,
    error: state.error ?? null,
    incomplete_details:
      state.incompleteReason === undefined ? null : { reason: state.incompleteReason },
    instructions: null,
    model: state.model,
    output: state.output,
    previous_response_id: null,
    ...echo(context.conversation),
    store: false,
    usage: state.usage === undefined ? null : usageForResponses(state.usage),
  };
}

function echo(asked: Conversation | undefined): JsonObject {
  const fields = asked?.extensions.fields ?? {};
  const { reasoning, toolChoice } = asked ?? {};
  return {
    frequency_penalty: asked?.frequencyPenalty ?? 0,
    max_output_tokens: asked?.maxOutputTokens ?? null,
    max_tool_calls: fields['max_tool_calls'] ?? null,
    metadata: isJsonObject(fields['metadata']) ? fields['metadata'] : {},
    parallel_tool_calls: asked?.parallelToolCalls ?? true,
    presence_penalty: asked?.presencePenalty ?? 0,
    prompt_cache_key: textOr(fields['prompt_cache_key']),
    reasoning: {
      effort: reasoning?.kind === 'effort' ? reasoning.effort : null,
      summary: textOr(fields['reasoning.summary']),
    },
    safety_identifier: textOr(fields['safety_identifier']),
    service_tier: 'default',
    temperature: asked?.temperature ?? 1,
    text: { format: formatOf(asked?.format) ?? { type: 'text' } },
    tool_choice: toolChoice === undefined ? 'auto' : encodeToolChoice(toolChoice),
    tools: (asked?.tools ?? []).map(
      (tool) =>
        tool.foreign?.value ?? {
          type: 'function',
          name: tool.name,
          description: tool.description ?? null,
          parameters: tool.schema,
          strict: tool.strict ?? false,
        },
    ),
    top_logprobs: 0,
    top_p: asked?.topP ?? 1,
    truncation: 'disabled',
    user: asked?.endUser ?? null,
  };
}

function textOr(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** Names that are part of the format: what else an upstream says travels as an extension. */
export const resourceNames: ReadonlySet<string> = new Set([
  ...Object.keys(echo(undefined)),
  'id',
  'object',
  'created_at',
  'completed_at',
  'status',
  'background',
  'error',
  'incomplete_details',
  'instructions',
  'model',
  'output',
  'output_text',
  'previous_response_id',
  'store',
  'usage',
]);

export function responseId(id: string, context: AnswerContext): string {
  return id === '' ? `resp_${context.requestId}` : id;
}

/** Why an answer is not complete; undefined where it is. An answer that only paused is cut short as far as can be said. */
export function incompleteReason(stop: StopReason, hasRefusal: boolean): string | undefined {
  switch (stop) {
    case 'end':
    case 'stop-sequence':
    case 'tool-calls':
      return undefined;
    case 'length':
    case 'pause':
      return 'max_output_tokens';
    case 'content-filter':
      return 'content_filter';
    case 'refusal':
      // Words of refusal speak for themselves; without them the filter is the nearest that the format has.
      return hasRefusal ? undefined : 'content_filter';
  }
}

/** Ids of items: unique among the answers of the gateway, and the same whether an answer is streamed or whole. */
export function itemId(prefix: 'msg' | 'rs' | 'fc', index: number, context: AnswerContext): string {
  return `${prefix}_${context.requestId}_${index}`;
}

export function nowSeconds(context: AnswerContext): number {
  return Math.floor((context.clock?.() ?? context.nowMs) / 1000);
}
