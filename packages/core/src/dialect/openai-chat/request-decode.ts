import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raise } from '../attempt.ts';
import { Fields, optional } from '../fields.ts';
import type {
  Conversation,
  Reasoning,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
} from '../model.ts';
import { decodeMessages } from './messages-decode.ts';

/** The fields that the canonical form has words for; every other one is kept as an extension. */
const known: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'tools',
  'functions',
  'tool_choice',
  'function_call',
  'parallel_tool_calls',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'top_k',
  'stop',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'n',
  'response_format',
  'reasoning_effort',
  'user',
]);

const emptySchema: JsonObject = Object.freeze({ type: 'object', properties: {} });

/** A chat request → conversation. */
export function decodeRequest(body: JsonObject): Result<Conversation, Refusal> {
  return attempt(() => {
    const fields = new Fields(body);
    const extensions: Record<string, JsonObject[string]> = { ...fields.others(known) };
    const { system, messages } = decodeMessages(fields);
    if (messages.length === 0 && system.length === 0) {
      raise('invalid_request', 'messages has to hold at least one message.', { param: 'messages' });
    }
    const legacyFunctions = fields.has('functions') && !fields.has('tools');
    const toolChoice = decodeToolChoice(fields, extensions);
    const format = decodeFormat(fields, extensions);
    return {
      model: fields.optionalText('model'),
      ...decodeStreaming(fields),
      system,
      messages,
      tools: decodeTools(fields),
      ...(toolChoice === undefined ? {} : { toolChoice }),
      ...optional('parallelToolCalls', fields.optionalFlag('parallel_tool_calls')),
      ...optional('maxOutputTokens', decodeCap(fields)),
      ...decodeSampling(fields),
      ...optional('choices', fields.optionalInteger('n', 1)),
      ...(format === undefined ? {} : { format }),
      ...optional('reasoning', decodeReasoning(fields)),
      ...(legacyFunctions ? { legacyFunctions } : {}),
      ...optional('endUser', fields.optionalText('user')),
      extensions: { dialect: 'openai-chat' as const, fields: extensions },
    };
  });
}

export function decodeStreaming(fields: Fields): Pick<Conversation, 'stream' | 'streamUsage'> {
  const stream = fields.optionalFlag('stream') ?? false;
  const options = fields.optionalObject('stream_options');
  return { stream, streamUsage: stream && (options?.optionalFlag('include_usage') ?? false) };
}

/** The sampling fields that chat and completions share. */
export function decodeSampling(
  fields: Fields,
): Pick<
  Conversation,
  'temperature' | 'topP' | 'topK' | 'stop' | 'seed' | 'presencePenalty' | 'frequencyPenalty'
> {
  const stopValue = fields.raw('stop');
  const stop = typeof stopValue === 'string' ? [stopValue] : fields.optionalTexts('stop');
  return {
    ...optional('temperature', fields.optionalNumber('temperature')),
    ...optional('topP', fields.optionalNumber('top_p')),
    ...optional('topK', fields.optionalInteger('top_k', -1)),
    ...optional('stop', stop === undefined || stop.length === 0 ? undefined : stop),
    ...optional('seed', decodeSeed(fields)),
    ...optional('presencePenalty', fields.optionalNumber('presence_penalty')),
    ...optional('frequencyPenalty', fields.optionalNumber('frequency_penalty')),
  };
}

function decodeSeed(fields: Fields): number | undefined {
  const seed = fields.optionalNumber('seed');
  return seed === undefined || Number.isSafeInteger(seed)
    ? seed
    : fields.wrong('seed', 'a whole number');
}

/** Two caps that differ would let the one be checked and the other be used. */
function decodeCap(fields: Fields): number | undefined {
  const older = fields.optionalInteger('max_tokens', 1);
  const newer = fields.optionalInteger('max_completion_tokens', 1);
  if (older !== undefined && newer !== undefined && older !== newer) {
    raise('invalid_request', 'max_tokens and max_completion_tokens differ; set one of them.', {
      param: 'max_tokens',
    });
  }
  return newer ?? older;
}

function decodeReasoning(fields: Fields): Reasoning | undefined {
  const effort = fields.optionalText('reasoning_effort');
  return effort === undefined ? undefined : { kind: 'effort', effort };
}

function decodeTools(fields: Fields): readonly ToolDefinition[] {
  const tools = (fields.optionalObjects('tools') ?? []).map((tool) => {
    const type = tool.optionalText('type') ?? 'function';
    return type === 'function' ? decodeFunction(tool.object('function')) : foreignTool(tool, type);
  });
  const functions = (fields.optionalObjects('functions') ?? []).map(decodeFunction);
  return [...tools, ...functions];
}

function decodeFunction(definition: Fields): ToolDefinition {
  return {
    name: definition.text('name'),
    ...optional('description', definition.optionalText('description')),
    schema: definition.optionalObject('parameters')?.value ?? emptySchema,
    ...optional('strict', definition.optionalFlag('strict')),
  };
}

function foreignTool(tool: Fields, type: string): ToolDefinition {
  const custom = tool.optionalObject(type);
  return {
    name: custom?.optionalText('name') ?? type,
    schema: {},
    foreign: { dialect: 'openai-chat', value: tool.value },
  };
}

/** Choices that only this dialect knows (`allowed_tools`) become an extension, so that they are not lost. */
function decodeToolChoice(
  fields: Fields,
  extensions: Record<string, JsonObject[string]>,
): ToolChoice | undefined {
  const name = fields.has('tool_choice') ? 'tool_choice' : 'function_call';
  const value = fields.raw(name);
  if (value === undefined) return undefined;
  if (value === 'auto' || value === 'none' || value === 'required') return { kind: value };
  if (typeof value === 'string') {
    return raise('invalid_request', `${name} has to be auto, none, required or a function.`, {
      param: name,
    });
  }
  const choice = fields.object(name);
  if (name === 'function_call') return { kind: 'tool', name: choice.text('name') };
  if (choice.text('type') === 'function') {
    return { kind: 'tool', name: choice.object('function').text('name') };
  }
  extensions[name] = choice.value;
  return undefined;
}

function decodeFormat(
  fields: Fields,
  extensions: Record<string, JsonObject[string]>,
): ResponseFormat | undefined {
  const format = fields.optionalObject('response_format');
  if (format === undefined) return undefined;
  const type = format.text('type');
  if (type === 'text') return { kind: 'text' };
  if (type === 'json_object') return { kind: 'json' };
  if (type === 'json_schema') {
    const schema = format.object('json_schema');
    return {
      kind: 'schema',
      name: schema.text('name'),
      schema: schema.optionalObject('schema')?.value ?? {},
      ...optional('strict', schema.optionalFlag('strict')),
    };
  }
  extensions['response_format'] = format.value;
  return undefined;
}
