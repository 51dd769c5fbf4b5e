import type { JsonObject, JsonValue } from '../../base/index.ts';
import { betasForAmazon, decodeBetas } from '../anthropic-messages/headers.ts';
import { decodeOutput } from '../anthropic-messages/request-decode.ts';
import { encodeThinking } from '../anthropic-messages/request-encode.ts';
import { raiseUnsupported } from '../attempt.ts';
import { Fields, defined, optional } from '../fields.ts';
import type { Conversation } from '../model.ts';
import type { ModelTraits } from './traits.ts';

/**
 * `additionalModelRequestFields`: what only one vendor's models know. Anthropic's are read and written; each other one is
 * an extension under its whole path, so that a refusal names it.
 */

const name = 'additionalModelRequestFields';
export const additionalPrefix: string = `${name}.`;

const known: ReadonlySet<string> = new Set([
  'anthropic_beta',
  'top_k',
  'thinking',
  'output_config',
  'tool_choice',
]);

type Decoded = Pick<Conversation, 'topK' | 'reasoning' | 'format' | 'parallelToolCalls' | 'betas'>;

/** Reads the fields; what is not understood goes into `extensions`. `effort` is the one that Converse itself has. */
export function decodeAdditional(
  body: Fields,
  effort: string | undefined,
  extensions: Record<string, JsonValue>,
): Decoded {
  const fields = body.optionalObject(name) ?? new Fields({}, name);
  const rest: Record<string, JsonValue> = { ...fields.others(known) };
  const { reasoning, format } = decodeOutput(withEffort(fields, effort), rest);
  const parallelToolCalls = decodeParallel(fields);
  if (parallelToolCalls === undefined) {
    const choice = fields.raw('tool_choice');
    if (choice !== undefined) rest['tool_choice'] = choice;
  }
  for (const [key, value] of Object.entries(rest)) extensions[additionalPrefix + key] = value;
  return {
    ...optional('topK', fields.optionalInteger('top_k')),
    ...optional('reasoning', reasoning),
    ...optional('format', format),
    ...optional('parallelToolCalls', parallelToolCalls),
    ...decodeBetas(fields, 'anthropic_beta'),
  };
}

/** The effort may stand in either place; the one of the format itself counts. */
function withEffort(fields: Fields, effort: string | undefined): Fields {
  const config = fields.optionalObject('output_config');
  const merged = { ...config?.value, ...(effort === undefined ? {} : { effort }) };
  return new Fields({ ...fields.value, output_config: merged }, fields.path);
}

/** Only Anthropic's tool choice can forbid parallel calls; what it says beyond that Converse says by itself. */
function decodeParallel(fields: Fields): boolean | undefined {
  const serial = fields.optionalObject('tool_choice')?.optionalFlag('disable_parallel_tool_use');
  return serial === undefined ? undefined : !serial;
}

/** The object to send, undefined where it would be empty. `extensions` are those with the prefix, without it. */
export function encodeAdditional(
  conversation: Conversation,
  traits: ModelTraits,
  topK: JsonValue | undefined,
  extensions: JsonObject,
): JsonObject | undefined {
  const { reasoning } = conversation;
  if (topK !== undefined && !traits.hasAnthropicFields) {
    raiseUnsupported('top_k', 'the model that would answer has no such setting.');
  }
  const fields = {
    ...defined({
      top_k: topK,
      // A budget or an adaptive mode permits thinking; where there is no such field, the model's own default honours it.
      thinking:
        reasoning === undefined || !traits.hasAnthropicFields
          ? undefined
          : encodeThinking(reasoning),
      tool_choice: encodeSerial(conversation, traits),
      anthropic_beta: encodeBetas(conversation, traits),
    }),
    ...extensions,
  };
  return Object.keys(fields).length === 0 ? undefined : fields;
}

/** Features of Anthropic's models; the flags of a conversation of this format are sent to whatever model it names. */
function encodeBetas(
  conversation: Conversation,
  traits: ModelTraits,
): readonly string[] | undefined {
  if (conversation.extensions.dialect === 'bedrock-converse') return conversation.betas;
  return traits.hasAnthropicFields ? betasForAmazon(conversation) : undefined;
}

function encodeSerial(conversation: Conversation, traits: ModelTraits): JsonObject | undefined {
  const { toolChoice, parallelToolCalls, tools } = conversation;
  if (parallelToolCalls !== false || tools.length === 0 || toolChoice?.kind === 'none') {
    return undefined;
  }
  if (!traits.hasAnthropicFields) {
    return raiseUnsupported(
      'parallel_tool_calls',
      'the model that would answer cannot be kept from calling several tools at once.',
    );
  }
  const disable = { disable_parallel_tool_use: true };
  switch (toolChoice?.kind) {
    case 'required':
      return { type: 'any', ...disable };
    case 'tool':
      return { type: 'tool', name: toolChoice.name, ...disable };
    case 'auto':
    case undefined:
      return { type: 'auto', ...disable };
  }
}
