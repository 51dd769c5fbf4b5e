import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import { editMembers, emptyObject, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, RequestPatch } from '../dialect.ts';
import { choicesFor, extensionsFor, writtenLater } from '../extensions.ts';
import { defined } from '../fields.ts';
import type {
  Conversation,
  Message,
  Part,
  Reasoning,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
} from '../model.ts';
import { capField, endUserFor } from '../openai-chat/request-encode.ts';
import { dialect, encodeContent } from './parts.ts';
import { encryptedContent, isSealedByOpenAi } from './reasoning.ts';

/**
 * Conversation → Responses request. Nothing is stored upstream: callers of other formats never asked for that. Models
 * that think are asked for their sealed reasoning, which comes back with the next turn.
 */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    const extensions = nested(extensionsFor(conversation, dialect));
    const { system, tools, toolChoice, stream } = conversation;
    refuseUnsayable(conversation);
    return {
      ...defined({
        model: target.model,
        ...encodeInput(system, conversation.messages),
        tools: tools.length === 0 ? undefined : tools.map(encodeTool),
        tool_choice: toolChoice === undefined ? undefined : encodeToolChoice(toolChoice),
        parallel_tool_calls: conversation.parallelToolCalls,
        max_output_tokens: conversation.maxOutputTokens ?? target.maxOutputTokens,
        temperature: conversation.temperature,
        top_p: conversation.topP,
        user: endUserFor(conversation),
        stream: stream ? true : undefined,
        store: false,
        include: isThinker(target.model) ? ['reasoning.encrypted_content'] : undefined,
        ...extensions.top,
        text: merged({ format: formatOf(conversation.format) }, extensions.within['text']),
        reasoning: merged(
          { effort: effortOf(conversation.reasoning) },
          extensions.within['reasoning'],
        ),
      }),
    };
  });
}

/** OpenAI's other models refuse to be asked for sealed reasoning. */
function isThinker(model: string): boolean {
  return capField(model) === 'max_completion_tokens';
}

function refuseUnsayable(conversation: Conversation): void {
  const unable = 'the model that would answer has no such setting.';
  const { topK, stop, seed, presencePenalty, frequencyPenalty } = conversation;
  choicesFor(conversation, dialect);
  if (topK !== undefined && topK >= 1) raiseUnsupported('top_k', unable);
  if (stop !== undefined) raiseUnsupported('stop', unable);
  if (seed !== undefined) raiseUnsupported('seed', unable);
  if ((presencePenalty ?? 0) !== 0) raiseUnsupported('presence_penalty', unable);
  if ((frequencyPenalty ?? 0) !== 0) raiseUnsupported('frequency_penalty', unable);
}

interface Nested {
  readonly top: JsonObject;
  readonly within: Record<string, JsonObject>;
}

/** Extensions with a path (`text.verbosity`) go back to where they stood. */
function nested(extensions: JsonObject): Nested {
  const top = emptyObject();
  const within: Record<string, JsonObject> = {};
  for (const [name, value] of Object.entries(extensions)) {
    const [, outer, inner] = /^(text|reasoning)\.(.+)$/s.exec(name) ?? [];
    if (outer === undefined || inner === undefined) top[name] = value;
    else within[outer] = { ...within[outer], [inner]: value };
  }
  return { top, within };
}

function merged(
  own: Readonly<Record<string, JsonValue | undefined>>,
  extra: JsonObject | undefined,
): JsonObject | undefined {
  const whole = { ...defined(own), ...extra };
  return Object.keys(whole).length === 0 ? undefined : whole;
}

function encodeInput(system: readonly Part[], messages: readonly Message[]): JsonObject {
  const [first, ...others] = system;
  const input: JsonObject[] = [];
  if (others.length > 0) {
    input.push({ type: 'message', role: 'system', content: encodeContent(others, 'system') });
  }
  for (const [index, message] of messages.entries()) {
    const path = `messages.${index}.content`;
    if (message.role === 'assistant') input.push(...encodeAssistant(message.content, path));
    else input.push(...encodeUser(message, path));
  }
  return defined({ instructions: instructionsOf(first), input });
}

function instructionsOf(part: Part | undefined): string | undefined {
  if (part === undefined || part.kind === 'text') return part?.text;
  return raiseUnsupported('system.0', 'only text can stand here for the model that would answer.');
}

/** Tool results are items of their own, before what else the user says. */
function encodeUser(message: Message, path: string): readonly JsonObject[] {
  const items: JsonObject[] = [];
  const said: Part[] = [];
  for (const [index, part] of message.content.entries()) {
    if (part.kind === 'tool-result') items.push(encodeResult(part, `${path}.${index}`));
    else if (part.kind === 'foreign' && isItem(part.value)) items.push(encodeItem(part, path));
    else said.push(part);
  }
  if (said.length === 0 && items.length > 0) return items;
  return [...items, { type: 'message', role: message.role, content: encodeContent(said, path) }];
}

