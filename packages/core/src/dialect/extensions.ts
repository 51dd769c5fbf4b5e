import type { JsonObject, JsonValue } from '../base/index.ts';
import { emptyObject, isJsonObject } from '../base/index.ts';
import { raiseUnsupported } from './attempt.ts';
import { isList } from './fields.ts';
import type { Conversation, DialectName } from './model.ts';

/** Those of Messages, at whichever server. */
const anthropicHints = [
  'betas',
  'cache_control',
  'context_management',
  'diagnostics',
  'service_tier',
  'speed',
  'user_profile_id',
  'workspace_id',
] as const;

/**
 * Top-level fields that the canonical form has no word for. To an upstream of their own dialect they go unchanged.
 * To another they are refused, but for those below: hints that promise nothing about the answer (correlation, caching,
 * scheduling), which a caller loses nothing by.
 */
const hints: Readonly<Partial<Record<DialectName, ReadonlySet<string>>>> = {
  'openai-chat': new Set([
    'metadata',
    'prediction',
    'prompt_cache_key',
    'prompt_cache_options',
    'prompt_cache_retention',
    'safety_identifier',
    'service_tier',
  ]),
  'openai-completions': new Set(['metadata', 'prompt_cache_key', 'service_tier']),
  'openai-responses': new Set([
    'include',
    'max_tool_calls',
    'metadata',
    'prompt_cache_key',
    'prompt_cache_options',
    'prompt_cache_retention',
    'reasoning.generate_summary',
    'reasoning.summary',
    'safety_identifier',
    'service_tier',
    'client_metadata',
    'text.verbosity',
  ]),
  'anthropic-messages': new Set(anthropicHints),
  'bedrock-invoke': new Set(anthropicHints),
  'bedrock-converse': new Set(['performanceConfig', 'requestMetadata', 'serviceTier']),
};

/** Sampling fields that OpenAI-compatible servers take on both of OpenAI's generation routes, with one meaning. */
const openAiFamily: ReadonlySet<string> = new Set([
  'logit_bias',
  'min_p',
  'min_tokens',
  'repetition_penalty',
  'stop_token_ids',
  'ignore_eos',
]);

const openAiDialects: ReadonlySet<DialectName> = new Set(['openai-chat', 'openai-completions']);

/** One body at two servers. What only one of them knows, the other refuses in its own words. */
const anthropicDialects: ReadonlySet<DialectName> = new Set([
  'anthropic-messages',
  'bedrock-invoke',
]);

const keepsNothing =
  'the server of this model keeps nothing between requests; send the whole conversation as input.';

/** Of `background: true`, whoever would answer. */
export const writtenLater =
  'what a model writes after its answer would be charged to nobody; send the request as a stream.';

/** Why, for the fields that callers meet most. */
const reasons: Readonly<Record<string, string>> = {
  previous_response_id: keepsNothing,
  conversation: keepsNothing,
  store: 'the server of this model stores no answers; leave it out or send false.',
  background: writtenLater,
};

/** The extension fields that an upstream of `dialect` gets. Raises `unsupported_parameter` for what it cannot honour. */
export function extensionsFor(conversation: Conversation, dialect: DialectName): JsonObject {
  const { dialect: source, fields } = conversation.extensions;
  if (source === dialect) return fields;
  if (source === 'openai-embeddings') {
    raiseUnsupported('model', 'the server of this model makes no embeddings.');
  }
  if (source === 'openai-responses' && refersToStored(conversation)) {
    raiseUnsupported('input', keepsNothing);
  }
  if (source === 'bedrock-invoke' && isUnread(conversation)) {
    raiseUnsupported(
      'anthropic_version',
      'a body without it is of one vendor’s own format, which only its model at Bedrock reads; use converse.',
    );
  }
  const kept = emptyObject();
  for (const [name, value] of Object.entries(fields)) {
    if (isNeutral(name, value) || hints[source]?.has(name) === true) continue;
    const isShared =
      openAiFamily.has(name) && openAiDialects.has(source) && openAiDialects.has(dialect);
    const isSameBody = anthropicDialects.has(source) && anthropicDialects.has(dialect);
    if (isShared || isSameBody) kept[name] = value;
    else raiseUnsupported(name, reasonOf(name));
  }
  return kept;
}

/** Clients that believe in a store send the ids of earlier items in the place of the items. */
function refersToStored({ messages }: Conversation): boolean {
  return messages.some(({ content }) =>
    content.some((part) => part.kind === 'foreign' && part.value['type'] === 'item_reference'),
  );
}

/** The body of another vendor is one part that nobody has read. */
function isUnread({ messages }: Conversation): boolean {
  const [part] = messages[0]?.content ?? [];
  return part?.kind === 'foreign' && part.dialect === 'bedrock-invoke';
}

function reasonOf(name: string): string {
  const reason = Object.hasOwn(reasons, name) ? reasons[name] : undefined;
  return reason ?? 'the model that would answer cannot honour this field.';
}

/** Says nothing: a flag that is off, an empty list or object, the one modality there is. */
function isNeutral(name: string, value: JsonValue): boolean {
  if (value === false || value === null) return true;
  if (isList(value)) return value.length === 0 || (name === 'modalities' && isTextOnly(value));
  return isJsonObject(value) && Object.keys(value).length === 0;
}

function isTextOnly(list: readonly JsonValue[]): boolean {
  return list.every((item) => item === 'text');
}

/** More than one answer is said between equal dialects only. */
export function choicesFor(conversation: Conversation, dialect: DialectName): number | undefined {
  const { choices } = conversation;
  if (choices === undefined || choices === 1) return undefined;
  if (conversation.extensions.dialect === dialect) return choices;
  return raiseUnsupported('n', 'the model that would answer gives one answer to a request.');
}
