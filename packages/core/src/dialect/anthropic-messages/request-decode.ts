import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raise } from '../attempt.ts';
import type { HeaderReader, PathFacts } from '../dialect.ts';
import { Fields } from '../fields.ts';
import type {
  Conversation,
  Message,
  Part,
  Reasoning,
  ResponseFormat,
  ToolChoice,
  ToolDefinition,
} from '../model.ts';
import { cacheOf, decodeBlocks } from './blocks-decode.ts';
import { decodeHeaders } from './headers.ts';

const known: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'system',
  'stream',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'metadata',
]);

type Extensions = Record<string, JsonValue>;

/**
 * A Messages request → conversation. The cap may be missing: a count of tokens has none, and the gateway sends its own
 * where the caller sends none.
 */
export function decodeRequest(
  body: JsonObject,
  _path?: PathFacts,
  header?: HeaderReader,
): Result<Conversation, Refusal> {
  return attempt(() => ({ ...decodeConversation(new Fields(body)), ...decodeHeaders(header) }));
}

function decodeConversation(fields: Fields): Conversation {
  const extensions: Extensions = { ...fields.others(known) };
  const messages = fields.objects('messages').map(decodeMessage);
  if (messages.length === 0) {
    raise('invalid_request', 'messages has to hold at least one message.', { param: 'messages' });
  }
  const tools = (fields.optionalObjects('tools') ?? []).map(decodeTool);
  const stop = fields.optionalTexts('stop_sequences');
  const temperature = fields.optionalNumber('temperature');
  const topP = fields.optionalNumber('top_p');
  const topK = fields.optionalInteger('top_k');
  const cap = fields.optionalInteger('max_tokens');
  const endUser = fields.optionalObject('metadata')?.optionalText('user_id');
  const stream = fields.optionalFlag('stream') ?? false;
  return {
    model: fields.optionalText('model'),
    stream,
    // This format's streams always carry usage.
    streamUsage: stream,
    system: decodeSystem(fields),
    messages,
    tools,
    ...decodeToolChoice(fields),
    ...(cap === undefined ? {} : { maxOutputTokens: cap }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(topK === undefined ? {} : { topK }),
    ...(stop === undefined || stop.length === 0 ? {} : { stop }),
    ...decodeOutput(fields, extensions),
    ...(endUser === undefined ? {} : { endUser }),
    extensions: { dialect: 'anthropic-messages', fields: extensions },
  };
}

function decodeSystem(fields: Fields): readonly Part[] {
  const parts = decodeBlocks(fields, 'system');
  for (const [index, part] of parts.entries()) {
    if (part.kind === 'text') continue;
    const param = `system.${index}.type`;
    raise('invalid_request', `${param} has to be text.`, { param });
  }
  return parts;
}

function decodeMessage(message: Fields): Message {
  const role = message.text('role');
  if (role !== 'user' && role !== 'assistant' && role !== 'system') {
    return message.wrong('role', 'user, assistant or system');
  }
  if (!message.has('content')) message.missing('content', 'a string or an array of blocks');
  return { role, content: decodeBlocks(message) };
}

function decodeTool(tool: Fields): ToolDefinition {
  const type = tool.optionalText('type') ?? 'custom';
  const name = tool.optionalText('name') ?? type;
  if (type !== 'custom') {
    return { name, schema: {}, foreign: { dialect: 'anthropic-messages', value: tool.value } };
  }
  const description = tool.optionalText('description');
  const strict = tool.optionalFlag('strict');
  return {
    name: tool.text('name'),
    ...(description === undefined ? {} : { description }),
    schema: tool.object('input_schema').value,
    ...(strict === undefined ? {} : { strict }),
    ...cacheOf(tool),
  };
}

function decodeToolChoice(fields: Fields): {
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
} {
  const choice = fields.optionalObject('tool_choice');
  if (choice === undefined) return {};
  const isSerial = choice.optionalFlag('disable_parallel_tool_use');
  const parallel = isSerial === undefined ? {} : { parallelToolCalls: !isSerial };
  switch (choice.text('type')) {
    case 'auto':
      return { toolChoice: { kind: 'auto' }, ...parallel };
    case 'any':
      return { toolChoice: { kind: 'required' }, ...parallel };
    case 'none':
      return { toolChoice: { kind: 'none' }, ...parallel };
    case 'tool':
      return { toolChoice: { kind: 'tool', name: choice.text('name') }, ...parallel };
    default:
      return choice.wrong('type', 'auto, any, tool or none');
  }
}

/** Thinking, effort and format. What is not understood of them becomes an extension, whole. */
export function decodeOutput(
  fields: Fields,
  extensions: Extensions,
): { readonly reasoning?: Reasoning; readonly format?: ResponseFormat } {
  const config = fields.optionalObject('output_config');
  const effort = config?.optionalText('effort');
  const extra = config?.others(new Set(['effort', 'format']));
  if (config !== undefined && extra !== undefined && Object.keys(extra).length > 0) {
    extensions['output_config'] = config.value;
  }
  const reasoning = decodeThinking(fields, effort, extensions);
  const wanted = config?.optionalObject('format') ?? fields.optionalObject('output_format');
  const format = wanted === undefined ? undefined : decodeFormat(wanted);
  return {
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(format === undefined ? {} : { format }),
  };
}

function decodeFormat(format: Fields): ResponseFormat {
  if (format.text('type') !== 'json_schema') return format.wrong('type', 'json_schema');
  return { kind: 'schema', name: 'response', schema: format.object('schema').value };
}

function decodeThinking(
  fields: Fields,
  effort: string | undefined,
  extensions: Extensions,
): Reasoning | undefined {
  const thinking = fields.optionalObject('thinking');
  const wish: Reasoning | undefined = effort === undefined ? undefined : { kind: 'effort', effort };
  switch (thinking?.text('type')) {
    case undefined:
      return wish;
    case 'enabled': {
      const budget = thinking?.optionalInteger('budget_tokens');
      if (budget === undefined) return thinking?.missing('budget_tokens', 'a whole number');
      return { kind: 'tokens', budgetTokens: budget };
    }
    case 'disabled':
      return { kind: 'off' };
    case 'adaptive':
      return wish ?? { kind: 'adaptive' };
    default:
      extensions['thinking'] = thinking?.value ?? null;
      return wish;
  }
}
