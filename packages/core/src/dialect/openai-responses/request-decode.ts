import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt } from '../attempt.ts';
import { Fields, optional } from '../fields.ts';
import type {
  Conversation,
  Reasoning,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
} from '../model.ts';
import { decodeInput } from './items-decode.ts';
import { decodeNamespace } from './namespace.ts';
import { dialect } from './parts.ts';

/** The fields that the canonical form has words for; every other one is kept as an extension. */
const known: ReadonlySet<string> = new Set([
  'model',
  'input',
  'instructions',
  'stream',
  // Padding against traffic analysis of OpenAI's own streams: nothing that an answer would show.
  'stream_options',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'max_output_tokens',
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'text',
  'reasoning',
  'user',
]);

/** Fields that can stand for the input: an upstream of this format keeps what they name. */
const inputElsewhere = ['previous_response_id', 'conversation', 'prompt'] as const;

type Extensions = Record<string, JsonValue>;

/** A Responses request → conversation. Members of `text` and `reasoning` that are unknown are extensions by path. */
export function decodeRequest(body: JsonObject): Result<Conversation, Refusal> {
  return attempt(() => {
    const fields = new Fields(body);
    const extensions = decodeExtensions(fields);
    const { system, messages } = decodeInput(fields);
    const isKept = inputElsewhere.some((name) => fields.has(name));
    if (messages.length === 0 && system.length === 0 && !isKept) {
      fields.missing('input', 'a string or an array of items');
    }
    const stream = fields.optionalFlag('stream') ?? false;
    const cap = fields.optionalInteger('max_output_tokens', 1);
    return {
      model: fields.optionalText('model'),
      stream,
      // This format's streams always end with usage.
      streamUsage: stream,
      system,
      messages,
      tools: (fields.optionalObjects('tools') ?? []).flatMap(decodeTools),
      ...optional('toolChoice', decodeToolChoice(fields, extensions)),
      ...optional('parallelToolCalls', fields.optionalFlag('parallel_tool_calls')),
      ...optional('maxOutputTokens', cap),
      ...optional('temperature', fields.optionalNumber('temperature')),
      ...optional('topP', fields.optionalNumber('top_p')),
      ...optional('presencePenalty', fields.optionalNumber('presence_penalty')),
      ...optional('frequencyPenalty', fields.optionalNumber('frequency_penalty')),
      ...optional('format', decodeFormat(fields, extensions)),
      ...optional('reasoning', decodeReasoning(fields, extensions)),
      ...optional('endUser', fields.optionalText('user')),
      extensions: { dialect, fields: extensions },
    };
  });
}

/** What says no more than its absence in translation is no extension. */
function decodeExtensions(fields: Fields): Extensions {
  const extensions: Extensions = { ...fields.others(known) };
  if (extensions['store'] === false) delete extensions['store'];
  if (extensions['truncation'] === 'disabled') delete extensions['truncation'];
  if (extensions['top_logprobs'] === 0) delete extensions['top_logprobs'];
  return extensions;
}

function decodeTools(tool: Fields): readonly ToolDefinition[] {
  const type = tool.text('type');
  // Offers what was read before now, to models that read it themselves: without it nothing is said that is not so.
  if (type === 'web_search' && tool.optionalFlag('external_web_access') === false) return [];
  const group = type === 'namespace' ? decodeNamespace(tool, decodeTool) : undefined;
  return group ?? [decodeTool(tool)];
}

function decodeTool(tool: Fields): ToolDefinition {
  const type = tool.text('type');
  if (type !== 'function') {
    return {
      name: tool.optionalText('name') ?? type,
      schema: {},
      foreign: { dialect, value: tool.value },
    };
  }
  return {
    name: tool.text('name'),
    ...optional('description', tool.optionalText('description')),
    schema: tool.optionalObject('parameters')?.value ?? { type: 'object', properties: {} },
    ...optional('strict', tool.optionalFlag('strict')),
  };
}

/** Choices that only this format knows (`allowed_tools`, its own tools) become an extension. */
function decodeToolChoice(fields: Fields, extensions: Extensions): ToolChoice | undefined {
  const value = fields.raw('tool_choice');
  if (value === undefined) return undefined;
  if (value === 'auto' || value === 'none' || value === 'required') return { kind: value };
  if (typeof value === 'string') {
    return fields.wrong('tool_choice', 'auto, none, required or a tool');
  }
  const choice = fields.object('tool_choice');
  if (choice.text('type') === 'function') return { kind: 'tool', name: choice.text('name') };
  extensions['tool_choice'] = choice.value;
  return undefined;
}

function decodeFormat(fields: Fields, extensions: Extensions): ResponseFormat | undefined {
  const text = fields.optionalObject('text');
  keepOthers('text', text, 'format', extensions);
  const format = text?.optionalObject('format');
  switch (format?.text('type')) {
    case undefined:
      return undefined;
    case 'text':
      return { kind: 'text' };
    case 'json_object':
      return { kind: 'json' };
    case 'json_schema':
      return {
        kind: 'schema',
        name: format?.text('name') ?? '',
        schema: format?.object('schema').value ?? {},
        ...optional('strict', format?.optionalFlag('strict')),
      };
    default:
      extensions['text.format'] = format?.value ?? null;
      return undefined;
  }
}

function decodeReasoning(fields: Fields, extensions: Extensions): Reasoning | undefined {
  const reasoning = fields.optionalObject('reasoning');
  keepOthers('reasoning', reasoning, 'effort', extensions);
  const effort = reasoning?.optionalText('effort');
  return effort === undefined ? undefined : { kind: 'effort', effort };
}

function keepOthers(
  name: string,
  fields: Fields | undefined,
  read: string,
  extensions: Extensions,
): void {
  for (const [member, value] of Object.entries(fields?.others(new Set([read])) ?? {})) {
    extensions[`${name}.${member}`] = value;
  }
}
