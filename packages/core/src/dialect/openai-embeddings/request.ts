import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import { editMembers, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raise, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, RequestPatch } from '../dialect.ts';
import { Fields, defined, isList, optional } from '../fields.ts';
import type { Conversation, Part } from '../model.ts';
import { endUserFor } from '../openai-chat/request-encode.ts';

/** Requests for embeddings, as a turn of the user that nobody answers in words. */

const dialect = 'openai-embeddings';
const known: ReadonlySet<string> = new Set(['model', 'input', 'user', 'stream']);

/** What OpenAI takes in one request; a longer list is a mistake or an attack. */
const inputsMax = 2_048;

export function decodeRequest(body: JsonObject): Result<Conversation, Refusal> {
  return attempt(() => {
    const fields = new Fields(body);
    if (fields.optionalFlag('stream') === true) fields.wrong('stream', 'false');
    const format = fields.optionalText('encoding_format');
    if (format !== undefined && format !== 'float' && format !== 'base64') {
      fields.wrong('encoding_format', 'float or base64');
    }
    fields.optionalInteger('dimensions', 1);
    return {
      model: fields.optionalText('model'),
      stream: false,
      streamUsage: false,
      system: [],
      messages: [{ role: 'user' as const, content: decodeInput(fields) }],
      tools: [],
      // Vectors are not tokens: there is no output to cap, to reserve or to charge.
      maxOutputTokens: 0,
      ...optional('endUser', fields.optionalText('user')),
      extensions: { dialect, fields: fields.others(known) },
    };
  });
}

function decodeInput(fields: Fields): readonly Part[] {
  const input = fields.raw('input') ?? fields.missing('input', 'a string or an array');
  if (typeof input === 'string') return [textOf(input, 'input')];
  if (!isList(input) || input.length === 0) {
    return fields.wrong('input', 'a string or an array that is not empty');
  }
  if (input.length > inputsMax && typeof input[0] !== 'number') {
    return fields.wrong('input', `an array of at most ${inputsMax} inputs`);
  }
  if (typeof input[0] === 'string') {
    return input.map((text, index) => textOf(text, `input.${index}`));
  }
  if (isList(input[0])) input.forEach((tokens, index) => checkTokens(tokens, `input.${index}`));
  else checkTokens(input, 'input');
  return [{ kind: 'foreign', dialect, value: { input } }];
}

function textOf(value: JsonValue, path: string): Part {
  if (typeof value === 'string' && value !== '') return { kind: 'text', text: value };
  return wrongInput(path, 'a string that is not empty, as its neighbours are');
}

function checkTokens(value: JsonValue, path: string): void {
  const isTokens =
    isList(value) &&
    value.length > 0 &&
    value.every((token) => typeof token === 'number' && Number.isSafeInteger(token) && token >= 0);
  if (!isTokens) wrongInput(path, 'an array of tokens that is not empty');
}

function wrongInput(path: string, kind: string): never {
  return raise('invalid_request', `${path} has to be ${kind}.`, { param: path });
}

/** Conversation → embeddings request. What asks for words cannot be asked for here. */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    const { extensions, messages } = conversation;
    if (extensions.dialect !== dialect) {
      raiseUnsupported('model', 'the server of this model makes embeddings and no answers.');
    }
    return {
      ...defined({
        model: target.model,
        input: encodeInput(messages[0]?.content ?? []),
        user: endUserFor(conversation),
      }),
      ...extensions.fields,
    };
  });
}

function encodeInput(content: readonly Part[]): JsonValue | undefined {
  const [only] = content;
  if (only?.kind === 'foreign') return only.value['input'];
  const texts = content.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
  return texts.length === 1 ? texts[0] : texts;
}

/** The caller's own text with the model set. There is no cap to set. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  return ok(editMembers(objectText(text), { set: { model: patch.model } }));
}
