import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import { editMembers, jsonValueOf, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raise, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, RequestPatch } from '../dialect.ts';
import { choicesFor, extensionsFor } from '../extensions.ts';
import { Fields, defined, isList, optional } from '../fields.ts';
import type { Conversation, Message, Part } from '../model.ts';
import { decodeSampling, decodeStreaming } from '../openai-chat/request-decode.ts';
import { encodeSampling, endUserFor } from '../openai-chat/request-encode.ts';
import { patchOpenAi } from '../openai-chat/request-patch.ts';

/** Requests of OpenAI's completions route: one prompt, continued. */

const dialect = 'openai-completions';

const known: ReadonlySet<string> = new Set([
  'model',
  'prompt',
  'input',
  'stream',
  'stream_options',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'stop',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'n',
  'user',
]);

/** A completions request → conversation: the prompt is one turn of the user, which a chat model can answer too. */
export function decodeRequest(body: JsonObject): Result<Conversation, Refusal> {
  return attempt(() => {
    const fields = new Fields(body);
    const extensions: Record<string, JsonValue> = { ...fields.others(known) };
    // One of one is what every request asks for.
    if (fields.optionalInteger('best_of', 1) === 1) delete extensions['best_of'];
    const content = decodePrompt(fields, extensions);
    return {
      model: fields.optionalText('model'),
      ...decodeStreaming(fields),
      system: [],
      messages: [{ role: 'user' as const, content }],
      tools: [],
      ...optional('maxOutputTokens', fields.optionalInteger('max_tokens')),
      ...decodeSampling(fields),
      ...optional('choices', fields.optionalInteger('n', 1)),
      ...optional('endUser', fields.optionalText('user')),
      extensions: { dialect: 'openai-completions' as const, fields: extensions },
    };
  });
}

/**
 * `input` says the same as `prompt`. Several prompts, or prompts as tokens, are for upstreams of this dialect alone:
 * they stay in the extensions and count by their text.
 */
function decodePrompt(fields: Fields, extensions: Record<string, JsonValue>): readonly Part[] {
  if (fields.has('prompt') && fields.has('input')) {
    raise('invalid_request', 'prompt and input say the same; send one of them.', {
      param: 'input',
    });
  }
  const name = fields.has('input') ? 'input' : 'prompt';
  const value = fields.raw(name) ?? fields.missing('prompt', 'a string or an array');
  if (typeof value === 'string') return [{ kind: 'text', text: value }];
  if (!isList(value)) return fields.wrong(name, 'a string or an array');
  const [only] = value;
  if (value.length === 1 && typeof only === 'string') return [{ kind: 'text', text: only }];
  if (value.length === 0) return fields.wrong(name, 'a prompt that is not empty');
  extensions['prompt'] = value;
  return [{ kind: 'foreign', dialect, value: { prompt: value } }];
}

/** Conversation → completions request. Only what is one text can be continued. */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    const extensions = extensionsFor(conversation, dialect);
    refuseChat(conversation);
    return {
      ...defined({
        model: target.model,
        prompt: encodePrompt(conversation),
        max_tokens: conversation.maxOutputTokens ?? target.maxOutputTokens,
        ...encodeSampling(conversation),
        n: choicesFor(conversation, dialect),
        user: endUserFor(conversation),
        stream: conversation.stream ? true : undefined,
        stream_options: conversation.stream ? { include_usage: true } : undefined,
      }),
      ...extensions,
    };
  });
}

function refuseChat(conversation: Conversation): void {
  const unable = 'the model that would answer only continues a text.';
  if (conversation.tools.length > 0) raiseUnsupported('tools', unable);
  if (conversation.format !== undefined && conversation.format.kind !== 'text') {
    raiseUnsupported('response_format', unable);
  }
  if (conversation.messages.length !== 1) raiseUnsupported('messages', unable);
}

function encodePrompt(conversation: Conversation): string | undefined {
  const [message] = conversation.messages;
  // A prompt that is no text stands in the extensions of its own dialect.
  if (message === undefined || isOwnPrompt(message)) return undefined;
  const texts = [...conversation.system, ...message.content].map((part, index) =>
    part.kind === 'text'
      ? part.text
      : raiseUnsupported(
          `messages.0.content.${index}`,
          'the model that would answer only continues a text.',
        ),
  );
  return texts.join('\n\n');
}

function isOwnPrompt(message: Message): boolean {
  const [only] = message.content;
  return only?.kind === 'foreign' && only.dialect === dialect;
}

/** The caller's own text; upstreams know `prompt` only, so `input` takes that name. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  const patched = patchOpenAi(text, patch, ['max_tokens']);
  if (!patched.ok) return patched;
  const document = objectText(patched.value);
  const members = document.members();
  const input = members.find((member) => member.name === 'input');
  if (input === undefined) return patched;
  const value = jsonValueOf(patched.value.slice(input.valueStart, input.valueEnd)) ?? null;
  const set = value === null ? {} : { prompt: value };
  return ok(
    editMembers({ text: patched.value, members: () => members }, { set, remove: ['input'] }),
  );
}
