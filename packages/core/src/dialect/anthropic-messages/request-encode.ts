import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import { editMembers, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, RequestPatch } from '../dialect.ts';
import { choicesFor, extensionsFor } from '../extensions.ts';
import { defined } from '../fields.ts';
import type {
  Conversation,
  Message,
  Part,
  Reasoning,
  ResponseFormat,
  ToolDefinition,
} from '../model.ts';
import { encodeBlocks } from './blocks-encode.ts';

const dialect = 'anthropic-messages';

/** The field is mandatory here; this is what the gateway counts with where nobody names a cap. */
const maxTokensDefault = 4096;
/** The provider refuses longer ids; a tag of the caller's is no reason to fail. */
const endUserCharsMax = 256;

/** Conversation → Messages request. */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    // First, since what stands for the messages (`previous_response_id`) explains their absence.
    const extensions = extensionsFor(conversation, dialect);
    return {
      ...defined({
        model: target.model,
        ...encodeMembers(conversation, target.maxOutputTokens),
        stream: conversation.stream ? true : undefined,
      }),
      ...extensions,
    };
  });
}

/** The members that do not depend on where the request goes. Runs inside an `attempt`. */
export function encodeMembers(
  conversation: Conversation,
  cap: number | undefined,
): Readonly<Record<string, JsonValue | undefined>> {
  return {
    max_tokens: conversation.maxOutputTokens ?? cap ?? maxTokensDefault,
    ...encodePrompt(conversation),
    ...encodeSampling(conversation),
    metadata: encodeMetadata(conversation.endUser),
  };
}

/** The members that make up the prompt: those that a count of tokens takes too. Runs inside an `attempt`. */
export function encodePrompt(
  conversation: Conversation,
): Readonly<Record<string, JsonValue | undefined>> {
  const { tools, reasoning, format } = conversation;
  return {
    system: encodeSystem(conversation.system),
    messages: encodeMessages(conversation.messages),
    tools: tools.length === 0 ? undefined : tools.map(encodeTool),
    tool_choice: tools.length === 0 ? undefined : encodeToolChoice(conversation),
    thinking: reasoning === undefined ? undefined : encodeThinking(reasoning),
    output_config: encodeOutputConfig(reasoning, format),
  };
}

/** Raises for settings that models behind this format do not have. */
export function encodeSampling(
  conversation: Conversation,
): Readonly<Record<string, JsonValue | undefined>> {
  const { temperature, topK, seed, presencePenalty, frequencyPenalty } = conversation;
  const unable = 'the model that would answer has no such setting.';
  choicesFor(conversation, dialect);
  if (seed !== undefined) raiseUnsupported('seed', unable);
  if ((presencePenalty ?? 0) !== 0) raiseUnsupported('presence_penalty', unable);
  if ((frequencyPenalty ?? 0) !== 0) raiseUnsupported('frequency_penalty', unable);
  if (temperature !== undefined && temperature > 1) {
    raiseUnsupported('temperature', 'the model that would answer takes values from 0 to 1.');
  }
  return {
    temperature,
    top_p: conversation.topP,
    // Below 1 means "all" where servers allow it, which is what leaving it out means here.
    top_k: topK === undefined || topK < 1 ? undefined : topK,
    stop_sequences: conversation.stop,
  };
}

function encodeMetadata(endUser: string | undefined): JsonObject | undefined {
  if (endUser === undefined || endUser.length > endUserCharsMax) return undefined;
  return { user_id: endUser };
}

function encodeSystem(system: readonly Part[]): JsonValue | undefined {
  const [only] = system;
  if (only === undefined) return undefined;
  if (system.length === 1 && only.kind === 'text' && only.cache === undefined) return only.text;
  const blocks = encodeTextBlocks(system, 'system');
  return blocks.length === 0 ? undefined : blocks;
}

function encodeTextBlocks(parts: readonly Part[], path: string): readonly JsonObject[] {
  for (const [index, part] of parts.entries()) {
    if (part.kind === 'text') continue;
    raiseUnsupported(
      `${path}.${index}`,
      'only text can stand here for the model that would answer.',
    );
  }
  return encodeBlocks(parts, path);
}

interface Turn {
  readonly role: Message['role'];
  readonly blocks: JsonObject[];
}

/**
 * Turns alternate here, and the results of all the calls of one turn have to stand in the one message that follows
 * it, before anything else: messages of one role that follow each other become one.
 */
