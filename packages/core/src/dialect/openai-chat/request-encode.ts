import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget } from '../dialect.ts';
import { choicesFor, extensionsFor } from '../extensions.ts';
import { defined } from '../fields.ts';
import type {
  Conversation,
  Message,
  Part,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
} from '../model.ts';
import { encodeContent } from './parts.ts';
import { encodeThinking, isThinking } from './thinking.ts';

const dialect = 'openai-chat';

/** Conversation → chat request. Usage is always asked for in streams: what is metered must be known. */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    const extensions = extensionsFor(conversation, dialect);
    const { stream, tools, toolChoice, reasoning } = conversation;
    return {
      ...defined({
        model: target.model,
        messages: encodeMessages(conversation),
        tools: tools.length === 0 ? undefined : tools.map(encodeTool),
        tool_choice: toolChoice === undefined ? undefined : encodeToolChoice(toolChoice),
        // OpenAI refuses the field where there are no tools.
        parallel_tool_calls: tools.length === 0 ? undefined : conversation.parallelToolCalls,
        ...encodeCap(conversation.maxOutputTokens ?? target.maxOutputTokens, target.model),
        ...encodeSampling(conversation),
        n: choicesFor(conversation, dialect),
        response_format:
          conversation.format === undefined ? undefined : encodeFormat(conversation.format),
        // A budget or an adaptive mode permits thinking; the model's own default honours it. Only an effort is a wish.
        reasoning_effort: reasoning?.kind === 'effort' ? reasoning.effort : undefined,
        user: endUserFor(conversation),
        stream: stream ? true : undefined,
        stream_options: stream ? { include_usage: true } : undefined,
      }),
      ...extensions,
    };
  });
}

/** OpenAI refuses longer tags, and a tag is no reason to fail. */
const endUserCharsMax = 64;

export function endUserFor(conversation: Conversation): string | undefined {
  const { endUser } = conversation;
  return endUser !== undefined && endUser.length <= endUserCharsMax ? endUser : undefined;
}

export function encodeSampling(
  conversation: Conversation,
): Readonly<Record<string, JsonValue | undefined>> {
  return {
    temperature: conversation.temperature,
    top_p: conversation.topP,
    top_k: conversation.topK,
    stop: conversation.stop,
    seed: conversation.seed,
    presence_penalty: conversation.presencePenalty,
    frequency_penalty: conversation.frequencyPenalty,
  };
}

/**
 * OpenAI's reasoning models refuse `max_tokens`; many compatible servers know no other name, and a cap that is not
 * known bounds nothing. So the name follows the model's.
 */
export function capField(model: string): 'max_tokens' | 'max_completion_tokens' {
  const name = model.slice(model.lastIndexOf('/') + 1);
  return /^(?:o[1-9]|gpt-(?:[5-9]|[1-9][0-9]))(?:$|[^a-z0-9])/i.test(name)
    ? 'max_completion_tokens'
    : 'max_tokens';
}

function encodeCap(cap: number | undefined, model: string): Readonly<Record<string, number>> {
  return cap === undefined ? {} : { [capField(model)]: cap };
}

function encodeMessages(conversation: Conversation): readonly JsonObject[] {
  const messages: JsonObject[] = [];
  if (conversation.system.length > 0) {
    // One message: templates of local models know no second one.
    messages.push({ role: 'system', content: joinTexts(conversation.system, 'system', '\n\n') });
  }
  const isOwn = conversation.extensions.dialect === dialect;
  for (const [index, message] of conversation.messages.entries()) {
    const path = `messages.${index}.content`;
    if (message.role === 'assistant') messages.push(encodeAssistant(message, path, isOwn));
    else if (message.role === 'user') messages.push(...encodeUser(message, path));
    else {
      const content = joinTexts(message.content, path, '\n\n');
      messages.push(defined({ role: 'system', content, name: message.name }));
    }
  }
  return messages;
}

function joinTexts(parts: readonly Part[], path: string, separator: string): string {
  return parts
    .map((part, index) =>
      part.kind === 'text'
        ? part.text
        : raiseUnsupported(
            `${path}.${index}`,
            'only text can stand here for the model that would answer.',
          ),
    )
    .join(separator);
}