function encodeResult(part: Extract<Part, { kind: 'tool-result' }>, path: string): JsonObject {
  const output = encodeContent(part.content, `${path}.content`);
  return {
    type: 'function_call_output',
    call_id: part.callId,
    output: part.isError ? withError(output) : output,
  };
}

/** The format has no error flag; the model has to learn of the failure. */
function withError(output: JsonValue): JsonValue {
  if (typeof output !== 'string') {
    return [{ type: 'input_text', text: 'Error:' }, ...(Array.isArray(output) ? output : [])];
  }
  return /^\s*error/i.test(output) ? output : `Error: ${output}`;
}

function isItem(value: JsonObject): boolean {
  const { type } = value;
  return typeof type === 'string' && !type.startsWith('input_');
}

function encodeItem(part: Extract<Part, { kind: 'foreign' }>, path: string): JsonObject {
  if (part.dialect === dialect) return part.value;
  return raiseUnsupported(path, 'the model that would answer does not know this kind of block.');
}

/** A turn of the model, item by item in its order; texts that follow each other are one message. */
function encodeAssistant(content: readonly Part[], path: string): readonly JsonObject[] {
  const items: JsonObject[] = [];
  let said: JsonObject[] = [];
  const flush = (): void => {
    if (said.length === 0) return;
    items.push({ type: 'message', role: 'assistant', content: said });
    said = [];
  };
  for (const [index, part] of content.entries()) {
    if (part.kind === 'text') {
      said.push({ type: 'output_text', text: part.text, annotations: [] });
    } else if (part.kind === 'refusal') {
      said.push({ type: 'refusal', refusal: part.text });
    } else {
      flush();
      const item = encodeTurnItem(part, `${path}.${index}`);
      if (item !== undefined) items.push(item);
    }
  }
  flush();
  return items;
}

function encodeTurnItem(part: Part, path: string): JsonObject | undefined {
  switch (part.kind) {
    case 'tool-call':
      return {
        type: 'function_call',
        call_id: part.id,
        name: part.name,
        arguments: part.arguments,
      };
    case 'thinking':
    case 'redacted-thinking':
      // Only its signer can read reasoning, and the server refuses what it cannot read.
      if (!isSealedByOpenAi(part)) return undefined;
      return defined({
        type: 'reasoning',
        summary:
          part.kind === 'thinking' && part.text !== ''
            ? [{ type: 'summary_text', text: part.text }]
            : [],
        encrypted_content: encryptedContent(part),
      });
    case 'foreign':
      return encodeItem(part, path);
    case 'text':
    case 'refusal':
    case 'image':
    case 'document':
    case 'audio':
    case 'tool-result':
      return raiseUnsupported(path, 'the model that would answer cannot have said this block.');
  }
}

/** Schemas are strict here where nothing is said; everywhere else they are not. */
export function encodeTool(tool: ToolDefinition, index: number): JsonObject {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === dialect) return tool.foreign.value;
    return raiseUnsupported(
      `tools.${index}`,
      'the model that would answer does not have this tool.',
    );
  }
  return defined({
    type: 'function',
    name: tool.name,
    description: tool.description,
    parameters: tool.schema,
    strict: tool.strict ?? false,
  });
}

export function encodeToolChoice(choice: ToolChoice): JsonValue {
  return choice.kind === 'tool' ? { type: 'function', name: choice.name } : choice.kind;
}

export function formatOf(format: ResponseFormat | undefined): JsonObject | undefined {
  switch (format?.kind) {
    case undefined:
      return undefined;
    case 'text':
      return { type: 'text' };
    case 'json':
      return { type: 'json_object' };
    case 'schema':
      return defined({
        type: 'json_schema',
        name: format.name,
        schema: format.schema,
        strict: format.strict ?? false,
      });
  }
}

/** A budget or an adaptive mode permits thinking; the model's own default honours it. */
function effortOf(reasoning: Reasoning | undefined): string | undefined {
  if (reasoning?.kind === 'off') return 'none';
  return reasoning?.kind === 'effort' ? reasoning.effort : undefined;
}

/** The caller's own text with the model set, and the cap where it has none. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  const members = objectText(text).members();
  const later = members.findLast((member) => member.name === 'background');
  if (later !== undefined && text.slice(later.valueStart, later.valueEnd) === 'true')
    return attempt(() => raiseUnsupported('background', writtenLater));
  const cap = members.findLast((member) => member.name === 'max_output_tokens');
  const isCapped = cap !== undefined && text.slice(cap.valueStart, cap.valueEnd) !== 'null';
  const added =
    isCapped || patch.maxOutputTokens === undefined
      ? {}
      : { max_output_tokens: patch.maxOutputTokens };
  return ok(
    editMembers({ text, members: () => members }, { set: { model: patch.model, ...added } }),
  );
}