function encodeMessages(messages: readonly Message[]): readonly JsonObject[] {
  const turns: Turn[] = [];
  for (const [index, message] of messages.entries()) {
    const path = `messages.${index}.content`;
    const blocks =
      message.role === 'system'
        ? encodeTextBlocks(message.content, path)
        : encodeBlocks(message.content, path);
    const last = turns.at(-1);
    if (blocks.length === 0) continue;
    if (last?.role === message.role) last.blocks.push(...blocks);
    else turns.push({ role: message.role, blocks: [...blocks] });
  }
  if (turns.length === 0) {
    raiseUnsupported('messages', 'the model that would answer needs a message that is not empty.');
  }
  return turns.map(({ role, blocks }) => ({ role, content: contentOf(resultsFirst(blocks)) }));
}

function resultsFirst(blocks: readonly JsonObject[]): readonly JsonObject[] {
  const isResult = (block: JsonObject): boolean => block['type'] === 'tool_result';
  const results = blocks.filter(isResult);
  if (results.length === 0) return blocks;
  return [...results, ...blocks.filter((block) => !isResult(block))];
}

/** One plain text block is written as the string that it is. */
function contentOf(blocks: readonly JsonObject[]): JsonValue {
  const [only] = blocks;
  const text = only?.['text'];
  const isPlain =
    blocks.length === 1 && only?.['type'] === 'text' && Object.keys(only).length === 2;
  return isPlain && typeof text === 'string' ? text : blocks;
}

function encodeTool(tool: ToolDefinition, index: number): JsonObject {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === dialect) return tool.foreign.value;
    return raiseUnsupported(
      `tools.${index}`,
      'the model that would answer does not have this tool.',
    );
  }
  const schema = Object.hasOwn(tool.schema, 'type')
    ? tool.schema
    : { type: 'object', ...tool.schema };
  return defined({
    name: tool.name,
    description: tool.description,
    input_schema: schema,
    strict: tool.strict,
    cache_control: tool.cache,
  });
}

function encodeToolChoice(conversation: Conversation): JsonObject | undefined {
  const { toolChoice, parallelToolCalls } = conversation;
  if (toolChoice?.kind === 'none') return { type: 'none' };
  const disable = parallelToolCalls === undefined ? undefined : !parallelToolCalls;
  switch (toolChoice?.kind) {
    case undefined:
      // Parallel calls are the default here; only their absence has to be said.
      return disable === true ? { type: 'auto', disable_parallel_tool_use: true } : undefined;
    case 'auto':
      return defined({ type: 'auto', disable_parallel_tool_use: disable });
    case 'required':
      return defined({ type: 'any', disable_parallel_tool_use: disable });
    case 'tool':
      return defined({ type: 'tool', name: toolChoice.name, disable_parallel_tool_use: disable });
  }
}

export function encodeThinking(reasoning: Reasoning): JsonObject {
  switch (reasoning.kind) {
    case 'off':
      return { type: 'disabled' };
    case 'tokens':
      return { type: 'enabled', budget_tokens: reasoning.budgetTokens };
    case 'adaptive':
      return { type: 'adaptive' };
    case 'effort':
      return reasoning.effort === 'none' ? { type: 'disabled' } : { type: 'adaptive' };
  }
}

/** Structured output is native here, but only by schema: a bare "answer in JSON" has no counterpart. */
function encodeOutputConfig(
  reasoning: Reasoning | undefined,
  format: ResponseFormat | undefined,
): JsonObject | undefined {
  if (format?.kind === 'json') {
    raiseUnsupported(
      'response_format',
      'the model that would answer gives JSON by schema only; use json_schema.',
    );
  }
  const isWished = reasoning?.kind === 'effort' && reasoning.effort !== 'none';
  const config = defined({
    // The lowest effort of OpenAI has no name of its own here.
    effort: isWished ? (reasoning.effort === 'minimal' ? 'low' : reasoning.effort) : undefined,
    format: format?.kind === 'schema' ? { type: 'json_schema', schema: format.schema } : undefined,
  });
  return Object.keys(config).length === 0 ? undefined : config;
}

/** The caller's own text with the model set, and the cap where it has none. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  return ok(patchMembers(text, { model: patch.model }, patch.maxOutputTokens));
}

/** The text with members set, and the cap where it has none. */
export function patchMembers(
  text: string,
  set: Readonly<Record<string, JsonValue>>,
  maxOutputTokens: number | undefined,
): string {
  const document = objectText(text);
  const members = document.members();
  const cap = members.findLast((member) => member.name === 'max_tokens');
  const isCapped = cap !== undefined && text.slice(cap.valueStart, cap.valueEnd) !== 'null';
  const added = isCapped || maxOutputTokens === undefined ? {} : { max_tokens: maxOutputTokens };
  return editMembers({ text, members: () => members }, { set: { ...set, ...added } });
}