/** Tool results are messages of their own here, before what else the user says. */
function encodeUser(message: Message, path: string): readonly JsonObject[] {
  const results: JsonObject[] = [];
  const others: Part[] = [];
  const pictures: Part[] = [];
  for (const [index, part] of message.content.entries()) {
    if (part.kind !== 'tool-result') {
      others.push(part);
      continue;
    }
    const shown = part.content.filter(
      (inner) => inner.kind === 'image' || inner.kind === 'document',
    );
    const texts = part.content.filter(
      (inner) => inner.kind !== 'image' && inner.kind !== 'document',
    );
    let content = joinTexts(texts, `${path}.${index}.content`, '\n');
    // The format has no error flag; the model has to learn of the failure.
    if (part.isError && !/^\s*error/i.test(content)) content = `Error: ${content}`;
    if (shown.length > 0) {
      // Tool messages hold text only, so pictures follow in the user's turn under a line that says whose they are.
      pictures.push({ kind: 'text', text: `Files of the tool result ${part.callId}:` }, ...shown);
      if (content === '') content = 'The result is in the files that follow.';
    }
    results.push({ role: 'tool', tool_call_id: part.callId, content });
  }
  const said = [...pictures, ...others];
  if (said.length === 0 && results.length > 0) return results;
  return [
    ...results,
    defined({ role: 'user', content: encodeContent(said, path), name: message.name }),
  ];
}

/**
 * Reasoning goes back as text to the kind of server that gave it as text. What another provider signed nobody else
 * can read, and OpenAI refuses fields that it does not know, so it is sent only where the caller itself sent it so.
 */
function encodeAssistant(message: Message, path: string, isOwn: boolean): JsonObject {
  const content: Part[] = [];
  const calls: JsonObject[] = [];
  let audio: JsonValue | undefined;
  for (const [index, part] of message.content.entries()) {
    if (part.kind === 'tool-call') {
      calls.push(encodeToolCall(part));
    } else if (part.kind === 'foreign' && part.dialect === dialect) {
      if (part.value['type'] === 'audio') audio = part.value['audio'];
      else calls.push(part.value);
    } else if (part.kind === 'text' || part.kind === 'refusal') {
      content.push(part);
    } else if (!isThinking(part)) {
      raiseUnsupported(
        `${path}.${index}`,
        'the model that would answer cannot have said this block.',
      );
    }
  }
  const reasoning = isOwn
    ? message.content
    : message.content.filter((part) => part.kind === 'thinking' && part.signature === undefined);
  return defined({
    role: 'assistant',
    content: encodeSaid(content, path),
    name: message.name,
    ...encodeThinking(reasoning),
    audio,
    tool_calls: calls.length === 0 ? undefined : calls,
  });
}

/** Text alone is a string; a refusal needs the list form. */
function encodeSaid(content: readonly Part[], path: string): JsonValue {
  if (content.length === 0) return null;
  if (content.every((part) => part.kind === 'text')) return joinTexts(content, path, '');
  return encodeContent(content, path);
}

export function encodeToolCall(part: Extract<Part, { kind: 'tool-call' }>): JsonObject {
  return {
    id: part.id,
    type: 'function',
    function: { name: part.name, arguments: part.arguments },
  };
}

function encodeTool(tool: ToolDefinition, index: number): JsonObject {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === dialect) return tool.foreign.value;
    return raiseUnsupported(
      `tools.${index}`,
      'the model that would answer does not have this tool.',
    );
  }
  return {
    type: 'function',
    function: defined({
      name: tool.name,
      description: tool.description,
      parameters: tool.schema,
      strict: tool.strict,
    }),
  };
}

function encodeToolChoice(choice: ToolChoice): JsonValue {
  return choice.kind === 'tool'
    ? { type: 'function', function: { name: choice.name } }
    : choice.kind;
}

function encodeFormat(format: ResponseFormat): JsonObject {
  if (format.kind === 'text') return { type: 'text' };
  if (format.kind === 'json') return { type: 'json_object' };
  return {
    type: 'json_schema',
    json_schema: defined({ name: format.name, schema: format.schema, strict: format.strict }),
  };
}
