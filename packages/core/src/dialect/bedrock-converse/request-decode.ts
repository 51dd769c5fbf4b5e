import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raise } from '../attempt.ts';
import type { PathFacts } from '../dialect.ts';
import { Fields, optional } from '../fields.ts';
import type { Conversation, Message } from '../model.ts';
import { decodeAdditional } from './additional.ts';
import { decodeBlocks } from './blocks-decode.ts';
import { decodeOutputConfig } from './output-config.ts';
import { decodeToolChoice, decodeTools } from './tools.ts';

/** The fields that the canonical form has words for; every other one is kept as an extension. */
const known: ReadonlySet<string> = new Set([
  'messages',
  'system',
  'inferenceConfig',
  'toolConfig',
  'additionalModelRequestFields',
  'outputConfig',
  // Belongs in the path; libraries that leave it in the body mean the same model.
  'modelId',
]);

/** A Converse request → conversation. Model and streaming are said by the path. */
export function decodeRequest(body: JsonObject, path?: PathFacts): Result<Conversation, Refusal> {
  return attempt(() => decodeConversation(new Fields(body), path));
}

function decodeConversation(fields: Fields, path: PathFacts | undefined): Conversation {
  const extensions: Record<string, JsonValue> = { ...fields.others(known) };
  const messages = fields.objects('messages').map(decodeMessage);
  if (messages.length === 0) {
    raise('invalid_request', 'messages has to hold at least one message.', { param: 'messages' });
  }
  const stream = path?.stream ?? false;
  const { effort, format } = decodeOutputConfig(fields, extensions);
  const additional = decodeAdditional(fields, effort, extensions);
  const toolChoice = decodeToolChoice(fields);
  return {
    model: path?.model,
    stream,
    // This format's streams always carry usage.
    streamUsage: stream,
    system: fields.has('system') ? decodeBlocks(fields, 'system') : [],
    messages,
    tools: decodeTools(fields),
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...decodeInference(fields),
    ...additional,
    ...(format === undefined ? {} : { format }),
    extensions: { dialect: 'bedrock-converse', fields: extensions },
  };
}

function decodeMessage(message: Fields): Message {
  const role = message.text('role');
  if (role !== 'user' && role !== 'assistant' && role !== 'system') {
    return message.wrong('role', 'user, assistant or system');
  }
  return { role, content: decodeBlocks(message, 'content') };
}

function decodeInference(
  fields: Fields,
): Pick<Conversation, 'maxOutputTokens' | 'temperature' | 'topP' | 'stop'> {
  const config = fields.optionalObject('inferenceConfig');
  if (config === undefined) return {};
  const [unknown] = Object.keys(config.others(knownInference));
  if (unknown !== undefined) {
    // The service refuses it as well; read over, it would be lost elsewhere without a word.
    const param = config.at(unknown);
    raise('invalid_request', `${param} is no field of the Converse format.`, { param });
  }
  const stop = config.optionalTexts('stopSequences');
  return {
    ...optional('maxOutputTokens', config.optionalInteger('maxTokens', 1)),
    ...optional('temperature', config.optionalNumber('temperature')),
    ...optional('topP', config.optionalNumber('topP')),
    ...optional('stop', stop === undefined || stop.length === 0 ? undefined : stop),
  };
}

const knownInference: ReadonlySet<string> = new Set([
  'maxTokens',
  'temperature',
  'topP',
  'stopSequences',
]);
